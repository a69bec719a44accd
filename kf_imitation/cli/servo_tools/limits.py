"""`servo limits`: position limits in the servos in addition to those of the robot file.

With --write the robot file's limits become the servos' own EEPROM limits, a second fence for
programs that command positions without this package.
"""

import argparse

from kf_imitation.actuators.dynamixel import units
from kf_imitation.cli.servo_tools.connection import opened_bus
from kf_imitation.errors import BusError
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.robot import load_robot


def run(args: argparse.Namespace) -> int:
    """Print or write the limits.

    Raises:
        BusError: a servo has torque on or does not obey.
    """
    robot = load_robot(args.robot)
    with opened_bus(args) as bus:
        joints = ServoGroup(robot, bus)
        joints.verify()
        width = max(map(len, robot.names))
        if args.write:
            _check_limp(joints)
        for index, joint in enumerate(robot.joints):
            wanted = sorted(
                units.ticks(angle, joint.zero_tick, joint.direction) for angle in joint.limits_rad
            )
            names = ('min_position_limit', 'max_position_limit')
            if args.write:
                for name, tick in zip(names, wanted, strict=True):
                    joints.write_register(index, name, min(4095, max(0, tick)))
            ticks = [joints.read_register(index, name) for name in names]
            angles = sorted(
                units.position_rad(float(t), float(joint.zero_tick), float(joint.direction))
                for t in ticks
            )
            low, high = joint.limits_rad
            print(
                f'{joint.name:{width}}  servo [{angles[0]:+.3f}, {angles[1]:+.3f}] rad, '
                f'robot file [{low:+.3f}, {high:+.3f}] rad'
            )
    return 0


def _check_limp(joints: ServoGroup) -> None:
    """Look at all servos before the first is written."""
    names = joints.robot.names
    stiff = [n for i, n in enumerate(names) if joints.read_register(i, 'torque_enable')]
    if stiff:
        raise BusError(f'torque is on, which locks the settings of {", ".join(stiff)}')
