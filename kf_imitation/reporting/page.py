"""One HTML page about a run, which opens without a network.

Its text is media/report/page.html; the charts are drawn in the browser, by charts.js beside it.
"""

import html
import json
import math
from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from kf_imitation.output_files import OutputError
from kf_imitation.paths import share_path
from kf_imitation.pipeline.run_figures import STAGES
from kf_imitation.reporting.data import ReportData
from kf_imitation.reporting.health import Fault
from kf_imitation.reporting.playback import import_map

SCRIPTS = ('what_if.js', 'charts.js', 'player.js', 'report.js')
EXACT = 'Searched as the running system does: what it found with these settings.'
FROM_BAG = (
    'Searched in the final scores, all that a bag holds. While it ran, the scores ahead of a '
    'frame were provisional, so single keyframes can differ; a replay is exact.'
)
SIZES = ('gain', 'ccc', 'rest', 'apex')
STAGE_WORDS = {
    **STAGES,
    'commit delay': 'commit delay (keyframes)',
    'capture to command': 'capture to servo command',
    'camera late': 'frames behind real time',
    'explain': 'explain (keyframes)',
}


def page(data: ReportData) -> str:
    """Return the whole page as one text."""
    time_s = data.page['run']['time_s']
    facts = f'{len(time_s)} frames, {time_s[-1] if time_s else 0.0:.1f} s'
    facts += f' · {len(data.page["keyframes"])} keyframes ({data.page["settings"]["mode"]})'
    return Template(part('page.html')).substitute(
        title=html.escape(data.name),
        facts=html.escape(facts),
        against='the labels' if data.page['truth_s'] else 'the keyframes of the run',
        exactness=EXACT if data.page['run']['exact'] else FROM_BAG,
        tables=tables(data.joint_sizes, data.times_ms, data.faults, data.sizes),
        modules=json.dumps(import_map()) if data.page.get('player') else '{}',
        **shared(SCRIPTS, data.page),
    )


def shared(scripts: Sequence[str], data: Mapping[str, Any]) -> dict[str, str]:
    """Return what every page of reports has, for its template.

    Args:
        scripts: files of media/report.
        data: what they draw.
    """
    return {
        'buttons': part('view_buttons.html'),
        'plotly': plotly_script(),
        'style': part('style.css'),
        'script': '\n'.join(part(name) for name in scripts),
        'data': as_json(data),
    }


def part(name: str) -> str:
    """Return a file of media/report.

    Raises:
        OutputError: it is missing.
    """
    path = share_path('media/report') / name
    try:
        return path.read_text(encoding='utf-8')
    except OSError as error:
        raise OutputError(f"{path}: the report's page is missing: {error.strerror}") from error


def tables(
    joint_sizes: Sequence[Sequence[str]],
    times_ms: Mapping[str, Mapping[str, float]],
    faults: Sequence[Fault],
    sizes: Mapping[str, Mapping[str, float]],
) -> str:
    """Return the sections on how far joints moved, size, time and faults."""
    sections = []
    if joint_sizes:
        titles = ['joint', 'from', 'to', 'of its range', 'off (rms)']
        sections.append(table('How far each joint moved [rad]', titles, joint_sizes))
    if sizes:
        rows = [[name, *(number(of[key]) for key in SIZES)] for name, of in sizes.items()]
        sections.append(table('Size against the labels', ['joint or channel', *SIZES], rows))
    if times_ms:
        rows = [
            [
                STAGE_WORDS.get(name, name),
                *(number(times.get(p), 1) for p in ('p50', 'p95', 'p99')),
                str(times.get('n', '–')),
            ]
            for name, times in times_ms.items()
        ]
        sections.append(table('Time per stage [ms]', ['stage', 'p50', 'p95', 'p99', 'n'], rows))
    if faults:
        rows = [
            [fault.text, str(fault.count), f'{fault.first_s:.1f} s', f'{fault.last_s:.1f} s']
            for fault in faults
        ]
        sections.append(table('Faults', ['what', 'times', 'first', 'last'], rows))
    else:
        sections.append('<h2>Faults</h2><p class="note">The run reported none.</p>')
    return '\n'.join(sections)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a section with a table; everything in it is text."""
    top = ''.join(f'<th>{html.escape(cell)}</th>' for cell in head)
    body = ''.join(
        '<tr>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row) + '</tr>' for row in rows
    )
    return (
        f'<h2>{html.escape(title)}</h2><div class="card scroll"><table><thead><tr>{top}</tr>'
        f'</thead><tbody>{body}</tbody></table></div>'
    )


def number(value: float | None, digits: int = 2) -> str:
    """Return a figure as text; – for one that is not known."""
    return '–' if value is None or math.isnan(value) else f'{value:.{digits}f}'


def as_json(values: Mapping[str, Any]) -> str:
    """Return values for a script element, which only `</` could end early."""
    return json.dumps(values, allow_nan=False).replace('</', '<\\/')


def plotly_script() -> str:
    """Return the plotting library's script."""
    return part('vendor/plotly-basic.min.js')
