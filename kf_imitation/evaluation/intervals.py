"""How sure the figures are: bootstrap intervals over people.

Clips of one person are alike, so people are drawn, not clips: with replacement, as many as there
are. The figure of a draw is the mean over the clips of the people drawn. The interval holds the
middle 95 % of the draws. Two methods are compared on the same people and clips at once (paired):
what is hard in a clip is hard for both, and drops out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from kf_imitation.evaluation.metrics import FEWEST_KEYFRAMES, ClipMetrics

DRAWS = 10_000
LEVEL = 0.95
MEASURES = (('e_n', 'E_n', 2), ('e_l', 'E_l', 2), ('f1', 'F1@2', 3), ('rho', 'rho', 3))

Clips = Mapping[str, ClipMetrics]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over clips and how far it may be off because these are the people there are.

    Attributes:
        mean: over the clips.
        low: end of the interval.
        high: other end.
        people: number of people.
    """

    mean: float
    low: float
    high: float
    people: int


def interval(values: Sequence[float], people: Sequence[str]) -> Interval:
    """Return the bootstrap interval of a mean.

    Args:
        values: of the clips, one or more.
        people: who is seen in each clip.
    """
    names, person = np.unique(np.asarray(people), return_inverse=True)
    sums, counts = np.bincount(person, values), np.bincount(person)
    chance = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(0).multinomial(len(names), chance, DRAWS)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(float(np.mean(values)), float(low), float(high), len(names))


def of_method(clips: Clips, people: Mapping[str, str]) -> dict[str, Interval]:
    """Return the intervals of a method's measures.

    Args:
        clips: by name; those with too few keyframes are left out, as in the means.
        people: by name of the clip.
    """
    return _intervals(
        {
            key: {name: getattr(clip, key) for name, clip in clips.items() if _counts(clip)}
            for key, _, _ in MEASURES
        },
        people,
    )


def of_difference(first: Clips, other: Clips, people: Mapping[str, str]) -> dict[str, Interval]:
    """Return the intervals of one method minus another, paired by clip."""
    return _intervals(
        {
            key: {
                name: None if a is None or b is None else a - b
                for name, clip in first.items()
                if _counts(clip)
                for a, b in [(getattr(clip, key), getattr(other[name], key))]
            }
            for key, _, _ in MEASURES
        },
        people,
    )


def intervals_table(methods: Mapping[str, Clips], people: Mapping[str, str]) -> Table:
    """Return the intervals of all methods, then those of the first method minus each other."""
    count = len({people[name] for clips in methods.values() for name in clips})
    table = Table(title=f'95 % intervals over {count} people')
    table.add_column('method', overflow='fold')
    for _, heading, _ in MEASURES:
        table.add_column(heading, justify='right')
    for name, clips in methods.items():
        table.add_row(name, *_cells(of_method(clips, people), ''))
    (first, own), *others = methods.items()
    table.add_section()
    for name, clips in others:
        table.add_row(f'{first} minus {name}', *_cells(of_difference(own, clips, people), '+'))
    return table


def _counts(clip: ClipMetrics) -> bool:
    return clip.truth >= FEWEST_KEYFRAMES


def _intervals(
    values: Mapping[str, Mapping[str, float | None]], people: Mapping[str, str]
) -> dict[str, Interval]:
    found = {}
    for key, by_clip in values.items():
        known = {name: value for name, value in by_clip.items() if value is not None}
        if known:
            found[key] = interval(list(known.values()), [people[name] for name in known])
    return found


def _cells(intervals: Mapping[str, Interval], sign: str) -> list[str]:
    cells = []
    for key, _, digits in MEASURES:
        if key not in intervals:
            cells.append('-')
            continue
        i = intervals[key]
        style = f'{sign}.{digits}f'
        cells.append(f'{i.mean:{style}}\n[{i.low:{style}}, {i.high:{style}}]')
    return cells
