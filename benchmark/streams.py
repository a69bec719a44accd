"""Random keyframe streams through the safety and trajectory code: is a limit ever exceeded?

    python benchmark/streams.py [--streams 1000000] [--seed 0] [--workers 2]

Every stream is a head of 1 to 6 joints with random limits and coupled limits, a random start
(some outside the limits) and random goals at random times, extremes and wild ones among them;
now and then the planner proposes nonsense. Commanded positions are judged by finite differences,
independent of the code's own checks. A failing stream prints its seed and can be run alone:
--seed N --streams 1. The small run of the tests is test/unit/test_safety.py.
"""

import argparse
import multiprocessing
import os
import sys
import time

import numpy as np

from kf_imitation.robot_config import CoupledLimit, JointConfig, RobotConfig, ThermalLimits
from kf_imitation.servo.brake import Motion
from kf_imitation.servo.guarded_motion import GuardedMotion
from kf_imitation.servo.joint_bus import empty_state

PERIOD_S = 0.01
TOLERANCE = 1e-6  # of a limit
CHUNK = 200


def random_robot(rng: np.random.Generator) -> RobotConfig:
    """Return a head with limits of any size a servo can have."""
    joints = []
    for index in range(int(rng.integers(1, 7))):
        low, high = -rng.uniform(0.05, 1.5), rng.uniform(0.05, 1.5)
        speed = 10.0 ** rng.uniform(-0.5, 1.0)
        acceleration = speed * 10.0 ** rng.uniform(0.5, 1.5)
        joints.append(
            JointConfig(
                name=f'joint_{index}',
                id=index,
                model='XL330-M288',
                limits_rad=(low, high),
                neutral_rad=0.0,
                zero_tick=2048,
                direction=1,
                max_velocity_rad_s=speed,
                max_acceleration_rad_s2=acceleration,
                max_jerk_rad_s3=acceleration * 10.0 ** rng.uniform(0.8, 2.0),
                max_current_a=0.5,
                channels={},
            )
        )
    coupled = []
    if len(joints) > 1:
        for number in range(int(rng.integers(0, 3))):
            chosen = rng.choice(len(joints), 2, replace=False)
            terms = {joints[i].name: float(rng.choice([-1.0, 1.0, 0.5])) for i in chosen}
            coupled.append(CoupledLimit(f'limit {number}', terms, float(rng.uniform(0.05, 0.8))))
    return RobotConfig(
        name='random',
        description='',
        port='none',
        baud=1_000_000,
        exit='limp',
        stop='limp',
        watchdog_s=0.0,
        urdf='',
        thermal=ThermalLimits(),
        joints=tuple(joints),
        coupled_limits=tuple(coupled),
    )


def check_stream(seed: int) -> tuple[str, int, int]:
    """Run one stream.

    Returns:
        What was exceeded ('' for nothing), cycles, and proposals that the limiter replaced.
    """
    rng = np.random.default_rng(seed)
    robot = random_robot(rng)
    low, high = np.array([joint.limits_rad for joint in robot.joints]).T
    motion = GuardedMotion(robot, PERIOD_S)
    width = high - low
    start = rng.uniform(low, high)
    if rng.random() < 0.1:
        start = rng.uniform(low - 0.3 * width, high + 0.3 * width)
    else:
        start = motion.limiter.allowed_goal(start)
    motion.begin(start)
    present = empty_state(len(robot.joints))
    unknown = np.full(len(robot.joints), np.nan)
    positions = [start]
    now = 0.0
    for _ in range(int(rng.integers(1, 6))):
        goal = rng.uniform(low - 0.1 * width, high + 0.1 * width)
        if rng.random() < 0.3:
            goal = np.where(rng.random(len(low)) < 0.5, low, high)
        for _ in range(int(rng.integers(1, 25))):
            now += PERIOD_S
            present.position_rad[:] = motion.limiter.state.position
            if rng.random() < 0.02:
                noise = [rng.normal(0.0, 10.0 ** rng.integers(-5, 2), len(low)) for _ in range(3)]
                motion.limiter.step(Motion(*noise))
                motion.forget_plan()
            else:
                motion.advance(now, goal, present, unknown)
            positions.append(motion.limiter.state.position)
    fault = exceeded(np.array(positions), robot)
    return fault, len(positions) - 1, motion.limiter.rejected


def exceeded(positions: np.ndarray, robot: RobotConfig) -> str:
    """Return what a stream of commanded positions (K, J) exceeds, '' for nothing.

    A start outside a limit widens it to where the stream is, inwards only.
    """
    low, high = np.array([joint.limits_rad for joint in robot.joints]).T
    over = np.maximum(positions - high, 0.0) + np.maximum(low - positions, 0.0)
    if (np.diff(over, axis=0) > 1e-9).any():
        return f'position by {np.diff(over, axis=0).max():.2e} rad'
    for limit in robot.coupled_limits:
        factors = np.array([limit.terms.get(name, 0.0) for name in robot.names])
        beyond = np.maximum(positions @ factors - limit.maximum_rad, 0.0)
        if (np.diff(beyond) > 1e-7).any():
            return f'{limit.name} by {np.diff(beyond).max():.2e} rad'
    for order, name in enumerate(('velocity', 'acceleration', 'jerk'), 1):
        bound = np.array([getattr(joint, f'max_{name}_{UNITS[order]}') for joint in robot.joints])
        rate = np.abs(np.diff(positions, order, axis=0)) / PERIOD_S**order
        if (rate > bound * (1.0 + TOLERANCE) + SLACK / PERIOD_S**order).any():
            return f'{name} by a factor of {(rate / bound).max():.6f}'
    return ''


UNITS = {1: 'rad_s', 2: 'rad_s2', 3: 'rad_s3'}
SLACK = 1e-9  # rad, of a difference of positions


def run_chunk(first: int) -> tuple[int, int, list[tuple[int, str]]]:
    """Run CHUNK streams; returns cycles, replaced proposals and failures."""
    cycles = replaced = 0
    failures = []
    for seed in range(first, first + CHUNK):
        fault, count, rejected = check_stream(seed)
        cycles += count
        replaced += rejected
        if fault:
            failures.append((seed, fault))
    return cycles, replaced, failures


def main() -> int:
    """Run the streams; exit code 1 when a limit was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--streams', type=int, default=1_000_000)
    parser.add_argument('--seed', type=int, default=0, help='of the first stream')
    parser.add_argument('--workers', type=int, default=max(1, (os.cpu_count() or 2) - 1))
    args = parser.parse_args()
    if args.streams < CHUNK:
        for seed in range(args.seed, args.seed + args.streams):
            print(f'seed {seed}: {check_stream(seed)[0] or "within all limits"}')
        return 0
    begin = time.monotonic()
    cycles = replaced = done = bad = 0
    chunks = range(args.seed, args.seed + args.streams, CHUNK)
    with multiprocessing.Pool(args.workers) as pool:
        for number, result in enumerate(pool.imap_unordered(run_chunk, chunks), 1):
            cycles, replaced, done = cycles + result[0], replaced + result[1], done + CHUNK
            for seed, fault in result[2]:
                bad += 1
                print(f'seed {seed}: {fault}', flush=True)
            if number % 5 == 0 or done >= args.streams:
                rate = done / (time.monotonic() - begin)
                print(
                    f'{done} streams, {cycles} cycles, {replaced} proposals replaced, {bad} '
                    f'limits exceeded, {rate:.0f} streams/s',
                    flush=True,
                )
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
