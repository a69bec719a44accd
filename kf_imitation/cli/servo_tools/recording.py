"""`servo record` and `servo play`: poses moved by hand to a CSV file, and back.

The file has a column time_s and one per joint, in rad.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.bus import NoReplyError
from kf_imitation.cli.servo_tools.connection import opened_bus, running_head
from kf_imitation.errors import BusError, ConfigError
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.motion.joint_states import JointMeasurement
from kf_imitation.robot import RobotConfig, load_robot

RATE_HZ = 50.0
LONGEST_S = 3600.0
TELL_EVERY = 100  # poses


def run_record(args: argparse.Namespace) -> int:
    """Let torque go and write down how the head is moved by hand.

    Raises:
        ConfigError: the file exists, there is no time to record, or nobody said --yes.
        BusError: servos are missing.
    """
    if args.file.exists():
        raise ConfigError(str(args.file), ['exists; choose another name'])
    if not 0.0 < args.seconds <= LONGEST_S:
        rule = f'--seconds = {args.seconds:g} must be above 0, up to {LONGEST_S:g}'
        raise ConfigError('servo record', [rule])
    robot = load_robot(args.robot)
    if not args.yes:
        rule = 'torque goes off and the head may fall: hold it and add --yes'
        raise ConfigError('servo record', [rule])
    rows: list[list[float]] = []
    with opened_bus(args) as bus:
        joints = ServoGroup(robot, bus)
        joints.setup()
        if left := joints.torque_off():
            raise BusError(f'torque is still on: {", ".join(left)}')
        state = JointMeasurement.zeros(len(robot.joints))
        print(f'recording {args.seconds:g} s: move the head', flush=True)
        begin = time.monotonic()
        for count in range(int(args.seconds * RATE_HZ)):
            due = begin + count / RATE_HZ
            if count and count % TELL_EVERY == 0:
                print(f'  {args.seconds - count / RATE_HZ:g} s left', flush=True)
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                joints.read_state(range(len(robot.joints)), state)
            except NoReplyError:
                continue  # a pose less
            rows.append([time.monotonic() - begin, *state.position_rad])
    with args.file.open('x', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['time_s', *robot.names])
        writer.writerows([f'{value:.4f}' for value in row] for row in rows)
    print(f'{len(rows)} poses of {args.seconds:g} s in {args.file}')
    return 0


def read_recording(
    path: Path, robot: RobotConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read a recording; poses are clipped to the limits, which a hand easily passes.

    Returns:
        (K,) times from 0 and (K, J) positions in robot-file order.

    Raises:
        ConfigError: the file is unreadable or lacks joints, with every fault.
    """
    try:
        with path.open(newline='', encoding='utf-8') as file:
            header, *rows = list(csv.reader(file)) or [[]]
        table = np.array(rows, np.float64).reshape(len(rows), len(header))
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f'is not a recording: {error}']) from error
    faults = [f'has no column {name}' for name in ('time_s', *robot.names) if name not in header]
    if not faults and (not len(table) or not np.isfinite(table).all()):
        faults.append('must hold at least one pose of finite numbers')
    if not faults and (np.diff(table[:, header.index('time_s')]) <= 0.0).any():
        faults.append('time_s must grow')
    if faults:
        raise ConfigError(str(path), faults)
    times = table[:, header.index('time_s')]
    poses = table[:, [header.index(name) for name in robot.names]]
    low, high = np.array([joint.limits_rad for joint in robot.joints]).T
    return times - times[0], np.clip(poses, low, high)


def run_play(args: argparse.Namespace) -> int:
    """Move through a recording under all safety limits.

    Raises:
        ConfigError: the recording does not fit.
        BusError: the head does not follow.
    """
    if not 0.1 <= args.speed <= 2.0:
        raise ConfigError('servo play', [f'--speed = {args.speed} must be from 0.1 to 2'])
    times, poses = read_recording(args.file, load_robot(args.robot))
    with running_head(args) as head:
        print('moving to the first pose', flush=True)
        if not head.go(dict(zip(head.robot.names, map(float, poses[0]), strict=True))):
            raise BusError(f'the first pose is not reached: {head.controller.status().sentence}')
        print(f'playing {len(poses)} poses, {times[-1] / args.speed:.1f} s', flush=True)
        begin = time.monotonic()
        errors = []
        for stamp, (due, pose) in enumerate(zip(times / args.speed, poses, strict=True), 1000):
            time.sleep(max(0.0, begin + due - time.monotonic()))
            if rejection := head.controller.set_goal(pose, stamp):
                raise BusError(rejection)
            if stamp % TELL_EVERY == 0 and stamp > 1000:
                print(f'  {(times[-1] / args.speed - due):.1f} s left', flush=True)
            errors.append(np.abs(head.cycles[-1].present_rad - pose))
        print(f'{len(poses)} poses played, mean distance {np.mean(errors):.3f} rad')
    return 0
