"""Whether the URDF that a robot file names is there and shows the same joints."""

import math
import xml.etree.ElementTree as ET
from pathlib import Path

from kf_imitation.paths import share_path, user_path
from kf_imitation.robot.model import JointConfig, RobotConfig

MOVING = ('revolute', 'continuous', 'prismatic')
SAME_RAD = 1e-3  # what rounding in a file may change


def urdf_path(robot: RobotConfig) -> Path:
    """Return the file that `urdf` names: next to the robot file, else in the package's urdf/."""
    own = user_path(robot.urdf, Path(robot.source).parent)
    return own if own.is_file() else share_path(f'urdf/{robot.urdf}')


def missing_urdf(robot: RobotConfig) -> list[str]:
    """Return the fault of a file that is not there."""
    if not robot.urdf or urdf_path(robot).is_file():
        return []
    return [
        f"urdf = {robot.urdf!r} must be a file next to the robot file or in the package's urdf/, "
        "or '' for none"
    ]


def urdf_faults(robot: RobotConfig) -> list[str]:
    """Return every difference between the robot file and its URDF, which exists."""
    if not robot.urdf:
        return []
    try:
        root = ET.fromstring(urdf_path(robot).read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, ET.ParseError) as error:
        return [f'{robot.urdf}: cannot be read: {error}']
    drawn = {
        joint.get('name', ''): joint.find('limit')
        for joint in root.findall('joint')
        if joint.get('type') in MOVING and joint.find('mimic') is None
    }
    faults = []
    for joint in robot.joints:
        if joint.name in drawn:
            faults += _limit_faults(robot, joint, drawn[joint.name])
        else:
            faults.append(f'{robot.urdf}: joint {joint.name} is missing')
    unknown = [name for name in drawn if name not in robot.names]
    return faults + [f'{robot.urdf}: {name} is not a joint of {robot.name}' for name in unknown]


def _limit_faults(robot: RobotConfig, joint: JointConfig, limit: ET.Element | None) -> list[str]:
    """Return the limits of one joint that differ."""
    low, high = joint.limits_rad
    wanted = {'lower': low, 'upper': high, 'velocity': joint.max_velocity_rad_s}
    given = {key: _number(limit.get(key) if limit is not None else None) for key in wanted}
    return [
        f'{robot.urdf}: {key} of {joint.name} = {given[key]:g} must be {value:g}'
        for key, value in wanted.items()
        if not abs(given[key] - value) <= SAME_RAD
    ]


def _number(text: str | None) -> float:
    try:
        return float(text or 'nan')
    except ValueError:
        return math.nan
