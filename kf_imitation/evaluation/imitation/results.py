"""Figures of all methods on all clips, for files and for people."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict

from rich.table import Table

from kf_imitation.evaluation.imitation.figures import ImitationMetrics, means
from kf_imitation.parameters.settings import DetectorSettings

Results = Mapping[str, Mapping[str, ImitationMetrics]]  # by method, then by clip


def as_json(results: Results, robot: str, channels: str, settings: DetectorSettings) -> str:
    """Return the results by method and clip, with the means; NaN becomes null."""
    document = {
        'robot': robot,
        'channels': channels,
        'detector': asdict(settings),
        'methods': {
            method: {name: finite(asdict(result)) for name, result in by_clip.items()}
            for method, by_clip in results.items()
        },
        'means': {method: finite(means(by_clip.values())) for method, by_clip in results.items()},
    }
    return json.dumps(document, indent=1) + '\n'


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


def finite(row: Mapping[str, float]) -> dict[str, float | None]:
    """Return a row in which NaN has become None."""
    return {key: None if math.isnan(value) else value for key, value in row.items()}
