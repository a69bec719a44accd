"""Reads robot files."""

from dataclasses import replace

from kf_imitation.errors import ConfigError, nearest
from kf_imitation.parameters.yaml_text import read_yaml
from kf_imitation.paths import share_path, user_path
from kf_imitation.robot.checks import cross_faults, duplicates
from kf_imitation.robot.model import RobotConfig
from kf_imitation.robot.reader import read_robot
from kf_imitation.robot.section import Section
from kf_imitation.robot.urdf_check import missing_urdf


def load_robot(name_or_path: str) -> RobotConfig:
    """Read a robot file.

    Args:
        name_or_path: a name of config/robots (`sim_face`), or the path of a YAML file.

    Raises:
        ConfigError: with every fault of the file.
    """
    path = user_path(name_or_path)
    if not path.suffix and not path.is_file():
        what = 'is a folder, and no robot' if path.is_dir() else 'no such robot'
        path = share_path(f'config/robots/{name_or_path}.yaml')
        if not path.is_file():
            known = robot_names()
            hint = nearest(str(name_or_path), known) or f' (known: {", ".join(known)})'
            raise ConfigError(f'robot {name_or_path}', [f'{what}{hint}'])
    return parse_robot(read_yaml(path), str(path))


def robot_names() -> list[str]:
    """Return the names of the robots that come with the package."""
    files = share_path('config/robots').glob('*.yaml')
    return sorted(path.stem for path in files if not path.stem.endswith('.commissioning'))


def parse_robot(document: object, subject: str) -> RobotConfig:
    """Turn the content of a robot file into a RobotConfig.

    Args:
        document: what YAML gave.
        subject: file name for the messages.

    Raises:
        ConfigError: with every fault.
    """
    faults: list[str] = []
    if not isinstance(document, dict):
        raise ConfigError(subject, ['must be a mapping with the keys name, joints, …'])
    top = Section(document, '', faults)
    robot, sound = read_robot(top)
    robot = replace(robot, source=subject)
    top.reject_unknown()
    faults += duplicates(document.get('joints')) + cross_faults(robot, sound)
    faults += missing_urdf(robot)
    if faults:
        raise ConfigError(subject, faults)
    return robot
