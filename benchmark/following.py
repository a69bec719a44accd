"""False alarms of the supervision: a healthy head moves for an hour and nothing may be said.

    python -m benchmark.following --robot sim_face --seconds 3600
    python -m benchmark.following --joints out/joints.csv --seconds 3600

Every robot that comes along is run by default. Goals are those of a replay (`joints.csv`, again
and again) or random poses. The servos are simulated on virtual time with backlash, and in turns
with load, a sagging supply and heat; the encoders are noisy by a tick.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo
from kf_imitation.head.controller import ServoController
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.robot import RobotConfig, load_robot, robot_names

Array = NDArray[np.float64]
PERIOD_S = 0.01
CHANGE_S = 60.0  # load, supply and heat change so often
LOAD = 0.1  # of the stall torque
SAG = 0.85  # of the nominal voltage
WARM_C = 50.0


def random_goals(robot: RobotConfig, rng: np.random.Generator) -> Iterator[Array]:
    """Give a pose per cycle: random ones, each for some time."""
    low, high = np.array([joint.limits_rad for joint in robot.joints]).T
    while True:
        pose = rng.uniform(low, high)
        for _ in range(int(rng.integers(2, 120))):
            yield pose


def replayed_goals(robot: RobotConfig, path: Path) -> Iterator[Array]:
    """Give the poses of a replay's joints.csv, one per cycle, again and again."""
    with path.open(encoding='utf-8', newline='') as lines:
        rows = [
            [float(row[f'{n}_goal_rad']) for n in robot.names] for row in csv.DictReader(lines)
        ]
    while True:
        yield from np.array(rows)


def make_noisy(servo: SimulatedServo, rng: np.random.Generator) -> None:
    """Let the encoder of a servo be off by a tick now and then."""
    measure: Callable[[str, int], None] = servo.registers.measure

    def noisy(name: str, value: int) -> None:
        measure(name, value + int(rng.integers(-1, 2)) if name == 'present_position' else value)

    servo.registers.measure = noisy


def alarms(robot: RobotConfig, goals: Iterator[Array], seconds: float, seed: int) -> list[str]:
    """Move a healthy head for a while; return what its supervision said, with the time."""
    rng = np.random.default_rng(seed)
    servos = simulated_servos(robot)
    for servo in servos:
        make_noisy(servo, rng)
    now_s = 0.0
    controller = ServoController(
        robot, InProcessBus(servos), clock=lambda: now_s, hold_s=1e9, pause=lambda _: None
    )
    controller.start(threaded=False)
    said: list[str] = []
    for cycle in range(round(seconds / PERIOD_S)):
        if cycle % round(CHANGE_S / PERIOD_S) == 0:
            _change_surroundings(servos, rng)
        now_s = (cycle + 1) * PERIOD_S
        controller.set_goal(next(goals), cycle + 1)
        errors = controller.step(now_s).errors
        notes = controller.cycle.monitor.notes
        for sentence in (*errors, *notes):
            if not any(sentence in earlier for earlier in said):
                said.append(f'{now_s:.2f} s: {sentence}')
    return said


def _change_surroundings(servos: list[SimulatedServo], rng: np.random.Generator) -> None:
    sag = rng.uniform(SAG, 1.0)
    for servo in servos:
        around = servo.physics.surroundings
        around.supply_v = sag * servo.model.nominal_voltage_v
        around.load = float(rng.uniform(-LOAD, LOAD))
        around.ambient_c = float(rng.uniform(20.0, WARM_C))


def main() -> None:
    """Run the robots and print what was said; exit code 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--robot', action='append', help='default: all that come along')
    parser.add_argument('--joints', type=Path, help="a replay's joints.csv of that robot")
    parser.add_argument('--seconds', type=float, default=3600.0, help='of motion per robot')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    count = 0
    for name in args.robot or robot_names():
        robot = replace(load_robot(name), exit='limp')
        rng = np.random.default_rng(args.seed)
        goals = replayed_goals(robot, args.joints) if args.joints else random_goals(robot, rng)
        said = alarms(robot, goals, args.seconds, args.seed)
        count += len(said)
        print(f'{name}: {args.seconds:g} s, {len(said)} alarms', *said[:20], sep='\n  ')
    raise SystemExit(count > 0)


if __name__ == '__main__':
    main()
