"""One robot head as data: joints, limits, channels. config/robots/NAME.yaml holds the values.

docs/your_own_head.md explains every key. Reading lists every fault of a file at once: key, value
and rule. model.py has the data classes, files.py reads, section.py and reader.py turn YAML into
them, checks.py holds the rules between keys, urdf_check.py those of the URDF.

Start with model.py and joint_mapping.py.
"""

from kf_imitation.robot.files import load_robot, parse_robot, robot_names
from kf_imitation.robot.model import (
    EXIT_POLICIES,
    STOP_ACTIONS,
    BusConfig,
    Combination,
    CoupledLimit,
    JointConfig,
    Measured,
    RobotConfig,
    ThermalLimits,
)
from kf_imitation.robot.urdf_check import urdf_faults, urdf_path

__all__ = [
    'EXIT_POLICIES',
    'STOP_ACTIONS',
    'BusConfig',
    'Combination',
    'CoupledLimit',
    'JointConfig',
    'Measured',
    'RobotConfig',
    'ThermalLimits',
    'load_robot',
    'parse_robot',
    'robot_names',
    'urdf_faults',
    'urdf_path',
]
