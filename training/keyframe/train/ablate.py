"""What each piece of the default training is worth: the same short training without it.

`python -m training.keyframe.train.ablate --minutes 20 --rows all`

Every row has the same budget, seed and start. Rows are measured on the held-out training people;
dev is measured once, when all rows asked for are done, and chooses nothing. Finished rows are kept
in OUT/results.json; started again, the command goes on with the next.
"""

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from kf_imitation.cli.terminal import write_json
from kf_imitation.errors import KfImitationError, ModelError, SourceError
from training.keyframe.export.run import held_out
from training.keyframe.measure.held_out_people import clips_of, measure_file
from training.keyframe.train.options import add_data_options

CONFIG = Path('training/keyframe/train/configs/default.yaml')
# Overrides (--set) of each row; the first is what the others are compared with.
ROWS: dict[str, tuple[str, ...]] = {
    'default': (),
    'without flow': ('network.motion=difference', 'loss.ssim=0', 'loss.endpoint=0'),
    'without parts': ('network.parts=false', 'data.crop_px=128'),
    'without gradient motion': ('network.gradient=none', 'network.contrast_shrink=1'),
    'without places': ('network.use_places=false', 'loss.expression=0'),
    'without renders': ('data.renders=0',),
    'without animated photographs': ('data.animated=0',),
    'without points target': ('loss.points=0',),
    'without noise': ('data.augment={noise: 0}',),
    'without light': ('data.augment={light: 0, flicker: 0, grey: 0}',),
    'without blur': ('data.augment={blur_px: 0}',),
    'without compress': ('data.augment={compress: 0}',),
    'without occlude': ('data.augment={occlude: 0}',),
    'without geometry': ('data.augment={shift: 0, zoom: 0, turn_deg: 0}',),
    'without gaps': ('data.gaps=[1.0]',),
    'without reverse': ('data.reverse=0',),
    'without mirror': ('data.mirror=0',),
}
BEGIN, END = '<!-- ablation: begin -->', '<!-- ablation: end -->'
COLUMNS = ('error', 'rho', 'f1')

# A row's name to the checkpoint it trained; a checkpoint to its figures.
Trainer = Callable[[str], Path]
Measurer = Callable[[Path], dict[str, float]]


def folder_of(row: str) -> str:
    """Return the name of a row's folder."""
    return row.replace(' ', '_')


def load_results(file: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Read the results, or begin them.

    Raises:
        SourceError: they were made with other settings, so rows would not be comparable.
    """
    if not file.exists():
        return {'settings': settings, 'rows': {}}
    results = json.loads(file.read_text(encoding='utf-8'))
    other = [k for k, v in settings.items() if results['settings'].get(k) != v]
    if other:
        raise SourceError(
            '; '.join(
                f'{file}: rows were trained with {k} {results["settings"].get(k)!r}, not '
                f'{settings[k]!r}'
                for k in other
            )
            + ': take another --out'
        )
    return dict(results)


def run_rows(
    rows: Sequence[str],
    file: Path,
    settings: dict[str, Any],
    train: Trainer,
    held: Measurer,
    dev: Measurer | None,
) -> dict[str, Any]:
    """Train and measure the rows that are not done yet.

    Args:
        rows: names of ROWS.
        file: of the results, written after every row.
        settings: must be those of the rows that are there.
        train: a row.
        held: measures on the held-out people.
        dev: measures on dev, once for a row, after all rows; None: not at all.

    Returns:
        The results.
    """
    results = load_results(file, settings)
    for row in rows:
        if row not in results['rows']:
            checkpoint = train(row)
            steps = torch.load(checkpoint, map_location='cpu', weights_only=False)['global_step']
            results['rows'][row] = {
                'checkpoint': str(checkpoint),
                'steps': int(steps),
                'held_out': held(checkpoint),
            }
            write_json(results, file)
    if dev is None:
        return results
    for row in rows:
        if 'dev' not in results['rows'][row]:
            results['rows'][row]['dev'] = dev(Path(results['rows'][row]['checkpoint']))
            write_json(results, file)
    return results


def table(results: dict[str, Any]) -> str:
    """Return the Markdown table: figures of the rows, then the command of each."""
    s, rows = results['settings'], results['rows']
    budget = f'{s["minutes"]:g} minutes' if s['minutes'] else f'{s["steps"]} steps'
    lines = [
        f'{budget} each, seed {s["seed"]}, started from {s["start"] or "random weights"}; means'
        ' over the held-out training people, in the last column over dev.',
        '',
        '| row | steps | error of the change vectors | rho | F1@2 | dev F1@2 |',
        '|---|---|---|---|---|---|',
    ]
    order = [row for row in ROWS if row in rows]
    for row in order:
        found = rows[row]
        values = [f'{found["held_out"][k]:.3f}' if k in found['held_out'] else '' for k in COLUMNS]
        f1 = found.get('dev', {}).get('f1')
        values.append('' if f1 is None else f'{f1:.3f}')
        lines.append(f'| {row} | {found["steps"]} | ' + ' | '.join(values) + ' |')
    spent = f'--minutes {s["minutes"]:g}' if s['minutes'] else f'--steps {s["steps"]}'
    start = f'--start {shlex.quote(s["start"] or "none")} --limit {s["limit"]}'
    overrides = f' --set {shlex.join(s["set"])}' if s['set'] else ''
    lines += [
        '',
        'The command, with the name of a row in place of ROW:',
        '',
        f'    python -m training.keyframe.train.ablate {spent} {start} --seed {s["seed"]} '
        f"--rows 'ROW'{overrides}",
    ]
    return '\n'.join(lines)


def write_table(file: Path, text: str) -> None:
    """Replace what stands between the markers.

    Raises:
        SourceError: the file has no markers.
    """
    document = file.read_text(encoding='utf-8')
    if document.count(BEGIN) != 1 or document.count(END) != 1:
        raise SourceError(f'{file} must hold {BEGIN} and {END} once each')
    before, _, rest = document.partition(BEGIN)
    temporary = file.with_suffix('.tmp')
    temporary.write_text(f'{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}', 'utf-8')
    os.replace(temporary, file)


def command(row: str, options: argparse.Namespace) -> list[str]:
    """Return the training of a row."""
    overrides = [*options.set, f'seed={options.seed}', *ROWS[row]]
    if options.steps:
        overrides.append(f'max_steps={options.steps}')
    start = ['--start', options.start] if options.start else []
    labels = ['--labels', options.labels] if options.labels else []
    data = [f'--{k}={getattr(options, k)}' for k in ('clips', 'cache', 'faces', 'renders')]
    return [
        *(sys.executable, '-m', 'training.keyframe.train', '--config', str(CONFIG)),
        *(*data, f'--animated={options.animated}', *map(str, labels)),
        *('--out', str(options.out / folder_of(row)), '--threads', str(options.threads)),
        *('--minutes', str(options.minutes), *map(str, start), '--set', *overrides),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ablation; 2 for bad arguments, 1 if a row fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=0.0, help='of each row; or')
    parser.add_argument('--steps', type=int, default=0, help='of each row')
    parser.add_argument('--rows', nargs='+', default=['all'], metavar='ROW')
    parser.add_argument('--start', default='runs/keyframe_lite_wide/last.ckpt', help='or none')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--set', nargs='*', default=[], help='overrides of all rows')
    add_data_options(parser)
    parser.add_argument('--dev', type=Path, default=Path('../shared/data/clips/dev'))
    parser.add_argument('--out', type=Path, default=Path('runs/ablation'))
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--limit', type=int, default=150, help='frames measured of a clip')
    parser.add_argument('--table', type=Path, default=Path('docs/results.md'))
    options = parser.parse_args(arguments)
    rows = list(ROWS) if options.rows == ['all'] else options.rows
    options.start = None if options.start == 'none' else options.start
    faults = [f'--rows {r!r}: must be all or of {", ".join(ROWS)}' for r in rows if r not in ROWS]
    if (options.minutes > 0) == (options.steps > 0):
        faults.append('either --minutes or --steps must be more than 0')
    if options.start and not Path(options.start).is_file():
        faults.append(f'--start {options.start}: no such file')
    if faults:
        parser.error('; '.join(faults))
    settings: dict[str, Any] = {k: getattr(options, k) for k in ('minutes', 'steps', 'seed')}
    start = Path(options.start).read_bytes() if options.start else b''
    settings |= {'start': options.start, 'start_sha256': hashlib.sha256(start).hexdigest()}
    settings |= {'set': options.set, 'clips': str(options.clips), 'limit': options.limit}

    def train(row: str) -> Path:
        print(f'{row}: {shlex.join(command(row, options)[1:])}', flush=True)
        if subprocess.run(command(row, options), check=False).returncode:
            raise ModelError(f'the training of row {row!r} failed')
        return Path(options.out / folder_of(row) / 'last.ckpt')

    def held(checkpoint: Path) -> dict[str, float]:
        names = held_out(checkpoint)
        if not names:
            raise SourceError('hold_out is empty: nothing to measure on')
        clips = clips_of(options.clips, options.labels, options.cache, names)
        return measure_file(checkpoint, clips, options.limit)[0]

    def dev(checkpoint: Path) -> dict[str, float]:
        cache = options.out / 'dev_cache'
        return measure_file(checkpoint, clips_of(options.dev, None, cache, []), options.limit)[0]

    try:
        results = run_rows(
            rows,
            options.out / 'results.json',
            settings,
            train,
            held,
            dev if options.dev.exists() else None,
        )
        write_table(options.table, table(results))
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{options.table}: {len(results["rows"])} rows')
    return 0


if __name__ == '__main__':
    sys.exit(main())
