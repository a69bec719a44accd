"""`kf_imitation report`: one HTML page about a run, which opens without a network."""

import argparse
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from kf_imitation.errors import KfImitationError
from kf_imitation.offline.output import OutputError, check_free, new_file
from kf_imitation.offline.report_data import ReportData, read_run
from kf_imitation.paths import share_path
from kf_imitation.robot_config import load_robot
from kf_imitation.run_report import STAGES
from kf_imitation.servo.joint_mapping import JointMapping


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument('run_path', type=Path, metavar='BAG_OR_DIR', help='bag, or replay folder')
    parser.add_argument(
        '--out', type=Path, metavar='FILE', help='page to write; default: report.html beside it'
    )
    parser.add_argument('--robot', default='sim_face', help='whose joints the bag holds')
    parser.add_argument(
        '--labels', type=Path, metavar='NPZ', help='labels of the clip, for E_n and E_l'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace a page that exists')


def run(args: argparse.Namespace) -> int:
    """Write the report.

    Returns:
        Exit code 0.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    path: Path = args.run_path
    out: Path = args.out or default_place(path)
    check_free(out, args.overwrite)
    robot = load_robot(args.robot)
    data = read_run(path, JointMapping(robot).channels, robot.names, args.labels)
    with new_file(out, args.overwrite) as partial:
        partial.write_text(page(data), encoding='utf-8')
    print(f'written to {out}')
    return 0


def default_place(path: Path) -> Path:
    """Return where the page goes: into the folder of a replay, beside a bag."""
    if (path / 'run.json').is_file():
        return path / 'report.html'
    return path.with_name(f'{path.stem}-report.html')


def page(data: ReportData) -> str:
    """Return the whole page as one text."""
    folder = share_path('media/report')
    try:
        template = Template((folder / 'page.html').read_text(encoding='utf-8'))
        script = (folder / 'report.js').read_text(encoding='utf-8')
    except OSError as error:
        raise OutputError(f"{folder}: the report's page is missing: {error.strerror}") from error
    run = data.page['run']
    count = len(data.page['keyframes'])
    duration_s = run['time_s'][-1] if run['time_s'] else 0.0
    facts = f'{len(run["score"])} frames, {duration_s:.1f} s · {count} keyframes'
    facts += f' ({data.page["settings"]["mode"]})'
    against = 'the labels' if data.page['truth_s'] else 'the keyframes of the run'
    return template.substitute(
        title=html.escape(data.name),
        facts=html.escape(facts),
        against=against,
        tables=tables(data.times_ms, data.faults),
        plotly=_plotly(),
        script=script,
        # In a script element only this could end it early.
        data=json.dumps(data.page, allow_nan=False).replace('</', '<\\/'),
    )


def tables(times_ms: Mapping[str, Mapping[str, float]], faults: Mapping[str, int]) -> str:
    """Return the sections on time and faults; each only where there is something to say."""
    sections = []
    if times_ms:
        rows = [
            [
                STAGES.get(name, name),
                *(f'{t[p]:.1f} ms' for p in ('p50', 'p95', 'p99')),
                str(t['n']),
            ]
            for name, t in times_ms.items()
        ]
        sections.append(_table('Time per stage', ['stage', 'p50', 'p95', 'p99', 'n'], rows))
    if faults:
        rows = [[sentence, str(count)] for sentence, count in faults.items()]
        sections.append(_table('Faults', ['what', 'times'], rows))
    return '\n'.join(sections)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = ''.join(f'<th>{html.escape(cell)}</th>' for cell in head)
    body = ''.join(
        '<tr>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row) + '</tr>' for row in rows
    )
    return (
        f'<h2>{html.escape(title)}</h2><div class="card scroll"><table><thead><tr>{top}</tr>'
        f'</thead><tbody>{body}</tbody></table></div>'
    )


def _plotly() -> str:
    """Return the plotting library's script.

    Raises:
        KfImitationError: it is not installed.
    """
    try:
        from plotly.offline import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
            get_plotlyjs,
        )
    except ModuleNotFoundError as error:
        raise KfImitationError('the report needs plotly: pip install plotly') from error
    return str(get_plotlyjs())
