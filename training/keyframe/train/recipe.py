"""Train the shipped keyframe models end to end; `make train` calls it.

`python -m training.keyframe.train.recipe --clips DIR --minutes 120 --out runs --dry-run`

Animated photographs, renders, the networks of eyes and mouth, lite with a wide fusion (with them)
and a narrow one taught by that, resnet50_only, default (started from both networks), export into
OUT/models, figures of people who were in no training. With `--start-from models` the shipped
models are trained on instead. `--config paper` trains the paper's network by the paper's recipe,
without any of these, and exports it as `paper`.
Each step keeps what is finished, so a recipe that was stopped goes on when it is started again.
"""

import argparse
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from kf_imitation.errors import KfImitationError, ModelError
from kf_imitation.evaluation import datasets
from training.keyframe.export.manifest_file import write_manifest

CONFIGS = Path('training/keyframe/train/configs')
PARTS = 'parts'
# Configuration, name of the model, fraction of the minutes, runs to start from (the last wins), of
# which all weights are taken or those whose names begin so.
Stage = tuple[str, str, float, tuple[str, ...]]
STAGES: tuple[Stage, ...] = (
    ('lite', 'keyframe_lite', 0.1, (PARTS,)),
    ('resnet50_only', 'keyframe_resnet50', 0.2, (PARTS,)),
    (
        'default',
        'keyframe_default',
        0.2,
        ('keyframe_resnet50:place_net.,squeeze.', 'keyframe_lite_wide'),
    ),
)
# What teaches lite, in runs that begin without shipped models, and the fraction for teaching.
WIDE: Stage = ('lite_wide', 'keyframe_lite_wide', 0.1, (PARTS,))
TEACHING = 0.05
PAPER: tuple[Stage, ...] = (('paper', 'paper', 1.0, ()),)
# What is trained on top of the networks of eyes and mouth soon knows the people of the clips by
# heart: it gets less.
PARTS_FRACTION = 0.5
MINUTES = 120.0
SHARED = Path('../shared')
# One person in so many is kept for measuring where the configuration names nobody of the clips.
ONE_HELD_OF = 8


@dataclass
class Plan:
    """What will be run.

    Attributes:
        commands: argument lists, in order.
        notes: what is left out, and why.
    """

    commands: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, module: str, *arguments: object) -> None:
        """Append `python -m module arguments`."""
        self.commands.append([sys.executable, '-m', module, *map(str, arguments)])


def choose_held_out(clips: Sequence[datasets.Clip], named: Sequence[str]) -> list[str]:
    """Return the clips of the people who are not trained on.

    Args:
        clips: all.
        named: clips or people of the configuration; taken if any of them is there.

    Raises:
        SourceError: it is not known who is seen in a clip.
    """
    here = {name for c in clips for name in (c.key, c.person)}
    held = datasets.people_named(clips, [name for name in named if name in here])
    people = sorted({c.person for c in clips})
    if not held and len(people) > 1:
        held = set(people[ONE_HELD_OF // 2 :: ONE_HELD_OF]) or {people[-1]}
    return sorted(c.key for c in clips if c.person in held)


def start_of(out: Path, run: str) -> str:
    """Return the --start of training.keyframe.train.run for `run` or `run:names`."""
    name, colon, names = run.partition(':')
    return f'{out / name / "last.ckpt"}{colon}{names}'


def make_plan(options: argparse.Namespace) -> Plan:
    """Decide what is to be run.

    Raises:
        KfImitationError: no labelled clips, or a file that was named is missing.
    """
    plan = Plan()
    clips = datasets.find(options.clips, options.labels, labelled=True)
    named = yaml.safe_load((CONFIGS / 'default.yaml').read_text())['hold_out']
    held = choose_held_out(clips, named)
    paper = options.config == 'paper'
    stages = PAPER if paper else STAGES
    faces = None
    if not paper:
        faces = _animate(plan, options, clips, held)
        _render(plan, options)
    labels = ['--labels', options.labels] if options.labels else []
    data = ['--clips', options.clips, *labels, '--cache', options.cache]
    pictures = ['--faces', faces or options.out / 'no_faces', '--renders', options.renders]
    material = [*data, *pictures, '--animated', options.animated, '--threads', options.threads]
    imported = _import_shipped(plan, options, labels) if options.models else {}
    begin = ['--start', imported['keyframe_lite']] if imported else []
    if not paper:
        plan.add(
            'training.keyframe.train.train_parts',
            *(*material, '--out', options.out / PARTS, *begin),
            *('--minutes', round(options.minutes * PARTS_FRACTION, 2)),
            *(['--hold-out', *held] if held else []),
        )
    hold_out = ['--set', f'hold_out=[{", ".join(held)}]']
    taught = {} if paper or imported else {'keyframe_lite': WIDE}
    for config, name, fraction, start in (taught.get(stage[1], stage) for stage in stages):
        checkpoints = [start_of(options.out, other) for other in start]
        if imported:
            checkpoints = [str(imported[name]), start_of(options.out, PARTS)]
        plan.add(
            'training.keyframe.train.run',
            *('--config', CONFIGS / f'{config}.yaml', *material, '--out', options.out / name),
            *(['--minutes', round(options.minutes * fraction, 2)] if options.minutes else []),
            *(['--start', *checkpoints] if start else []),
            *hold_out,
        )
        if name == WIDE[1]:
            plan.add(
                'training.keyframe.train.distil',
                *('--teacher', options.out / name / 'last.ckpt'),
                *('--config', CONFIGS / 'lite.yaml', *material),
                *('--out', options.out / 'keyframe_lite'),
                *('--minutes', round(options.minutes * TEACHING, 2), *hold_out),
            )
    models = options.out / 'models'
    for _, name, _, _ in stages:
        checkpoint = options.out / name / 'last.ckpt'
        how = ['--calibrate', options.cache, '--gain', options.gain, '--precision', 'auto']
        plan.add(
            'training.keyframe.export.run',
            *('--checkpoint', checkpoint, '--name', name, '--models', models, *how),
        )
    if not held:
        plan.notes.append('only one person: nobody is left to measure on')
    for _, name, _, _ in stages if held else ():
        model, figures = models / f'{name}.onnx', options.out / f'{name}.json'
        plan.add(
            'training.keyframe.measure.held_out_people',
            *('--model', model, *data, '--json', figures, '--hold-out', *held),
        )
    return plan


def _animate(
    plan: Plan, options: argparse.Namespace, clips: Sequence[datasets.Clip], held: Sequence[str]
) -> Path | None:
    """Plan the animated photographs; return the face images, if there are any."""
    given = options.faces is not None
    faces: Path = options.faces or SHARED / 'data/faces/train.npz'
    if given and str(faces) == 'none':
        plan.notes.append('no animated photographs: --faces none')
        return None
    teacher: Path = options.teacher
    missing = []
    if not faces.is_file():
        missing.append(f'{faces} is not there')
    if importlib.util.find_spec('mediapipe') is None:
        missing.append('mediapipe is not installed (pip install mediapipe)')
    if not teacher.is_file():
        missing.append(f'{teacher} (--teacher) is not there')
    folder: Path = options.labels or options.clips
    if not any(folder.glob('*.npz')):
        missing.append(f'{folder} is not a flat folder of labels to take motion from')
    shards = [
        (i, options.animated / f'animated_{i:04d}.npy') for i in range(1, options.shards + 1)
    ]
    todo = [i for i, file in shards if not file.exists()]
    if missing and todo:
        if given:
            raise ModelError('; '.join([*missing, 'or leave them out: --faces none']))
        plan.notes.append(f'no more animated photographs: {"; ".join(missing)}')
        return faces if faces.is_file() else None
    for i in todo:
        plan.add(
            'training.data.animate',
            *('--faces', faces, '--clips', folder, '--model', teacher),
            *('--out', options.animated, '--sequences', 250, '--seed', i),
            *(['--hold-out', *held] if held else []),
        )
    return faces if faces.is_file() else None


def _import_shipped(
    plan: Plan, options: argparse.Namespace, labels: Sequence[object]
) -> dict[str, Path]:
    """Plan to take the weights of exported models back; return their checkpoints by name.

    Raises:
        ModelError: a model is missing.
    """
    files = {name: options.models / f'{name}.onnx' for _, name, _, _ in STAGES}
    missing = [str(file) for file in files.values() if not file.is_file()]
    if missing:
        raise ModelError(f'--start-from {options.models}: no {", ".join(missing)}')
    clips = ['--clips', options.clips, *labels]
    plan.add('training.data.clip_cache', *clips, '--out', options.cache)
    imported = {}
    for config, name, _, _ in STAGES:
        imported[name] = options.out / f'imported_{name}.ckpt'
        done = imported[name]
        if done.exists() and done.stat().st_mtime >= files[name].stat().st_mtime:
            continue
        plan.add(
            'training.keyframe.export.import_from_onnx',
            *(files[name], '--config', CONFIGS / f'{config}.yaml'),
            *('--cache', options.cache, '--out', imported[name]),
        )
    return imported


def _render(plan: Plan, options: argparse.Namespace) -> None:
    if any(options.renders.glob('pairs-*.npz')):
        plan.notes.append(f'{options.renders} holds renders: none are added')
        return
    model = Path(os.environ.get('KF_FACE_MODEL') or SHARED / 'data/faces')
    if not model.exists():
        plan.notes.append(f'no renders: the face model {model} (KF_FACE_MODEL) is not there')
        return
    size = ['--size', 128, '--seed', 2, '--workers', options.threads]
    plan.add(
        'face_renderer.generate',
        *('--kind', 'pairs', '--out', options.renders, '--count', options.pairs, *size),
    )


def install(source: Path, target: Path) -> None:
    """Copy exported models and their manifest entries over those of the package."""
    entries = yaml.safe_load((source / 'manifest.yaml').read_text())['models']
    for name, entry in entries.items():
        temporary = target / f'{entry["file"]}.tmp'
        shutil.copyfile(source / entry['file'], temporary)
        os.replace(temporary, target / entry['file'])
        write_manifest(target / 'manifest.yaml', name, entry)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the recipe; 2 for bad arguments, else the code of the step that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=Path, default=SHARED / 'data/clips/train')
    parser.add_argument('--labels', type=Path, help='label files, mirroring --clips')
    parser.add_argument(
        '--config', choices=('ours', 'paper'), default='ours', help='whose networks and recipe'
    )
    parser.add_argument(
        '--minutes',
        type=float,
        help=f'of training, altogether (default: {MINUTES:g}; the 1,000 epochs of the paper)',
    )
    parser.add_argument('--out', type=Path, default=Path('runs'))
    parser.add_argument('--cache', type=Path, help='of the clips; default: OUT/clips')
    parser.add_argument('--faces', type=Path, help='<split>.npz of face images, or none')
    parser.add_argument('--teacher', type=Path, default=SHARED / 'models/face_landmarker.task')
    parser.add_argument('--animated', type=Path, help='default: OUT/animated')
    parser.add_argument('--shards', type=int, default=10, help='of 250 animated photographs')
    parser.add_argument('--renders', type=Path, default=Path('data/renders/pairs'))
    parser.add_argument('--pairs', type=int, default=3000, help='rendered pairs')
    parser.add_argument('--threads', type=int, default=os.cpu_count() or 1)
    parser.add_argument('--gain', type=float, default=1.25, help='of the export')
    parser.add_argument(
        '--start-from', dest='models', type=Path, metavar='MODELS', help='train these models on'
    )
    parser.add_argument('--install', action='store_true', help='over the models of models/')
    parser.add_argument('--dry-run', action='store_true', help='only print the commands')
    options = parser.parse_args(arguments)
    if options.minutes is None and options.config == 'ours':
        options.minutes = MINUTES
    # Caches are named by clip: those of other videos would be taken for these.
    options.cache = options.cache or options.out / 'clips'
    options.animated = options.animated or options.out / 'animated'
    faults = [
        f'--{name} {getattr(options, name)}: must be more than 0'
        for name in ('minutes', 'shards', 'pairs', 'threads', 'gain')
        if (value := getattr(options, name)) is not None and value <= 0
    ]
    if options.config == 'paper' and options.models:
        faults.append('--config paper begins with random weights: leave --start-from out')
    if faults:
        parser.error('; '.join(faults))
    try:
        plan = make_plan(options)
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    for note in plan.notes:
        print(f'# {note}', flush=True)
    for command in plan.commands:
        print(shlex.join(['python', *command[1:]]), flush=True)
        if not options.dry_run:
            code = subprocess.run(command, check=False).returncode
            if code:
                print(f'{command[2]} failed ({code}); start again to go on', file=sys.stderr)
                return code
    if options.install and options.dry_run:
        print(f'# then {options.out}/models is copied over models/')
    elif options.install:
        install(options.out / 'models', Path('models'))
        print('models/ replaced; python -m training.keyframe.export.card writes the cards')
    return 0


if __name__ == '__main__':
    sys.exit(main())
