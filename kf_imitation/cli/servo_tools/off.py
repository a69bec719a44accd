"""`servo off`: let all servos of a head go limp, after a crash for example."""

import argparse

from kf_imitation.cli.servo_tools.connection import add_line, opened_bus
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.robot import load_robot


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_line(parser)


def run(args: argparse.Namespace) -> int:
    """Switch torque off until every servo confirmed it; returns 1 when some did not."""
    robot = load_robot(args.robot)
    with opened_bus(args) as bus:
        left = ServoGroup(robot, bus).torque_off()
    if left:
        print(f'not confirmed by {", ".join(left)}: cut their power')
        return 1
    print(f'{len(robot.joints)} servos of {robot.name} are limp')
    return 0
