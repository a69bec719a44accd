"""`kf_imitation evaluate`: how well keyframes are found, and how well they are imitated.

Keyframes are measured on labelled clips by the definitions of docs/keyframes.md. Everything from
the video on is the runtime's own: decoding, face tracking, scores, smoothing, online detection.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from kf_imitation.errors import ConfigError
from kf_imitation.evaluation import datasets
from kf_imitation.evaluation.clip_scores import ScoredClip, measure, score_clips, select
from kf_imitation.evaluation.imitation import command as imitation
from kf_imitation.evaluation.methods import Method, load_methods
from kf_imitation.evaluation.metrics import ClipMetrics, mean_metrics
from kf_imitation.evaluation.tune import tune
from kf_imitation.output_files import check_free, new_file, new_folder
from kf_imitation.pipeline.face_pipeline import detector_settings, face_settings
from kf_imitation.replay.csv_writer import write_scores
from kf_imitation.ros_graph.nodes import merged_parameters

# Commit delays of the curve [s].
CURVE_S = (0.07, 0.1, 0.135, 0.17, 0.2, 0.25, 0.3, 0.5)
_DEFAULT_METHODS = 'default,lite,frame_difference,dis'

Means = dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class MethodResult:
    """What was measured of one method.

    Attributes:
        method: its name and settings.
        clips: measures by clip.
        means: over clips.
        curve: means by commit delay [s].
    """

    method: Method
    clips: dict[str, ClipMetrics]
    means: Means
    curve: dict[float, Means]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        'directory',
        nargs='?',
        type=Path,
        metavar='DIR',
        help='labelled clips: a folder, VoxCeleb, 300VW, CAER',
    )
    parser.add_argument(
        '--methods',
        default=_DEFAULT_METHODS,
        metavar='A,B',
        help=f'what to compare, of config/evaluate.yaml (default: {_DEFAULT_METHODS})',
    )
    parser.add_argument(
        '--labels', type=Path, metavar='DIR', help='label files, mirroring the folder of clips'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures')
    parser.add_argument(
        '--dump', type=Path, metavar='DIR', help='write METHOD/CLIP.csv with every score'
    )
    parser.add_argument(
        '--params', default='', metavar='FILE', help='parameters above config/kf_imitation.yaml'
    )
    parser.add_argument('--threads', type=int, default=2, help='threads of each model')
    parser.add_argument('--jobs', type=int, default=1, help='clips at once, a process each')
    parser.add_argument(
        '--tune',
        action='store_true',
        help='print the detector and smoothing settings that are best on these clips',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace results that exist')
    imitation.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, print tables, write files.

    Returns:
        Exit code 0.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    if args.imitation is not None:
        return imitation.run(args)
    _check(args)
    values = merged_parameters(args.params)['keyframe']
    names = [name for name in args.methods.split(',') if name]
    settings = replace(detector_settings(values), mode='peak')  # what the measures are about
    methods = load_methods(names, settings, args.threads)
    found = datasets.find(args.directory, args.labels, labelled=True)
    videos = [clip.video for clip in found]
    for path in (args.json, args.dump):
        if path is not None:
            check_free(path, args.overwrite)
    console = Console(width=None if sys.stdout.isatty() else 120)
    with _progress() as progress:
        task = progress.add_task('clips', total=len(videos))
        clips = score_clips(
            args.directory,
            videos,
            names,
            face_settings(values),
            args.threads,
            args.jobs,
            lambda name: progress.update(task, advance=1, description=name),
            {clip.video: clip.labels for clip in found},
        )
    if args.tune:
        for method in methods:
            console.print(tune(method, clips))
        return 0
    results = [evaluate(method, clips) for method in methods]
    for table in (*(clip_table(result) for result in results), curve_table(results)):
        console.print(table)
    console.print(means_table(results))
    if args.dump is not None:
        with new_folder(args.dump, args.overwrite) as folder:
            dump(folder, methods, clips)
    if args.json is not None:
        with new_file(args.json, args.overwrite) as file:
            text = json.dumps(as_json(results), indent=1, ensure_ascii=False)
            file.write_text(text + '\n', encoding='utf-8')
    return 0


def evaluate(method: Method, clips: Sequence[ScoredClip]) -> MethodResult:
    """Measure one method on scored clips."""

    def measures(commit_delay_s: float) -> dict[str, ClipMetrics]:
        settings = replace(method.settings, commit_delay_s=commit_delay_s)
        return {
            clip.name: measure(clip, *select(clip.raw[method.name], settings, method.smoothing))
            for clip in clips
        }

    own = measures(method.settings.commit_delay_s)
    curve = {delay_s: mean_metrics(measures(delay_s).values()) for delay_s in CURVE_S}
    return MethodResult(method, own, mean_metrics(own.values()), curve)


def dump(folder: Path, methods: Sequence[Method], clips: Sequence[ScoredClip]) -> None:
    """Write METHOD/CLIP.csv: frame, stamp_s, score, keyframe, committed_s."""
    for method in methods:
        for clip in clips:
            path = folder / method.name / f'{clip.name}.csv'
            path.parent.mkdir(parents=True, exist_ok=True)
            write_scores(path, *select(clip.raw[method.name], method.settings, method.smoothing))


def as_json(results: Sequence[MethodResult]) -> dict[str, Any]:
    """Return methods, each with its settings, clips, means and curve."""
    return {
        'methods': {
            result.method.name: {
                'detector': asdict(result.method.settings),
                'smoothing': asdict(result.method.smoothing),
                'clips': {name: asdict(metrics) for name, metrics in result.clips.items()},
                'mean': result.means,
                'curve': [{'commit_delay_s': d, **means} for d, means in result.curve.items()],
            }
            for result in results
        }
    }


def clip_table(result: MethodResult) -> Table:
    """Return the measures of one method on every clip."""
    table = _table(f'{result.method.name}, each clip', 'clip')
    for name, metrics in sorted(result.clips.items()):
        _add_row(table, name, asdict(metrics))
    return table


def means_table(results: Sequence[MethodResult]) -> Table:
    """Return the means of all methods."""
    count = results[0].means['clips']
    table = _table(f'mean over {count} clips', 'method')
    for result in results:
        _add_row(table, result.method.name, result.means)
    return table


def curve_table(results: Sequence[MethodResult]) -> Table:
    """Return the means of all methods by commit delay."""
    table = Table(title='commit delay against E_n / E_l / F1@2')
    table.add_column('delay [s]', justify='right')
    for result in results:
        table.add_column(result.method.name, justify='right')
    for delay_s in CURVE_S:
        means = [result.curve[delay_s] for result in results]
        cells = [
            f'{_cell(m["e_n"], 1)} / {_cell(m["e_l"], 2)} / {_cell(m["f1"], 3)}' for m in means
        ]
        table.add_row(f'{delay_s:g}', *cells)
    return table


_COLUMNS = (
    ('e_n', 'E_n', 2),
    ('e_l', 'E_l', 2),
    ('f1', 'F1@2', 3),
    ('rho', 'rho', 3),
    ('delay_median_s', 'delay [s]', 3),
    ('delay_worst_s', 'worst [s]', 3),
    ('truth', 'true', 1),
    ('found', 'found', 1),
)


def _table(title: str, first: str) -> Table:
    table = Table(title=title)
    table.add_column(first, overflow='fold')
    for _, heading, _ in _COLUMNS:
        table.add_column(heading, justify='right')
    return table


def _add_row(table: Table, name: str, values: Mapping[str, float | int | None]) -> None:
    table.add_row(name, *(_cell(values[key], digits) for key, _, digits in _COLUMNS))


def _cell(value: float | int | None, digits: int) -> str:
    if value is None:
        return '-'
    return str(value) if isinstance(value, int) else f'{value:.{digits}f}'


def _check(args: argparse.Namespace) -> None:
    faults = []
    if args.directory is None:
        faults.append('DIR is missing: name a folder of labelled clips (or give --imitation)')
    faults += [
        f'--{name} = {getattr(args, name)} must be 1 or more'
        for name in ('threads', 'jobs')
        if getattr(args, name) < 1
    ]
    if faults:
        raise ConfigError('evaluate', faults)


def _progress() -> Progress:
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
