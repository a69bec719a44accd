"""Random keyframe streams through the safety and trajectory code: is a limit ever exceeded?

    python benchmark/streams.py [--streams 1000000] [--seed 0] [--workers 2]
    python benchmark/streams.py --resume

Every stream is a head of 1 to 6 joints with random limits and coupled limits (ten streams share a
head), a random start (some outside the limits), warm servos now and then, and random goals at
random times, extremes and wild ones among them; now and then a goal is a waypoint that some
joints pass at any speed and time, and now and then the planner proposes nonsense.
Commanded positions are judged from outside (benchmark/judge), by finite differences. One
stream in 50 ends with a goal that stays: a head that never gets there fails too, as the safest
head would be one that stands still.

Progress is kept in a file after every chunk; a run that was ended goes on with --resume, unless
the code has changed. A failing stream prints its seed and can be run alone: --seed N --streams 1.
The small run of the tests is test/benchmark/test_streams.py.
"""

import argparse
import dataclasses
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.judge import head_file as judged
from benchmark.judge import motion as judged_motion
from benchmark.judge.motion import MotionLimits
from kf_imitation.cli.terminal import write_json
from kf_imitation.motion import motion_generator, safety_limiter
from kf_imitation.motion import planner as trajectory
from kf_imitation.motion.joint_states import JointMeasurement, JointTrajectoryState
from kf_imitation.motion.motion_generator import MotionGenerator
from kf_imitation.motion.waypoints import Waypoint
from kf_imitation.robot import CoupledLimit, JointConfig, RobotConfig, ThermalLimits

Array = NDArray[np.float64]
PERIOD_S = 0.01
CHUNK = 200
STREAMS_OF_A_HEAD = 10
GOALS = 5  # at most
MEAN_CYCLES = 8.0  # between two goals; exponential, so some are long
LONGEST_CYCLES = 150
ENDING = 0.02  # fraction of the streams that end with a goal to arrive at
LONGEST_WAY = 6000  # cycles until then
ARRIVED_RAD = 1e-4
CODE = (
    motion_generator,
    safety_limiter,
    trajectory,
    judged_motion,
    sys.modules[__name__],
)


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


def seen_from_outside(robot: RobotConfig) -> judged.Head:
    """Return what the judge would read in a file of this robot."""
    return judged.Head(
        joints=tuple(
            judged.Joint(
                joint.name,
                joint.id,
                joint.model,
                *joint.limits_rad,
                joint.neutral_rad,
                joint.zero_tick,
                joint.direction,
                joint.max_velocity_rad_s,
                joint.max_acceleration_rad_s2,
                joint.max_jerk_rad_s3,
                joint.max_current_a,
            )
            for joint in robot.joints
        ),
        coupled=tuple(
            judged.Coupled(one.name, one.terms, one.maximum_rad) for one in robot.coupled_limits
        ),
        watchdog_s=robot.watchdog_s,
        stop=robot.stop,
        exit=robot.exit,
        derate_above_c=robot.thermal.derate_above_c,
        rest_above_c=robot.thermal.rest_above_c,
    )


class Head:
    """A random head with the code under test.

    Attributes:
        low, high: (J,) limits.
        rates: (J,) largest speed, acceleration and jerk.
        motion: limiter, planner and guards.
        stuck: how far the last stream ended from its goal; '' if it arrived or had none.
        endings: streams so far that had one.
    """

    def __init__(self, seed: int) -> None:
        robot = random_robot(np.random.default_rng([1, seed // STREAMS_OF_A_HEAD]))
        joints = robot.joints
        self.low, self.high = np.array([joint.limits_rad for joint in joints]).T
        self.motion = MotionGenerator(robot, PERIOD_S)
        self.stuck = ''
        self.endings = 0
        self._limits = MotionLimits(seen_from_outside(robot), PERIOD_S, strides=(1,))
        self.rates = [
            np.array([joint.max_velocity_rad_s for joint in joints]),
            np.array([joint.max_acceleration_rad_s2 for joint in joints]),
            np.array([joint.max_jerk_rad_s3 for joint in joints]),
        ]

    def exceeded(self, positions: np.ndarray) -> str:
        """Return what a stream of commanded positions (K, J) exceeds, '' for nothing."""
        return self._limits.exceeded(positions)


def random_waypoint(rng: np.random.Generator, head: Head, goal: Array, now_s: float) -> Waypoint:
    """Return a passage of some joints through a goal (J,), at times faster than they may be."""
    joints = np.flatnonzero(rng.random(len(goal)) < 0.7)
    if not joints.size:
        joints = np.arange(len(goal))
    speed, acceleration = (
        bound[joints] * rng.uniform(-1.2, 1.2, len(joints)) for bound in head.rates[:2]
    )
    return Waypoint(joints, now_s + rng.exponential(0.1), goal[joints], speed, acceleration)


def run_stream(head: Head, seed: int) -> np.ndarray:
    """Return the positions (K, J) that one stream commands."""
    rng = np.random.default_rng(seed)
    low, high, motion = head.low, head.high, head.motion
    width, joints = high - low, len(low)
    if rng.random() < 0.1:
        start = rng.uniform(low - 0.3 * width, high + 0.3 * width)
    else:
        start = motion.limiter.allowed_goal(rng.uniform(low, high))
    motion.begin(start)
    present = JointMeasurement.zeros(joints)
    warm = rng.random() < 0.1
    temperature = rng.uniform(20.0, 70.0, joints) if warm else np.full(joints, np.nan)
    positions = [start]
    now = 0.0
    for _ in range(int(rng.integers(1, GOALS + 1))):
        goal = rng.uniform(low - 0.1 * width, high + 0.1 * width)
        if rng.random() < 0.3:
            goal = np.where(rng.random(joints) < 0.5, low, high)
        waypoint = random_waypoint(rng, head, goal, now) if rng.random() < 0.1 else None
        cycles = min(LONGEST_CYCLES, 1 + int(rng.exponential(MEAN_CYCLES)))
        for nonsense in (rng.random(cycles) < 0.02).tolist():
            now += PERIOD_S
            present.position_rad[:] = motion.limiter.state.position
            if nonsense:
                noise = [rng.normal(0.0, 10.0 ** rng.integers(-5, 2), joints) for _ in range(3)]
                motion.limiter.step(JointTrajectoryState(*noise))
                motion.forget_plan()
            else:
                motion.advance(now, goal, present, temperature, waypoint)
            positions.append(motion.limiter.state.position)
    head.stuck = ''
    if rng.random() < ENDING:
        positions += arrive(head, rng, now)
    return np.array(positions)


def arrive(head: Head, rng: np.random.Generator, now: float) -> list[Array]:
    """Hold one goal until the head rests there; returns the positions, and notes if it does not.

    A goal beyond the limits counts as the one that the limiter makes of it.
    """
    low, high, motion = head.low, head.high, head.motion
    present = JointMeasurement.zeros(len(low))
    goal = rng.uniform(low, high)
    if rng.random() < 0.5:
        goal = np.where(rng.random(len(low)) < 0.5, low, high)
    positions = []
    head.endings += 1
    for _ in range(LONGEST_WAY):
        now += PERIOD_S
        present.position_rad[:] = motion.limiter.state.position
        motion.advance(now, goal, present, np.full(len(low), np.nan))
        positions.append(motion.limiter.state.position)
        off = np.abs(positions[-1] - motion.limiter.allowed_goal(goal)).max()
        if motion.limiter.at_rest and off < ARRIVED_RAD:
            return positions
    head.stuck = f'standing {off:.3f} rad away from the goal'
    return positions


def check_stream(seed: int) -> str:
    """Run one stream; returns what was exceeded or why it got stuck, '' for nothing."""
    head = Head(seed)
    return head.exceeded(run_stream(head, seed)) or head.stuck


@dataclasses.dataclass
class Progress:
    """What was done so far; what --resume goes on with.

    Attributes:
        first: seed of the first stream.
        done: streams, from there on without gaps.
        cycles: of the bus.
        replaced: proposals that the limiter replaced by a stop.
        endings: streams that had a goal to arrive at.
        processor_s: time all workers spent.
        failures: seed and what was exceeded, or where it got stuck.
        code: digest of the code that was run.
    """

    first: int = 0
    done: int = 0
    cycles: int = 0
    replaced: int = 0
    endings: int = 0
    processor_s: float = 0.0
    failures: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    code: str = ''

    def add(self, other: 'Progress') -> None:
        """Take in the chunk that follows."""
        self.done += other.done
        self.cycles += other.cycles
        self.replaced += other.replaced
        self.endings += other.endings
        self.processor_s += other.processor_s
        self.failures += other.failures

    def __str__(self) -> str:
        rate = self.done / max(self.processor_s, 1e-9)
        return (
            f'{self.done} streams, {self.cycles} cycles, {self.replaced} proposals replaced, '
            f'{self.endings} goals to arrive at, {len(self.failures)} limits exceeded or heads '
            f'stuck, {rate:.0f} streams per processor second'
        )


def run_chunk(first: int, count: int) -> Progress:
    """Run some streams."""
    chunk = Progress(first, count)
    begin = time.process_time()
    for number, seeds in itertools.groupby(
        range(first, first + count), lambda seed: seed // STREAMS_OF_A_HEAD
    ):
        head = Head(number * STREAMS_OF_A_HEAD)
        for seed in seeds:
            positions = run_stream(head, seed)
            chunk.cycles += len(positions) - 1
            if fault := head.exceeded(positions) or head.stuck:
                chunk.failures.append((seed, fault))
        chunk.replaced += head.motion.limiter.rejected_proposals
        chunk.endings += head.endings
    chunk.processor_s = time.process_time() - begin
    return chunk


def digest() -> str:
    """Return the identity of the code that decides the result."""
    files = [Path(module.__file__ or '').read_bytes() for module in CODE]
    return hashlib.sha256(b''.join(files)).hexdigest()[:16]


def run(progress: Progress, chunks: Iterable[int], workers: int, path: Path) -> None:
    """Run chunks in order, print and keep the progress."""
    for seed, fault in progress.failures:
        print(f'seed {seed}: {fault} (before)', flush=True)
    with multiprocessing.Pool(workers) as pool:
        for number, chunk in enumerate(
            pool.imap(functools.partial(run_chunk, count=CHUNK), chunks)
        ):
            progress.add(chunk)
            write_json(dataclasses.asdict(progress), path)
            for seed, fault in chunk.failures:
                print(f'seed {seed}: {fault}', flush=True)
            if number % 25 == 0:
                print(progress, flush=True)
    print(progress, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the streams; exit code 1 when a limit was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--streams', type=int, default=1_000_000, help='in all')
    parser.add_argument('--seed', type=int, default=0, help='of the first stream')
    parser.add_argument('--workers', type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument('--progress', type=Path, default=Path('streams.json'), help='the file')
    parser.add_argument('--resume', action='store_true', help='go on where the file ends')
    args = parser.parse_args(arguments)
    if args.streams < CHUNK:
        faults = [check_stream(seed) for seed in range(args.seed, args.seed + args.streams)]
        for seed, fault in enumerate(faults, args.seed):
            print(f'seed {seed}: {fault or "within all limits"}')
        return 1 if any(faults) else 0
    progress = Progress(args.seed, code=digest())
    if args.resume:
        try:
            progress = Progress(**json.loads(args.progress.read_text(encoding='utf-8')))
        except (OSError, ValueError, TypeError) as error:
            print(f'{args.progress}: {error}; begin without --resume', file=sys.stderr)
            return 2
        if progress.code != digest():
            print(f'{args.progress} is of other code; begin without --resume', file=sys.stderr)
            return 2
    first = progress.first
    run(
        progress,
        range(first + progress.done, first + args.streams, CHUNK),
        args.workers,
        args.progress,
    )
    return 1 if progress.failures else 0


if __name__ == '__main__':
    sys.exit(main())
