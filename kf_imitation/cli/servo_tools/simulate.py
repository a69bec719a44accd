"""`servo simulate`: keep a simulated bus open for any Dynamixel program; faults by typing."""

import argparse
from dataclasses import replace

from kf_imitation.actuators.dynamixel.simulator.faults import HELP
from kf_imitation.cli.servo_tools.connection import BAUDS
from kf_imitation.head.simulator_process import serve
from kf_imitation.robot import load_robot


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--robot', default='sim_face', help='name in config/robots, or a file')
    parser.add_argument('--baud', type=int, choices=BAUDS, help="default: the robot file's")
    parser.add_argument('--link', default='', help='also offer the device under this path')
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        'Fault commands while it runs, typed here or from another terminal:\n'
        "echo 'dead 4' > the pipe that it prints. Commands:\n\n"
        f'{HELP}'
    )


def run(args: argparse.Namespace) -> int:
    """Print the device path, then serve until Ctrl-C or the end of the input."""
    robot = load_robot(args.robot)
    serve(replace(robot, baud=args.baud or robot.baud), until_input_ends=False, link=args.link)
    return 0
