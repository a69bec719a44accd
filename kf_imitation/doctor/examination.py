"""All checks, in the order in which a run needs what they check."""

from collections.abc import Iterator
from functools import partial

import yaml

from kf_imitation.doctor.camera import check_source
from kf_imitation.doctor.environment import check_machine, check_packages, check_ros
from kf_imitation.doctor.finding import ERROR, OK, Finding, attempt
from kf_imitation.doctor.port import check_latency, check_port
from kf_imitation.doctor.servos import check_servos
from kf_imitation.errors import ConfigError, counted, missing_packages_named
from kf_imitation.face.detector import FRONTAL, PROFILE, load_cascade
from kf_imitation.head.bus_factory import NONE, SIMULATED
from kf_imitation.model_files import find_model_file
from kf_imitation.paths import share_path
from kf_imitation.robot import RobotConfig, load_robot
from kf_imitation.robot.model import PORTS_APART
from kf_imitation.ros_graph.nodes import merged_parameters


def examine(source: str, robot: str, port: str, params: str) -> Iterator[Finding]:
    """Check everything; a failed check never stops the next.

    Args:
        source: camera or video to read for a moment; '' for none.
        robot: name in config/robots, or a file; '' checks sim_face.
        port: serial device, `simulated` or `none`; '' takes the robot file's.
        params: parameter file; '' checks the shipped one alone.
    """
    yield check_machine()
    yield from check_packages()
    yield from check_ros()
    yield from attempt('parameters', lambda: f'{len(merged_parameters(params))} nodes')
    yield from attempt('face search', _cascades)
    manifest = yaml.safe_load(share_path('models/manifest.yaml').read_text(encoding='utf-8'))
    for name in manifest['models']:
        yield from attempt(f'model {name}', partial(_model_name, name))
    for name in manifest['tables']:
        yield from attempt(f'table {name}', partial(_table_file, name))
    yield from _check_head(robot or 'sim_face', port)
    if source:
        yield from check_source(source)


def _cascades() -> str:
    for name in (FRONTAL, PROFILE):
        load_cascade(name)
    return "OpenCV's cascades are there"


def _model_name(name: str) -> str:
    with missing_packages_named():
        from kf_imitation.inference import OnnxModel
    return OnnxModel.load(name).name


def _table_file(name: str) -> str:
    return find_model_file('tables', name)[1].name


def _check_head(name: str, port: str) -> Iterator[Finding]:
    robot: RobotConfig | None = None
    try:
        robot = load_robot(name)
        yield Finding(OK, f'robot {name}', f'{counted(len(robot.joints), "joint")}, no problems')
    except ConfigError as error:
        yield Finding(ERROR, f'robot {name}', str(error))
    port = port or (robot.port if robot else '')
    if port == NONE:
        yield Finding(OK, 'port none', 'goals are published only; another driver has the servos')
        return
    usable = True
    if port and port != SIMULATED:
        for one in port.split(PORTS_APART):
            for finding in check_port(one):
                usable = usable and finding.level != ERROR
                yield finding
            if not (usable and robot):
                yield from check_latency(one)
    if robot is not None and port and usable:
        yield from check_servos(robot, port)
