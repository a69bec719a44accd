"""`servo commission`: settle a head with its owner, servo by servo, and write the record.

First what is in the EEPROM, put right only where the owner says yes; then each joint moves a
little at low current, and the owner says whether it went the right way. Without a record that
fits its servos, a real head gets no torque.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

from kf_imitation.actuators.dynamixel import units
from kf_imitation.actuators.dynamixel.control_tables import MODE_POSITION
from kf_imitation.cli.servo_tools.connection import Head, opened_bus, running_head
from kf_imitation.errors import BusError, ConfigError, counted
from kf_imitation.head.commissioning import TRUST, ServoEntry, record_path, write_record
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.head.servo_inspection import (
    COMMISSION,
    inspect,
    is_simulated,
    read_registers,
    settled_registers,
)
from kf_imitation.robot import JointConfig, RobotConfig, load_robot

SPEED_RAD_S = 0.3
CURRENT_SHARE = 0.4
NUDGE_RAD = 0.1
ARRIVED_RAD = 0.03
# moving_threshold of the first servo of a head (the factory's is 10), one more for each: nothing
# here uses it, and it tells servos of one model apart, should their ids be swapped.
MARK = 20
# What a channel that is an angle looks like, above and below 0.
TURNS = {
    'gaze_yaw': ('the eyes should look to the left', 'the eyes should look to the right'),
    'gaze_pitch': ('the eyes should look up', 'the eyes should look down'),
    'head_yaw': ('the head should turn to the left', 'the head should turn to the right'),
    'head_pitch': ('the head should look down', 'the head should look up'),
    'head_roll': ('the head should tilt to the right', 'the head should tilt to the left'),
}
Ask = Callable[[str], bool]


def run(args: argparse.Namespace) -> int:
    """Walk through all joints; returns 1, and writes nothing, when one is not settled.

    Raises:
        BusError, ConfigError: a servo is not there, has torque on, or does not obey.
    """
    robot = load_robot(args.robot)
    ask: Ask = _yes if args.yes else _ask
    print(
        f'{robot.name}: {counted(len(robot.joints), "joint")}. Keep hands and cables clear; a '
        "switch for the servos' power must be within reach."
    )
    if not ask('Is it?'):
        print('Nothing was done. When both are so, run this again.')
        return 1
    with opened_bus(args) as bus:
        servos = ServoGroup(robot, bus)
        servos.verify()
        _check_limp(servos)
        left = [
            sentence
            for index in range(len(robot.joints))
            for sentence in settle(servos, index, ask)
        ]
    if left:
        print('\nNot settled, so nothing moves and no record is written:')
        print('\n'.join(f'  {sentence}' for sentence in left))
        return 1
    wrong = [joint.name for joint in robot.joints if not try_joint(args, robot, joint, ask)]
    if wrong:
        print(f'\nNot settled, no record is written: {", ".join(wrong)}')
        return 1
    with opened_bus(args) as bus:
        values = {joint.name: read_registers(bus, joint) for joint in robot.joints}
    if all(map(is_simulated, values.values())):
        print('\nSimulated servos need no record.')
        return 0
    path = args.record or record_path(robot)
    entries = {joint.name: ServoEntry.of(joint, values[joint.name]) for joint in robot.joints}
    write_record(path, robot, entries)
    print(f'\nwritten to {path}')
    if path != record_path(robot):
        print(f'name it in the robot file: commissioned: {path.resolve()}')
    return 0


def settle(servos: ServoGroup, index: int, ask: Ask) -> list[str]:
    """Show what one servo's registers say and put right what the owner lets.

    Returns:
        What still keeps torque off.
    """
    joint = servos.robot.joints[index]
    values = read_registers(servos.bus, joint)
    print(
        f'\nservo {joint.id} ({joint.name}): {joint.model}, firmware '
        f'{values["firmware_version"]}, '
        f'{values["present_input_voltage"] * units.VOLTAGE_UNIT_V:.1f} V, '
        f'{values["present_temperature"]} °C'
    )
    agreed = {'homing_offset': _agreed_offset(values, ask)}
    found = inspect(joint, values, agreed)
    for sentence in (*found.errors, *found.warnings):
        print(f'  {_without_remedy(sentence)}')
    wanted = (
        settled_registers(joint) | _own_limits(joint) | agreed | {'moving_threshold': MARK + index}
    )
    changes = {name: value for name, value in wanted.items() if values[name] != value}
    if changes:
        listed = ', '.join(f'{name} {values[name]} -> {value}' for name, value in changes.items())
        if ask(f'  Write into its EEPROM: {listed}?'):
            for name, value in changes.items():
                servos.write_register(index, name, value)
    after = inspect(joint, read_registers(servos.bus, joint), agreed)
    return [
        f'servo {joint.id} ({joint.name}) {_without_remedy(sentence)}' for sentence in after.errors
    ]


def try_joint(args: argparse.Namespace, robot: RobotConfig, joint: JointConfig, ask: Ask) -> bool:
    """Move one joint a little and back, all others limp; returns whether it went as it should."""
    with opened_bus(args) as bus:
        tick = read_registers(bus, joint)['present_position']
    here = units.position_rad(float(tick), float(joint.zero_tick), float(joint.direction))
    low, high = joint.limits_rad
    here = min(max(here, low), high)
    # It rests where it is, so that starting moves nothing.
    alone = replace(joint, neutral_rad=here)
    single = replace(
        robot, joints=(alone,), coupled_limits=(), exit='limp', stop='limp', commissioned=TRUST
    )
    with running_head(args, SPEED_RAD_S, CURRENT_SHARE, single) as head:
        right = _try_direction(head, alone, ask)
        if not args.ends:
            return right
        if not right:
            print('  its ends are not tried')
        return right and _try_ends(head, alone, ask)


def _try_direction(head: Head, joint: JointConfig, ask: Ask) -> bool:
    low, high = joint.limits_rad
    here = joint.neutral_rad
    way = min(NUDGE_RAD, high - here) if high - here >= here - low else -min(NUDGE_RAD, here - low)
    print(f'\n{joint.name}: now {_expectation(joint, way)} ({way:+.2f} rad)')
    reached = _go(head, joint, here + way)
    right = reached and ask('  Did it?')
    back = _go(head, joint, here)
    if reached and not right:
        print(
            f'  then direction must be {-joint.direction} in the robot file, or another servo '
            f'has id {joint.id}'
        )
    return right and back


def _try_ends(head: Head, joint: JointConfig, ask: Ask) -> bool:
    """Go to both limits at low current; returns whether nothing was in the way, or it may be."""
    free = True
    for limit in joint.limits_rad:
        if _go(head, joint, limit):
            print(f'  end {limit:+.2f} rad: reached')
        else:
            print(f'  end {limit:+.2f} rad: contact before it: move limits_rad inside')
            free = False
        _go(head, joint, joint.neutral_rad)
    return free or ask(f'  {joint.name}: go on with these limits all the same?')


def _go(head: Head, joint: JointConfig, goal_rad: float) -> bool:
    """Move one joint; returns whether it got there."""
    arrived = head.go({joint.name: goal_rad})
    present = float(head.cycles[-1].present_rad[head.robot.names.index(joint.name)])
    if arrived and abs(present - goal_rad) <= ARRIVED_RAD:
        return True
    print(f'  {joint.name} is at {present:+.2f} rad: {head.controller.status().sentence}')
    return False


def _expectation(joint: JointConfig, way_rad: float) -> str:
    """Return what the owner should see."""
    growing = [name for name, alpha in joint.channels.items() if alpha * way_rad > 0.0]
    channel = next(iter(growing or joint.channels), '')
    if channel in TURNS:
        sees = TURNS[channel][not growing]
    elif channel:
        less = '' if growing else 'less '
        sees = f'it should look a little {less}like {channel.replace("_", " ")}'
    else:
        sees = f'it should turn towards its limit of {joint.limits_rad[way_rad > 0.0]:+.2f} rad'
    sided = 'left' in sees or 'right' in sees
    return f"{sees}, left and right being the robot's own" if sided else sees


def _agreed_offset(values: Mapping[str, int], ask: Ask) -> int:
    """Return the homing offset that a servo is to have: its own where the owner set that one.

    Only a record can hold another than 0, and simulated servos have none.
    """
    offset = values['homing_offset']
    if not offset or is_simulated(values):
        return 0
    question = f'  Its homing_offset is {offset}: did you set it, and zero_tick with it?'
    return offset if ask(question) else 0


def _without_remedy(sentence: str) -> str:
    """Return a sentence of inspect() without this command as the remedy: it is running."""
    return sentence.removesuffix(f': {COMMISSION}')


def _own_limits(joint: JointConfig) -> dict[str, int]:
    """Return the robot file's limits as the servo's own, a fence for other programs.

    None where the servo would not take the goals of a start outside of them.
    """
    if joint.servo.position_mode == MODE_POSITION:
        return {}
    ticks = sorted(units.ticks(a, joint.zero_tick, joint.direction) for a in joint.limits_rad)
    last = units.TICKS_PER_TURN - 1
    return {
        'min_position_limit': max(0, ticks[0]),
        'max_position_limit': min(last, ticks[1]),
    }


def _check_limp(servos: ServoGroup) -> None:
    names = servos.robot.names
    stiff = [n for i, n in enumerate(names) if servos.read_register(i, 'torque_enable')]
    if stiff:
        raise BusError(
            f'torque is on in {", ".join(stiff)}: end the program that holds them '
            '(kf_imitation servo off)'
        )


def _yes(question: str) -> bool:
    print(f'{question} yes')
    return True


def _ask(question: str) -> bool:
    """Ask on the terminal until the answer is yes or no; an end of the input is no answer.

    Raises:
        ConfigError: nobody answers.
    """
    while True:
        print(f'{question} [y/n] ', end='', flush=True)
        answer = sys.stdin.readline()
        if not answer:
            rule = (
                'nobody answers: run it in a terminal, where you see the head and answer for each '
                'joint; --yes is for simulated heads'
            )
            raise ConfigError('servo commission', [rule])
        word = answer.strip().lower()
        if word in ('y', 'yes', 'n', 'no'):
            return word.startswith('y')
