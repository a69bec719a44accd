"""`kf_imitation servo …`: tools for the servos of a head, each safe unless told otherwise."""

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from kf_imitation.cli.options import add_namespace
from kf_imitation.cli.servo_tools import arguments as options

TOOLS = 'kf_imitation.cli.servo_tools'


class Action(NamedTuple):
    """One tool.

    Attributes:
        help: what it does.
        add_arguments: declares its options.
        module: of servo_tools; imported when the tool is run.
        run: its function in there.
    """

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    module: str
    run: str = 'run'


ACTIONS = {
    'scan': Action('find all servos and compare with the robot', options.add_scan, 'scan'),
    'ping': Action('show the state of one servo', options.add_ping, 'ping'),
    'set-id': Action('change the id of a servo', options.add_set_id, 'set_eeprom', 'run_id'),
    'set-baud': Action(
        'change the baud rate of a servo', options.add_set_baud, 'set_eeprom', 'run_baud'
    ),
    'commission': Action(
        'settle every servo with its owner; torque needs the record',
        options.add_commission,
        'commission',
    ),
    'limits': Action('show or write position limits', options.add_limits, 'limits'),
    'stop': Action('stop a running head until it is reset', add_namespace, 'ask'),
    'reset': Action(
        'let a head run again that was stopped, also before it was started', add_namespace, 'ask'
    ),
    'off': Action('let all servos go limp', options.add_off, 'off'),
    'jog': Action('move one joint slowly', options.add_jog, 'jog'),
    'record': Action(
        'record poses that you move by hand', options.add_record, 'recording', 'run_record'
    ),
    'play': Action('play recorded poses', options.add_play, 'recording', 'run_play'),
    'selftest': Action('measure each joint', options.add_selftest, 'selftest'),
    'simulate': Action('open a simulated bus', options.add_simulate, 'simulate'),
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
    action = ACTIONS[args.action]
    tool = import_module(f'{TOOLS}.{action.module}')
    return int(getattr(tool, action.run)(args))
