"""`servo simulate`: keep a simulated bus open for any Dynamixel program; faults by typing."""

import argparse
from dataclasses import replace

from kf_imitation.head.simulator_process import part_of, serve
from kf_imitation.robot import load_robot


def run(args: argparse.Namespace) -> int:
    """Print the device path, then serve until Ctrl-C or the end of the input."""
    robot = part_of(load_robot(args.robot), args.bus)
    serve(replace(robot, baud=args.baud or robot.baud), until_input_ends=False, link=args.link)
    return 0
