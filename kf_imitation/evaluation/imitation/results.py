"""Figures of all methods on all clips, for files and for people."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from kf_imitation.errors import counted
from kf_imitation.evaluation.imitation.figures import ClipSizes, ImitationMetrics, means, size_rows
from kf_imitation.parameters.settings import DetectorSettings

Results = Mapping[str, Mapping[str, ImitationMetrics]]  # by method, then by clip
_HEADINGS = {'size_correlation': 'corr.'}


def as_json(
    results: Results, robot: str, channels: str, settings: DetectorSettings
) -> dict[str, Any]:
    """Return the results by method and clip, with the means; NaN becomes null."""
    return {
        'robot': robot,
        'channels': channels,
        'detector': asdict(settings),
        'methods': {
            method: {name: finite(asdict(result)) for name, result in by_clip.items()}
            for method, by_clip in results.items()
        },
        'means': {method: finite(means(by_clip.values())) for method, by_clip in results.items()},
        'sizes': {
            method: finite(size_rows(sizes_of(by_clip))) for method, by_clip in results.items()
        },
    }


def tables(results: Results, robot: str, channels: str, shown: str) -> list[Table]:
    """Return all tables; `shown` is the method whose signals are listed one by one."""
    return [
        results_table(results, robot, len(results[shown]), channels),
        size_table(results),
        signal_table(results, shown),
    ]


def results_table(results: Results, robot: str, clips: int, channels: str) -> Table:
    """Return the means over the clips, one row for each method."""
    title = f'imitation by {robot}, mean of {counted(clips, "clip")}, channels from {channels}'
    columns = {
        'cosine': '{:.3f}',
        'tracking': '{:.3f}',
        'delay_s': '{:.2f}',
        'smoothness': '{:.2f}',
        'reversals_per_s': '{:.2f}',
        'commands_per_s': '{:.2f}',
        'arrived': '{:.0%}',
        'on_time': '{:.0%}',
    }
    return _means_table(title, columns, results)


def size_table(results: Results) -> Table:
    """Return the means of section 3b of the benchmark, one row for each method."""
    columns = {
        'size_correlation': '{:.3f}',
        'size_delay_s': '{:.2f}',
        'gain': '{:.2f}',
        'ccc': '{:.2f}',
        'rest': '{:.3f}',
        'apex': '{:.2f}',
        'blinks': '{:.0f}',
        'blinks_shown': '{:.0%}',
        'blinks_invented_per_min': '{:.1f}',
        'winks': '{:.0f}',
        'winks_apart': '{:.0%}',
    }
    return _means_table('size: joints of the face, blinks and winks', columns, results)


def _means_table(title: str, columns: Mapping[str, str], results: Results) -> Table:
    """Return means by method; those without the figures are left out."""
    # Narrow cells and a word to a line: names and headings stand whole in 100 columns.
    table = Table(title=title, title_justify='left', padding=(0, 0, 0, 1))
    table.add_column('method', no_wrap=True)
    for name in columns:
        heading = _HEADINGS.get(name, name.removeprefix('size_').replace('_', ' '))
        table.add_column('\n'.join(heading.split()), justify='right', no_wrap=True)
    for method, by_clip in results.items():
        row = means(by_clip.values())
        if row.keys() >= columns.keys():
            table.add_row(method, *(_written(row[name], form) for name, form in columns.items()))
    return table


def signal_table(results: Results, method: str) -> Table:
    """Return gain, ccc, rest and apex of one method by joint and by channel."""
    table = Table(title=f'size by joint and by channel, {method}', title_justify='left')
    for heading in ('signal', 'gain', 'ccc', 'rest', 'apex', 'moves'):
        table.add_column(heading, justify='left' if heading == 'signal' else 'right')
    for name, row in size_rows(sizes_of(results[method])).items():
        figures = (_written(row[key], '{:.2f}') for key in ('gain', 'ccc', 'rest', 'apex'))
        table.add_row(name, *figures, f'{row["signals"]:.0f}')
    return table


def sizes_of(by_clip: Mapping[str, ImitationMetrics]) -> list[ClipSizes]:
    """Return the sizes of the clips that have them."""
    return [result.sizes for result in by_clip.values() if result.sizes is not None]


def finite(value: Any) -> Any:
    """Return a document in which NaN has become None."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _written(value: float, form: str) -> str:
    return '' if math.isnan(value) else form.format(value)
