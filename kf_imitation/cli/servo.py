"""`kf_imitation servo …`: tools for the servos of a head, each safe unless told otherwise."""

import argparse
from collections.abc import Callable
from typing import NamedTuple

from kf_imitation.cli.servo_tools import (
    commission,
    jog,
    limits,
    off,
    ping,
    recording,
    scan,
    selftest,
    set_eeprom,
    simulate,
)


class Action(NamedTuple):
    """One tool."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


ACTIONS = {
    'scan': Action('find all servos and compare with the robot', scan.add_arguments, scan.run),
    'ping': Action('show the state of one servo', ping.add_arguments, ping.run),
    'set-id': Action('change the id of a servo', set_eeprom.add_id_arguments, set_eeprom.run_id),
    'set-baud': Action(
        'change the baud rate of a servo', set_eeprom.add_baud_arguments, set_eeprom.run_baud
    ),
    'commission': Action(
        'settle every servo with its owner; torque needs the record',
        commission.add_arguments,
        commission.run,
    ),
    'limits': Action('show or write position limits', limits.add_arguments, limits.run),
    'off': Action('let all servos go limp', off.add_arguments, off.run),
    'jog': Action('move one joint slowly', jog.add_arguments, jog.run),
    'record': Action(
        'record poses that you move by hand', recording.add_record_arguments, recording.run_record
    ),
    'play': Action('play recorded poses', recording.add_play_arguments, recording.run_play),
    'selftest': Action('measure each joint', selftest.add_arguments, selftest.run),
    'simulate': Action('open a simulated bus', simulate.add_arguments, simulate.run),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the tools."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='TOOL')
    for name, action in ACTIONS.items():
        child = actions.add_parser(name, help=action.help, description=action.help)
        action.add_arguments(child)


def run(args: argparse.Namespace) -> int:
    """Run the tool.

    Raises:
        KfImitationError: what the user can fix.
    """
    return ACTIONS[args.action].run(args)
