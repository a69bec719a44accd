"""Random trajectories through the servo controller: does one end its loop or exceed a limit?

    python -m benchmark.trajectories [--count 10000] [--seed 0]

Trajectories of every scale of time, from 0.1 µs to hours, valid and not, are given to a head on
virtual time in mid-motion. Each must be rejected with a reason, or performed within the limits of
the robot file, with the loop alive. The small run of the tests is test/head/test_cycle_faults.py.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.head.controller import ServoController
from kf_imitation.head.reports import RUNNING
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.motion.waypoints import TrajectoryPoint
from kf_imitation.robot import RobotConfig, load_robot

PERIOD_S = 0.01
RATES = ('max_velocity_rad_s', 'max_acceleration_rad_s2', 'max_jerk_rad_s3')
TOLERANCE = 1e-6
OF_A_HEAD = 40  # trajectories that a head is given in a row


def random_trajectory(
    rng: np.random.Generator, robot: RobotConfig
) -> tuple[list[str], list[TrajectoryPoint], float]:
    """Return names, points and delay [s]."""
    count = int(rng.integers(1, min(5, len(robot.names) + 1)))
    chosen = rng.choice(len(robot.names), count, replace=False).tolist()
    low, high = np.array([robot.joints[i].limits_rad for i in chosen]).T
    size = int(rng.choice([1, 2, 3, 8, 9, 12, 40]))
    times = np.cumsum(10.0 ** rng.uniform(-7, rng.choice([-2, 0, 1, 4]), size))
    positions = rng.uniform(low, high, (size, count))
    if rng.random() < 0.1:
        positions *= 1.5
    if rng.random() < 0.05:
        times[rng.integers(size)] = rng.choice([np.nan, np.inf, -1.0])
    fast = np.array([robot.joints[i].max_velocity_rad_s for i in chosen])
    with_velocities = rng.random() < 0.3
    points = [
        TrajectoryPoint(
            float(time_s),
            tuple(position.tolist()),
            tuple(rng.uniform(-fast, fast).tolist()) if with_velocities else (),
        )
        for time_s, position in zip(times, positions, strict=True)
    ]
    if with_velocities and rng.random() < 0.9:
        points[-1] = replace(points[-1], velocity_rad_s=(0.0,) * count)
    delay_s = float(rng.choice([0.0, rng.normal(0.0, 0.05), rng.normal(0.0, 2.0), 1e9]))
    return [robot.names[i] for i in chosen], points, delay_s


def exceeded(robot: RobotConfig, commanded: Sequence[NDArray[np.float64]]) -> list[str]:
    """Return the names of the limits that positions (K, J), one a cycle, exceed."""
    path = np.array(commanded)
    low, high = np.array([joint.limits_rad for joint in robot.joints]).T
    over = []
    if (path < low - TOLERANCE).any() or (path > high + TOLERANCE).any():
        over.append('position')
    for limit in robot.coupled_limits:
        factors = np.array([limit.terms.get(name, 0.0) for name in robot.names])
        if (path @ factors > limit.maximum_rad + TOLERANCE).any():
            over.append(limit.name)
    for order, name in enumerate(RATES, 1):
        most = np.array([getattr(joint, name) for joint in robot.joints])
        rate = np.abs(np.diff(path, order, axis=0)) / PERIOD_S**order
        if (rate > most * (1.0 + TOLERANCE)).any():
            over.append(name)
    return over


def check_head(robot: RobotConfig, seed: int, count: int = OF_A_HEAD) -> tuple[int, str]:
    """Give one head some trajectories in a row.

    Returns:
        How many were accepted, and what went wrong, '' for nothing.
    """
    rng = np.random.default_rng(seed)
    now_s = float(10.0 ** rng.uniform(0.0, 7.0))  # of uptime
    controller = ServoController(
        robot,
        InProcessBus(simulated_servos(robot)),
        clock=lambda: now_s,
        hold_s=3600.0,
        pause=lambda _: None,
    )
    controller.start(threaded=False)
    accepted, commanded = 0, []
    for number in range(count):
        accepted += controller.set_trajectory(*random_trajectory(rng, robot)) == ''
        for _ in range(int(rng.choice([2, 10, 40]))):
            now_s += PERIOD_S
            commanded.append(controller.step(now_s).commanded_rad)
        if controller.state != RUNNING:
            return accepted, f'trajectory {number}: {controller.status().sentence}'
    if controller.statistics().rejected_commands != count - accepted:
        return accepted, 'a rejected trajectory was not counted'
    return accepted, ', '.join(exceeded(robot, commanded))


def main(arguments: list[str] | None = None) -> int:
    """Run them; exit code 1 when something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--count', type=int, default=10_000, help='trajectories in all')
    parser.add_argument('--seed', type=int, default=0, help='of the first head')
    args = parser.parse_args(arguments)
    robot = replace(load_robot('sim_face'), exit='limp')
    heads = -(-args.count // OF_A_HEAD)
    accepted = failures = 0
    for seed in range(args.seed, args.seed + heads):
        taken, problem = check_head(robot, seed)
        accepted += taken
        failures += bool(problem)
        if problem:
            print(f'seed {seed}: {problem}', flush=True)
    total = heads * OF_A_HEAD
    print(
        f'{total} trajectories: {accepted} performed, {total - accepted} rejected with a reason, '
        f'{failures} heads with a fault or a limit exceeded'
    )
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
