"""How well each method finds keyframes on labelled clips, and the tables of it.

The definitions are those of docs/keyframes.md. Everything from the video on is the runtime's own:
decoding, face tracking, scores, smoothing, online detection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from kf_imitation.evaluation.clip_scores import ScoredClip, measure, select
from kf_imitation.evaluation.intervals import intervals_table, of_method
from kf_imitation.evaluation.methods import Method
from kf_imitation.evaluation.metrics import ClipMetrics, mean_metrics
from kf_imitation.replay.csv_writer import write_scores

# Commit delays of the curve [s].
CURVE_S = (0.07, 0.1, 0.135, 0.17, 0.2, 0.25, 0.3, 0.5)

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


def as_json(
    results: Sequence[MethodResult], people: Mapping[str, str], left_out: Sequence[str] = ()
) -> dict[str, Any]:
    """Return methods, each with its settings, clips, means, intervals and curve.

    Args:
        results: of the methods.
        people: who is seen in each clip.
        left_out: clips that were not measured.
    """
    return {
        'left_out': list(left_out),
        'people': dict(people),
        'methods': {
            result.method.name: {
                'detector': asdict(result.method.settings),
                'smoothing': asdict(result.method.smoothing),
                'clips': {name: asdict(metrics) for name, metrics in result.clips.items()},
                'mean': result.means,
                'intervals': {k: asdict(i) for k, i in of_method(result.clips, people).items()},
                'curve': [{'commit_delay_s': d, **means} for d, means in result.curve.items()],
            }
            for result in results
        },
    }


def tables(results: Sequence[MethodResult], people: Mapping[str, str]) -> list[Table]:
    """Return all tables; intervals only of two people or more, who are seen in each clip."""
    clips_of = {result.method.name: result.clips for result in results}
    intervals = [intervals_table(clips_of, people)] if len(set(people.values())) > 1 else []
    return [*map(clip_table, results), curve_table(results), means_table(results), *intervals]


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
