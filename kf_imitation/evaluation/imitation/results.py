"""Figures of all methods on all clips, for files and for people."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from kf_imitation.evaluation.imitation.figures import ClipSizes, ImitationMetrics, means, size_rows
from kf_imitation.parameters.settings import DetectorSettings

Results = Mapping[str, Mapping[str, ImitationMetrics]]  # by method, then by clip


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
    title = f'imitation by {robot}, mean of {clips} clips, channels from {channels}'
    table = Table(title=title, title_justify='left')
    table.add_column('method')
    columns: dict[str, Callable[[float], str]] = {
        'cosine': '{:.3f}'.format,
        'tracking': '{:.3f}'.format,
        'delay_s': '{:.2f}'.format,
        'smoothness': '{:.2f}'.format,
        'reversals_per_s': '{:.2f}'.format,
        'commands_per_s': '{:.2f}'.format,
        'arrived': '{:.0%}'.format,
        'on_time': lambda fraction: '' if math.isnan(fraction) else f'{fraction:.0%}',
    }
    for name in columns:
        table.add_column(name.replace('_', ' '), justify='right')
    for method, by_clip in results.items():
        row = means(by_clip.values())
        table.add_row(method, *(write(row[name]) for name, write in columns.items()))
    return table


def size_table(results: Results) -> Table:
    """Return the means of section 3b of the benchmark, one row for each method."""
    table = Table(title='size: joints of the face, blinks and winks', title_justify='left')
    table.add_column('method')
    columns: dict[str, Callable[[float], str]] = {
        'size_correlation': '{:.3f}'.format,
        'size_delay_s': '{:.2f}'.format,
        'gain': '{:.2f}'.format,
        'ccc': '{:.2f}'.format,
        'rest': '{:.3f}'.format,
        'apex': '{:.2f}'.format,
        'blinks': '{:.0f}'.format,
        'blinks_shown': '{:.0%}'.format,
        'blinks_invented_per_min': '{:.1f}'.format,
        'winks': '{:.0f}'.format,
        'winks_apart': '{:.0%}'.format,
    }
    for name in columns:
        table.add_column(name.removeprefix('size_').replace('_', ' '), justify='right')
    for method, by_clip in results.items():
        row = means(by_clip.values())
        if 'gain' in row:
            table.add_row(method, *(_written(row[name], write) for name, write in columns.items()))
    return table


def signal_table(results: Results, method: str) -> Table:
    """Return gain, ccc, rest and apex of one method by joint and by channel."""
    table = Table(title=f'size by joint and by channel, {method}', title_justify='left')
    for heading in ('signal', 'gain', 'ccc', 'rest', 'apex', 'moves'):
        table.add_column(heading, justify='left' if heading == 'signal' else 'right')
    for name, row in size_rows(sizes_of(results[method])).items():
        figures = (_written(row[key], '{:.2f}'.format) for key in ('gain', 'ccc', 'rest', 'apex'))
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


def _written(value: float, write: Callable[[float], str]) -> str:
    return '' if math.isnan(value) else write(value)
