"""`kf_imitation doctor`: what a run needs, checked one after the other before it is needed."""

import argparse
from collections.abc import Iterator
from functools import partial

import yaml

from kf_imitation.doctor.camera import check_source
from kf_imitation.doctor.environment import check_machine, check_ros
from kf_imitation.doctor.finding import BAD, GOOD, NOTE, Finding, attempt
from kf_imitation.doctor.port import check_latency, check_port
from kf_imitation.doctor.servos import check_servos
from kf_imitation.errors import ConfigError
from kf_imitation.head.bus_factory import NONE, SIMULATED
from kf_imitation.inference.onnx_model import OnnxModel
from kf_imitation.model_files import find_model_file
from kf_imitation.paths import share_path
from kf_imitation.robot import RobotConfig, load_robot
from kf_imitation.ros_graph.nodes import merged_parameters

__all__ = ['BAD', 'GOOD', 'NOTE', 'Finding', 'add_arguments', 'examine', 'run']


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument('--source', default='', help='camera or video to try (default: none)')
    parser.add_argument('--robot', default='', help='name in config/robots, or a file')
    parser.add_argument(
        '--port', default='', help="serial device or simulated; default: the robot file's"
    )
    parser.add_argument(
        '--params', default='', metavar='FILE', help='parameters above config/kf_imitation.yaml'
    )


def run(args: argparse.Namespace) -> int:
    """Print one line per finding as it comes.

    Returns:
        Exit code: 0, or 2 when something is bad.
    """
    count = {GOOD: 0, NOTE: 0, BAD: 0}
    for finding in examine(args):
        count[finding.level] += 1
        print(f'{finding.level:5} {finding.subject}: {finding.sentence}', flush=True)
    print(f'{count[GOOD]} good, {count[NOTE]} to look at, {count[BAD]} to mend')
    return 2 if count[BAD] else 0


def examine(args: argparse.Namespace) -> Iterator[Finding]:
    """Check everything; a failed check never stops the next."""
    yield check_machine()
    yield from check_ros()
    yield from attempt('parameters', lambda: f'{len(merged_parameters(args.params))} nodes')
    manifest = yaml.safe_load(share_path('models/manifest.yaml').read_text(encoding='utf-8'))
    for name in manifest['models']:
        yield from attempt(f'model {name}', lambda name=name: OnnxModel.load(name).name)  # type: ignore[misc]
    for name in manifest['tables']:
        yield from attempt(f'table {name}', partial(_table_file, name))
    yield from _check_head(args)
    if args.source:
        yield from check_source(args.source)


def _table_file(name: str) -> str:
    return find_model_file('tables', name)[1].name


def _check_head(args: argparse.Namespace) -> Iterator[Finding]:
    name = args.robot or 'sim_face'
    robot: RobotConfig | None = None
    try:
        robot = load_robot(name)
        yield Finding(GOOD, f'robot {name}', f'{len(robot.joints)} joints, no faults')
    except ConfigError as error:
        yield Finding(BAD, f'robot {name}', str(error))
    port = args.port or (robot.port if robot else '')
    if port == NONE:
        yield Finding(GOOD, 'port none', 'goals are published only; another driver has the servos')
        return
    usable = True
    if port and port != SIMULATED:
        for finding in check_port(port):
            usable = finding.level != BAD
            yield finding
        if not (usable and robot):
            yield from check_latency(port)
    if robot is not None and port and usable:
        yield from check_servos(robot, port)
