"""The options of every servo tool; without the tools themselves, which take long to import."""

import argparse

from kf_imitation.actuators.dynamixel.control_tables import BAUD_RATES, LAST_ID
from kf_imitation.actuators.dynamixel.simulator.fault_help import HELP
from kf_imitation.cli.options import add_json, add_quiet
from kf_imitation.paths import user_path

BAUDS = tuple(rate for rate in BAUD_RATES.values() if rate <= 4_000_000)  # what the SDK opens


def add_robot(parser: argparse.ArgumentParser) -> None:
    """Declare --robot and --port."""
    parser.add_argument('--robot', default='sim_face', help='name in config/robots, or a file')
    parser.add_argument('--port', default='', help="device or simulated; default: robot file's")


def add_line(parser: argparse.ArgumentParser) -> None:
    """Declare --robot, --port and --baud for tools that need no robot file."""
    add_robot(parser)
    parser.add_argument(
        '--baud', type=int, default=0, help="bit/s; default: the robot file's", choices=(0, *BAUDS)
    )


def servo_id(text: str) -> int:
    """Return the id of one servo: never 254, which means all of them.

    Raises:
        argparse.ArgumentTypeError: no servo can have it.
    """
    if text.isascii() and text.isdigit() and int(text) <= LAST_ID:
        return int(text)
    raise argparse.ArgumentTypeError(f'id = {text} must be from 0 to {LAST_ID}')


def add_scan(parser: argparse.ArgumentParser) -> None:
    """Declare the options of scan."""
    add_line(parser)
    parser.add_argument('--all-bauds', action='store_true', help='try every speed (10 s)')
    add_json(parser)


def add_ping(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ping."""
    add_line(parser)
    parser.add_argument('id', type=servo_id, help='0..252')
    add_json(parser)


def add_set_id(parser: argparse.ArgumentParser) -> None:
    """Declare the options of set-id."""
    add_line(parser)
    parser.add_argument('id', type=servo_id, help='present id')
    parser.add_argument('new', type=servo_id, help='new id, 0..252')
    parser.add_argument('--yes', action='store_true', help='do it')


def add_set_baud(parser: argparse.ArgumentParser) -> None:
    """Declare the options of set-baud."""
    add_line(parser)
    parser.add_argument('id', type=servo_id, help='0..252')
    parser.add_argument('new', type=int, choices=BAUDS, help='bit/s')
    parser.add_argument('--yes', action='store_true', help='do it')


def add_commission(parser: argparse.ArgumentParser) -> None:
    """Declare the options of commission."""
    add_robot(parser)
    parser.set_defaults(baud=0)
    parser.add_argument('--yes', action='store_true', help='answer every question with yes')
    parser.add_argument('--record', type=user_path, help='file to write; default: beside --robot')
    parser.add_argument(
        '--ends', action='store_true', help='also try the way to both limits, by gentle contact'
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Declare the options of limits."""
    add_line(parser)
    parser.add_argument('--write', action='store_true', help="write the robot file's limits")


def add_off(parser: argparse.ArgumentParser) -> None:
    """Declare the options of off."""
    add_line(parser)
    parser.add_argument(
        '--force', action='store_true', help='end the program that holds the port first'
    )


def add_jog(parser: argparse.ArgumentParser) -> None:
    """Declare the options of jog."""
    add_robot(parser)
    parser.add_argument('joint', help='name in the robot file')
    parser.add_argument('rad', type=float, help='angle; with --relative the way from here')
    parser.add_argument('--relative', action='store_true', help='from where the joint is')
    parser.add_argument('--speed', type=float, default=0.5, help='rad/s (default 0.5)')
    parser.add_argument('--current', type=float, default=0.5, help='fraction of the limit, 0..1')


def add_record(parser: argparse.ArgumentParser) -> None:
    """Declare the options of record."""
    add_line(parser)
    parser.add_argument('file', type=user_path, help='CSV to write; must not exist')
    parser.add_argument('--seconds', type=float, default=10.0, help='to record (default: 10)')
    parser.add_argument('--yes', action='store_true', help='torque goes off: hold the head')


def add_play(parser: argparse.ArgumentParser) -> None:
    """Declare the options of play."""
    add_robot(parser)
    parser.add_argument('file', type=user_path, help='CSV of servo record')
    parser.add_argument('--speed', type=float, default=1.0, help='of time, 0.1..2')


def add_selftest(parser: argparse.ArgumentParser) -> None:
    """Declare the options of selftest."""
    add_robot(parser)
    parser.add_argument('--joint', action='append', help='only this one (may be repeated)')
    parser.add_argument('--write', action='store_true', help='write into the robot file')
    parser.add_argument('--yes', action='store_true', help='every joint moves: keep clear')
    add_json(parser)
    add_quiet(parser)


def add_simulate(parser: argparse.ArgumentParser) -> None:
    """Declare the options of simulate."""
    parser.add_argument('--robot', default='sim_face', help='name in config/robots, or a file')
    parser.add_argument('--baud', type=int, choices=BAUDS, help="default: the robot file's")
    parser.add_argument('--bus', default='', help='which one, of a robot with several')
    parser.add_argument('--link', default='', help='also offer the device under this path')
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        'Fault commands while it runs, typed here or from another terminal:\n'
        "echo 'dead 4' > the pipe that it prints. Commands:\n\n"
        f'{HELP}'
    )
