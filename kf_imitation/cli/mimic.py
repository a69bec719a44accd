"""`kf_imitation mimic`: the whole graph in one process, with progress and a table at the end."""

import argparse
import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from threading import Event
from typing import TYPE_CHECKING, Any

from kf_imitation.cli.options import (
    add_json,
    add_namespace,
    add_params,
    add_port,
    add_quiet,
    add_robot,
    add_source,
    add_upright,
)
from kf_imitation.cli.terminal import program, show_tables, takes_stdout, write_json
from kf_imitation.errors import KfImitationError
from kf_imitation.ros_graph.environment import quiet_logging, ros_needed

if TYPE_CHECKING:
    from kf_imitation.cockpit.process import CockpitProcess
    from kf_imitation.ros_graph.nodes import Graph


WHAT_NEXT = """What next:
  your own camera    PROGRAM mimic --source 0   (or a video, a folder, a URL)
  your own face      PROGRAM calibrate --source 0 --out me.yaml
  why these frames   REPORT
  your own head      PROGRAM robot list; docs/your_own_head.md"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_source(parser, 'the demo clip')
    add_upright(parser)
    add_robot(parser)
    add_port(parser)
    parser.add_argument('--record', default='', metavar='DIR', help='bag folder to create (MCAP)')
    parser.add_argument(
        '--record-images', action='store_true', help='record images too; they show people'
    )
    parser.add_argument(
        '--no-realtime',
        dest='realtime',
        action='store_false',
        help='play a file as fast as the nodes can',
    )
    parser.add_argument(
        '--every-frame',
        action='store_true',
        help='skip no frame of a file, at the price of being late',
    )
    parser.add_argument(
        '--loop',
        action=argparse.BooleanOptionalAction,
        help='start a file again at its end; default: only the demo clip, in a terminal, while '
        'its page is served',
    )
    add_params(parser)
    parser.add_argument(
        '--avatar',
        action='store_true',
        help="draw the robot's face; the address of the page that shows it is printed",
    )
    parser.add_argument(
        '--foxglove',
        action='store_true',
        help="serve all topics, images too, to Foxglove's app, and to any other program or web "
        'page of this machine; the address to connect to is printed',
    )
    parser.add_argument(
        '--no-cockpit',
        dest='cockpit',
        action='store_false',
        help='serve no page; otherwise its address is printed, and nothing is opened',
    )
    add_namespace(parser)
    add_json(parser)
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Run until the source ends, a node fails or Ctrl-C; print the table.

    Returns:
        Exit code: 0, or 1 after a crash of a node or of the page, which was said then.

    Raises:
        KfImitationError: bad input, and nothing was written; or the head took no part in the run.
    """
    from kf_imitation.ros_graph.nodes import RunOptions, build_graph

    args.loop = repeats(args)
    names = RunOptions.__dataclass_fields__
    options = RunOptions(**{name: getattr(args, name) for name in names})
    graph = build_graph(options)
    quiet_logging()
    with ros_needed():
        from kf_imitation.nodes.node_main import catch_stop_signals
    from dataclasses import asdict

    from kf_imitation.cli.mimic_progress import absence, bus_figures, collect, lines_above, watch
    from kf_imitation.pipeline.run_figures import run_table

    stop = Event()
    catch_stop_signals(stop)
    if args.loop and not args.quiet:
        played = args.source or 'the demo clip'
        print(f'{played} starts again at its end; Ctrl-C ends the run', file=sys.stderr)
    # The address first: whatever else takes long is loaded while somebody opens it.
    with lines_above(args.quiet) as line, cockpit_of(graph) as cockpit:
        with ros_needed():
            from kf_imitation.nodes.composition import Composition, StartStoppedError
        try:
            with source_of(graph) as source, Composition(graph, source, stop) as composition:
                elapsed_s = watch(composition, stop, line, args.quiet)
                bus, absent = bus_figures(composition), absence(composition)
        except StartStoppedError:
            print('kf_imitation: stopped while it started', file=sys.stderr)
            return 0
    figures = collect(composition, elapsed_s, options.realtime, bus)
    if not takes_stdout(args.json):
        show_tables(run_table(figures))
    write_json(asdict(figures), args.json)
    if options.record and composition.nodes['recorder'].fault is None:
        print(f'recorded to {options.record}')
    if composition.fault:
        raise composition.fault
    if absent:
        raise KfImitationError(absent)
    if not args.source and not args.quiet:
        print(what_next(options.record), file=sys.stderr)
    return 1 if composition.crashed or (cockpit and cockpit.fault) else 0


def what_next(recorded: str) -> str:
    """Return what a newcomer may try now, as it can be typed; `recorded`: bag it made, or ''."""
    report = f'PROGRAM report {shlex.quote(recorded or "run1")}'
    how = report if recorded else f'PROGRAM mimic --record run1, then {report}'
    return WHAT_NEXT.replace('REPORT', how).replace('PROGRAM', program())


def repeats(args: argparse.Namespace) -> bool:
    """Whether a file starts again at its end.

    Unless the user says, only the demo does, where somebody may just be opening its page.
    """
    if args.loop is not None:
        return bool(args.loop)
    somebody = sys.stdin.isatty() and sys.stderr.isatty()
    counts = args.record or args.every_frame or args.quiet or args.json or not args.realtime
    return bool(somebody and args.cockpit and not args.source and not counts)


@contextmanager
def source_of(graph: 'Graph') -> Iterator[dict[str, dict[str, Any]]]:
    """Open the source before the servos, which need not move for one that cannot be opened.

    Yields:
        The camera node's argument, by name as Composition takes it; nothing without that node.
    """
    with ros_needed():
        from kf_imitation.nodes.camera_node import open_chosen
    camera = next((spec for spec in graph.nodes if spec.name == 'camera'), None)
    if camera is None:
        yield {}
        return
    with closing(open_chosen(camera.parameters)) as source:
        yield {camera.name: {'source': source}}


def cockpit_of(graph: 'Graph') -> AbstractContextManager['CockpitProcess | None']:
    """Start the cockpit that a graph asks for, and print its address; None without one."""
    if not graph.options.cockpit:
        return nullcontext()
    from kf_imitation.cockpit.place import address_line
    from kf_imitation.cockpit.process import CockpitProcess

    spec = graph.node('cockpit')
    cockpit = CockpitProcess(spec.parameters, graph.namespace, graph.options.params)
    print(address_line(graph.robot_name, cockpit.url), file=sys.stderr, flush=True)
    return cockpit
