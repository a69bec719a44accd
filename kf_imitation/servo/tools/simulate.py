"""`servo simulate`: keep a simulated bus open for any Dynamixel program; faults by typing."""

import argparse

from kf_imitation.robot_config import load_robot
from kf_imitation.servo.simulated_bus import serve
from kf_imitation.servo.simulated_faults import HELP


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--robot', default='sim_face', help='name in config/robots, or a file')
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f'Commands on standard input while it runs:\n\n{HELP}'


def run(args: argparse.Namespace) -> int:
    """Print the device path, then serve until Ctrl-C or the end of the input."""
    serve(load_robot(args.robot), until_input_ends=False)
    return 0
