"""One HTML page that compares two runs, A and B, on one time axis."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from string import Template
from typing import Any, TypeVar

from kf_imitation.evaluation.metrics import DISTANCE_S, pair
from kf_imitation.parameters.schema import SCHEMA
from kf_imitation.reporting.data import ReportData
from kf_imitation.reporting.page import (
    SIZES,
    STAGE_WORDS,
    number,
    part,
    shared,
    table,
)

SCRIPTS = ('what_if.js', 'charts.js', 'report.js', 'comparison.js')
Group = dict[str, Any]
T = TypeVar('T')


def page(places: tuple[str, str], first: ReportData, second: ReportData) -> str:
    """Return the whole page as one text.

    Args:
        places: of the two runs.
        first: run A.
        second: run B.
    """
    runs = [
        {key: data.page[key] for key in ('fps', 'run', 'settings', 'keyframes', 'truth_s')}
        for data in (first, second)
    ]
    pairs = paired(first, second)
    return Template(part('comparison.html')).substitute(
        first=html.escape(places[0]),
        second=html.escape(places[1]),
        note=html.escape(_note(first, second)),
        tables='\n'.join(tables(first, second, len(pairs))),
        **shared(
            SCRIPTS,
            {
                'runs': runs,
                'pairs': pairs,
                'channels': _together(first.page['channels'], second.page['channels']),
                'joints': _together(first.page['joints'], second.page['joints']),
            },
        ),
    )


def paired(first: ReportData, second: ReportData) -> list[tuple[int, int]]:
    """Return which keyframes of two runs are at most 0.2 s apart, one to one, as indices."""
    times_ms = [
        _milliseconds([k['time_s'] for k in data.page['keyframes']]) for data in (first, second)
    ]
    pairs = pair(times_ms[0], times_ms[1], round(1000 * DISTANCE_S))
    return [(times_ms[0].index(a), times_ms[1].index(b)) for a, b in pairs]


def tables(first: ReportData, second: ReportData, pairs: int) -> Iterator[str]:
    """Yield the sections with the measures of both runs side by side.

    Args:
        first: run A.
        second: run B.
        pairs: how many keyframes they have in common.
    """
    runs = (first, second)
    rows = [[name, *map(measure, runs)] for name, measure in _MEASURES.items()]
    rows += [
        [f'setting: {name}', str(value), str(second.page['settings'][name])]
        for name, value in first.page['settings'].items()
        if value != second.page['settings'][name]
    ]
    rows += [[f'parameter: {name}', str(a), str(b)] for name, a, b in _other_parameters(*runs)]
    rows.insert(4, ['… only in this run', *(str(len(d.page['keyframes']) - pairs) for d in runs)])
    yield table('Measures', ['', 'A', 'B'], rows)
    joints = _both(
        {row[0]: row for row in first.joint_sizes}, {row[0]: row for row in second.joint_sizes}
    )
    if joints:
        titles = ['joint', 'of its range, A', 'B', 'off (rms) [rad], A', 'B']
        cells = [[name, a[3], b[3], a[4], b[4]] for name, a, b in joints]
        yield table('How far each joint moved', titles, cells)
    sizes = _both(first.sizes, second.sizes)
    if sizes:
        cells = [
            [name, *(f'{number(a[k])} / {number(b[k])}' for k in SIZES)] for name, a, b in sizes
        ]
        yield table('Size against the labels, A / B', ['joint or channel', *SIZES], cells)
    times = _both(first.times_ms, second.times_ms)
    if times:
        titles = ['stage', 'p50, A', 'B', 'p99, A', 'B']
        cells = [
            [
                STAGE_WORDS.get(n, n),
                *(number(x.get(p), 1) for p in ('p50', 'p99') for x in (a, b)),
            ]
            for n, a, b in times
        ]
        yield table('Time per stage [ms]', titles, cells)


def _other_parameters(
    first: ReportData, second: ReportData
) -> Iterator[tuple[str, object, object]]:
    """Yield what differs besides the detector's settings; nothing where a run does not tell."""
    if first.parameters is None or second.parameters is None:
        return
    defined = {f'{node}.{p.name}': p.default for node, table in SCHEMA.items() for p in table}
    for name, usual in defined.items():
        a, b = first.parameters.get(name, usual), second.parameters.get(name, usual)
        if a != b and not name.startswith('keyframe.detector.'):
            yield name, a, b


def _keyframes_against_labels(data: ReportData) -> tuple[str, str]:
    """Return E_n and E_l [frames]; – without labels."""
    truth_s, fps = data.page['truth_s'], data.page['fps']
    if not truth_s:
        return '–', '–'
    found_ms = _milliseconds([k['time_s'] for k in data.page['keyframes']])
    near = pair(_milliseconds(truth_s), found_ms, round(1000 * (DISTANCE_S + 0.5 / fps)))
    apart = sum(abs(a - b) for a, b in near) / 1000 * fps
    e_l = f'{apart / len(near):.2f} frames' if near else '–'
    return str(abs(len(truth_s) - len(found_ms))), e_l


def _reached(data: ReportData) -> str:
    found = data.page['moments']
    return f'{sum(m["reached"] for m in found)} of {len(found)}' if found else '–'


def _longest_wait(data: ReportData) -> str:
    waits = [float(k['commit_delay_s']) for k in data.page['keyframes']]
    return f'{max(waits):.2f} s' if waits else '–'


_MEASURES: Mapping[str, Callable[[ReportData], str]] = {
    'source': lambda data: data.name,
    'scored by': lambda data: data.page['scored_by'] or '–',
    'frames': lambda data: f'{len(data.page["run"]["time_s"])}, {_seconds(data):.1f} s',
    'keyframes': lambda data: str(len(data.page['keyframes'])),
    'E_n against the labels': lambda data: _keyframes_against_labels(data)[0],
    'E_l against the labels': lambda data: _keyframes_against_labels(data)[1],
    'longest commit delay': _longest_wait,
    'blinks and apexes reached': _reached,
    'kinds of faults': lambda data: str(len(data.faults)),
}


def _note(first: ReportData, second: ReportData) -> str:
    if abs(_seconds(first) - _seconds(second)) > DISTANCE_S:
        return 'The runs differ in length; the time of each begins at its first frame.'
    return 'The time of each run begins at its first frame.'


def _seconds(data: ReportData) -> float:
    time_s = data.page['run']['time_s']
    return float(time_s[-1]) if time_s else 0.0


def _milliseconds(times_s: Sequence[float]) -> list[int]:
    return [round(1000 * time_s) for time_s in times_s]


def _both(first: Mapping[str, T], second: Mapping[str, T]) -> list[tuple[str, T, T]]:
    return [(name, first[name], second[name]) for name in first if name in second]


def _together(first: Sequence[Group], second: Sequence[Group]) -> list[Group]:
    """Return the groups of curves that both runs have, B's as the other line of A's."""
    groups = []
    for title, a, b in _both({g['title']: g for g in first}, {g['title']: g for g in second}):
        lines = _both({n['name']: n for n in a['lines']}, {n['name']: n for n in b['lines']})
        groups.append(
            {'title': title, 'lines': [_line(name, of_a, of_b) for name, of_a, of_b in lines]}
        )
    return groups


def _line(name: str, a: Group, b: Group) -> Group:
    return {
        'name': name,
        'time_s': a['time_s'],
        'value': a['value'],
        'other': b['value'],
        'other_time_s': b['time_s'],
        'other_name': 'B',
    }
