r"""Write the keyframe models' cards and measured figures from `kf_imitation evaluate`.

    kf_imitation evaluate ../shared/data/clips/dev --methods default,lite,frame_difference,dis \
        --json out/dev.json
    python -m training.keyframe.export.card --json out/dev.json --clips ../shared/data/clips/dev

For every method of the JSON file that has a model: models/<name>.md anew, and `measured` of its
entry in models/manifest.yaml. `--check` writes nothing and exits 1 when a card is not what the
JSON file says. What is said about use and data comes from this file and the manifest.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from kf_imitation.errors import KfImitationError
from kf_imitation.evaluation.labels import Labels, load_labels
from kf_imitation.evaluation.metrics import FEWEST_KEYFRAMES
from kf_imitation.face.canonical_region import canonical_region
from kf_imitation.paths import share_path
from training.keyframe.export.manifest_file import write_manifest

Metrics = Mapping[str, Any]
WIDTH = 100
WORST = 3
SMALL_FACE_PX = 200
LIVELY_PER_S = 2.0
MOUTH_FRACTION = 0.5

USE = """
Score of how much the expression changes from one frame to the next, and the signed change
of 51 blendshapes and the head angles behind it, for choosing keyframes. Crops of one face
region, streaming, one step per frame; names and shapes are in
manifest.yaml, the definitions in docs/keyframes.md. Not for recognising people, and not
for judging what anybody feels: a change of expression is no emotion.
"""
WHAT = {
    'keyframe_default': 'Eyes and mouth read from patches of their own, FastFlowNet at strides 8 '
    "and 16 for the motion and the first block of each of ResNet-50's stages for the places, "
    'fused.',
    'keyframe_lite': 'For one processor: eyes and mouth read from patches of their own, and the '
    'motion of the rest from gradients.',
    'keyframe_resnet50': "ResNet-50 without flow, the paper's baseline, given the same eyes and "
    'mouth as the '
    'others: it compares appearances and measures no motion. For comparison only.',
}
LIMITS = """
The labels it learned from and is measured against are those of another model (MediaPipe
face landmarker), not of people. The clips show few people, most of them facing the camera
in good light; dark rooms, heads turned by more than 40 degrees, covered mouths and faces
below 60 px are hardly among them. Skin tones and ages are as varied as the sources, no
more. Below 20 fps quick movements fall between two frames; above 40 fps there is less
movement in each pair than in training, so peaks near the threshold are missed
(docs/keyframes.md, frame rates).
"""


@dataclass(frozen=True)
class ClipFacts:
    """What puts a clip into a group.

    Attributes:
        fps: of the clip.
        face_px: edge of the median face region [px].
        keyframes_per_s: true ones.
        mouth: fraction of jaw and mouth in the change of the blendshapes, 0..1.
    """

    fps: float
    face_px: float
    keyframes_per_s: float
    mouth: float


GROUPS: tuple[tuple[str, Callable[[ClipFacts], bool]], ...] = (
    ('up to 26 fps', lambda c: c.fps <= 26),
    ('above 26 fps', lambda c: c.fps > 26),
    (f'low resolution: face below {SMALL_FACE_PX} px', lambda c: c.face_px < SMALL_FACE_PX),
    (f'face of {SMALL_FACE_PX} px or more', lambda c: c.face_px >= SMALL_FACE_PX),
    ('talking: mostly jaw and mouth move', lambda c: c.mouth >= MOUTH_FRACTION),
    ('expressive: brows, eyes, cheeks move as much', lambda c: c.mouth < MOUTH_FRACTION),
    (f'lively: {LIVELY_PER_S:g} keyframes/s or more', lambda c: c.keyframes_per_s >= LIVELY_PER_S),
    ('calm', lambda c: c.keyframes_per_s < LIVELY_PER_S),
)


def clip_facts(labels: Labels, truth: int) -> ClipFacts:
    """Return what puts a labelled clip with so many true keyframes into a group."""
    points = labels.landmarks_px[labels.valid]
    sizes = [canonical_region(p[:, :2]).size for p in points[:: max(1, len(points) // 20)]]
    change = np.abs(np.diff(labels.blendshapes, axis=0)).mean(axis=0)
    mouth = np.array([n.startswith(('jaw', 'mouth')) for n in labels.names])
    duration_s = len(labels.blendshapes) / labels.fps
    return ClipFacts(
        fps=labels.fps,
        face_px=float(np.median(sizes)),
        keyframes_per_s=truth / duration_s,
        mouth=float(change[mouth].sum() / max(float(change.sum()), 1e-9)),
    )


def mean(clips: Sequence[Metrics], key: str) -> float | None:
    """Return the mean of a measure over the clips that have it."""
    values = [clip[key] for clip in clips if clip[key] is not None]
    return float(np.mean(values)) if values else None


def row(name: str, clips: Sequence[Metrics]) -> str:
    """Return one line of a table: name, number of clips, E_n, E_l, F1@2, rho."""
    keys = (('e_n', 2), ('e_l', 2), ('f1', 3), ('rho', 3))
    values = ((mean(clips, key), digits) for key, digits in keys)
    cells = ' | '.join('-' if v is None else f'{v:.{d}f}' for v, d in values)
    return f'| {name} | {len(clips)} | {cells} |'


def failure(clip: str, metrics: Metrics, facts: ClipFacts) -> str:
    """Return one line about a clip on which a model does badly."""
    return (
        f'- {clip}: F1@2 {metrics["f1"] or 0:.2f}, {metrics["found"]} keyframes for '
        f'{metrics["truth"]} true ones, rho {metrics["rho"] or 0:.2f} ({facts.fps:.0f} fps, face '
        f'of {facts.face_px:.0f} px, {facts.keyframes_per_s:.1f} keyframes/s, '
        f'{100 * facts.mouth:.0f} % mouth)'
    )


def card(
    name: str,
    method: str,
    entry: Mapping[str, Any],
    size_mb: float,
    methods: Mapping[str, Any],
    facts: Mapping[str, ClipFacts],
    command: str,
) -> str:
    """Return the text of a model's card.

    Args:
        name: of the model.
        method: of the JSON file.
        entry: of the manifest.
        size_mb: of the file [MB].
        methods: of the JSON file.
        facts: by clip.
        command: that made the JSON file.
    """
    usable = {
        m: {c: v for c, v in r['clips'].items() if v['truth'] >= FEWEST_KEYFRAMES}
        for m, r in methods.items()
    }
    own = usable[method]
    measured = entry.get('measured', {})
    difference = measured.get('difference_from_training', {})
    head = '| {} | clips | E_n | E_l [frames] | F1@2 | rho |\n|---|---|---|---|---|---|'
    worst = sorted(own, key=lambda c: own[c]['f1'] if own[c]['f1'] is not None else 1.0)[:WORST]
    failures = [failure(c, own[c], facts[c]) for c in worst]
    precision = ''
    if measured.get('precision') == 'int8':
        precision = ', computes in int8'
        if difference:
            precision += (
                f' (change vectors of people it did not train on differ from float32 by '
                f'{100 * difference["change"]:.1f} % RMS)'
            )
    parts = [
        f'# {name}',
        f'{WHAT.get(name, "")} {size_mb:.1f} MB{precision}. {entry.get("note", "")}'.strip(),
        f'**Use.** {USE}',
        f'**Data.** {entry["training_data"]}. {entry["licence"]}. How it was trained: '
        'docs/training.md.',
        f'**Figures.** `{command}`, from the video file on, face tracking included, people who '
        f'are in no training; worst commit delay '
        f'{methods[method]["mean"]["delay_worst_s"]:.3f} s. '
        'Written by `python -m training.keyframe.export.card`.',
        '\n'.join(
            [head.format('method')]
            + [row(f'**{m}**' if m == method else m, list(usable[m].values())) for m in usable]
        ),
        '\n'.join(
            [head.format(f'{method}, by group')]
            + [
                row(title, [own[c] for c in own if belongs(facts[c])])
                for title, belongs in GROUPS
                if any(belongs(facts[c]) for c in own)
            ]
        ),
        '**Where it fails.** The worst clips:\n\n' + '\n'.join(failures),
        f'**Limits.** {LIMITS}',
    ]
    return '\n\n'.join(_wrap(part) for part in parts) + '\n'


def _wrap(text: str) -> str:
    """Break prose at WIDTH; tables and lists stay as they are."""
    if text.startswith(('|', '-', '#')) or '\n\n' in text:
        return text
    lines, line = [], ''
    for word in text.split():
        if line and len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = word
        else:
            line = f'{line} {word}'.strip()
    return '\n'.join([*lines, line])


def measured_figures(means: Mapping[str, Any], clips: Path, command: str) -> dict[str, Any]:
    """Return the part of a manifest entry that says what was measured."""
    keys = ('clips', 'e_n', 'e_l', 'f1', 'rho', 'delay_worst_s')
    values = {k: round(v, 3) if isinstance(v := means[k], float) else v for k in keys}
    return {'command': command, clips.name: values}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check cards; 1 when a card is out of date, 2 for what the user can fix."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--json', type=Path, required=True, help='of kf_imitation evaluate')
    parser.add_argument('--clips', type=Path, required=True, help='the folder it measured')
    parser.add_argument('--models', type=Path, default=Path('models'))
    parser.add_argument('--check', action='store_true', help='write nothing; 1 if out of date')
    args = parser.parse_args(arguments)
    try:
        methods = json.loads(args.json.read_text(encoding='utf-8'))['methods']
        stems = next(iter(methods.values()))['clips']
        facts = {
            c: clip_facts(load_labels(args.clips / f'{c}.npz'), m['truth'])
            for c, m in stems.items()
        }
    except (OSError, ValueError, TypeError, KeyError, StopIteration) as error:
        print(f'{args.json} is not a result of kf_imitation evaluate: {error!r}', file=sys.stderr)
        return 2
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    table = yaml.safe_load(share_path('config/evaluate.yaml').read_text(encoding='utf-8'))
    manifest = args.models / 'manifest.yaml'
    command = f'kf_imitation evaluate {args.clips} --methods {",".join(methods)}'
    stale = []
    for method in methods:
        name = table.get(method, {}).get('model')
        if name is None:
            continue
        entry = yaml.safe_load(manifest.read_text(encoding='utf-8'))['models'][name]
        size_mb = (args.models / entry['file']).stat().st_size / 1e6
        text = card(name, method, entry, size_mb, methods, facts, command)
        file = args.models / f'{name}.md'
        if not file.is_file() or file.read_text(encoding='utf-8') != text:
            stale.append(str(file))
        if not args.check:
            file.write_text(text, encoding='utf-8')
            kept = ('change_gain', 'precision', 'difference_from_training')
            own = {k: v for k, v in entry.get('measured', {}).items() if k in kept}
            figures = measured_figures(methods[method]['mean'], args.clips, command)
            write_manifest(manifest, name, {**entry, 'measured': {**figures, **own}})
            print(file)
    if args.check and stale:
        print(f'not what {args.json} says: {", ".join(stale)}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
