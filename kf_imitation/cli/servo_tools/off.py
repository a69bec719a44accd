"""`servo off`: let all servos of a head go limp, after a crash for example.

It only speaks to the device that is named, and starts no simulator: the servos of one that it
started itself would be limp, and those of the running head would not.
"""

import argparse
import contextlib

from kf_imitation.actuators.dynamixel import port_owner
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.errors import BusError, ConfigError, PortError
from kf_imitation.head.bus_factory import NONE, SIMULATED
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.robot import RobotConfig, load_robot


def run(args: argparse.Namespace) -> int:
    """Switch torque off until every servo confirmed it; returns 1 when some did not.

    Raises:
        ConfigError: no device is named.
        PortError: it cannot be opened, or a program holds it.
    """
    robot = load_robot(args.robot)
    if args.port or not robot.buses:
        return _let_go_of(args, robot, args.port or robot.port)
    left, problems = 0, []
    for line in robot.buses:  # whatever becomes of one, the others are let go
        try:
            left |= _let_go_of(args, robot.part_on(line), line.port)
        except BusError as error:
            problems.append(f'bus {line.name}: {error}')
    if problems:
        raise PortError('; '.join(problems))
    return left


def _let_go_of(args: argparse.Namespace, robot: RobotConfig, port: str) -> int:
    """Switch the torque of one bus off."""
    if port in (SIMULATED, NONE):
        raise ConfigError(
            'servo off',
            [
                f'port = {port!r} of {robot.name} names no device: give the one that its program '
                'has open, --port /dev/...'
            ],
        )
    if args.force:
        _end_owners(port)
    try:
        return _let_go(args.baud or robot.baud, robot, port)
    except PortError as error:
        if args.force or not port_owner.owners(port):
            raise
        raise PortError(
            f'{error}; nothing was switched off. Stop the head there, or --force ends that '
            'program and lets go'
        ) from error


def _let_go(baud: int, robot: RobotConfig, port: str) -> int:
    bus = DynamixelBus(port, baud)
    bus.open()
    with contextlib.closing(bus):
        print(f'{port}, {baud} bit/s')
        servos = ServoGroup(robot, bus)
        left = servos.torque_off()
        silent = [joint.name for joint in servos.silent(left)]
    off = [name for name in robot.names if name not in left]
    if off:
        print(f'limp: {", ".join(off)}')
    if silent:
        print(f'no answer from {", ".join(silent)}: cut their power')
    if stiff := [name for name in left if name not in silent]:
        print(f'not confirmed by {", ".join(stiff)}: cut their power')
    print(f'{len(off)} of {len(robot.joints)} servos of {robot.name} are limp')
    return 1 if left else 0


def _end_owners(port: str) -> None:
    for pid, name in port_owner.owners(port).items():
        print(f'ending process {pid} ({name})')
        try:
            port_owner.end(pid)
        except PermissionError as error:
            raise PortError(f'process {pid} belongs to another user: sudo') from error
