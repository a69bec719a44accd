"""A head on the simulated bus that follows random goals, for the fault matrix."""

import math
import re
import threading
import time
from collections.abc import Callable

import numpy as np

from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.actuators.dynamixel.simulator.servo import WriteRecord
from kf_imitation.head.controller import ServoController
from kf_imitation.head.reports import OK, ServoCycle, ServoStatus
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.motion.guards import STALL_CURRENT_FRACTION
from kf_imitation.robot import RobotConfig

LONGEST_S = 20.0


class Bench:
    """A head with a fault."""

    def __init__(self, robot: RobotConfig, goal_cycles: int = 25) -> None:
        self.robot = robot
        self.log: list[WriteRecord] = []
        self.line = SimulatedBus(simulated_servos(robot, self.log))
        self.port = PseudoTerminal(self.line)
        self.cycles: list[tuple[float, ServoCycle, ServoStatus]] = []
        self.controller = ServoController(
            robot, DynamixelBus(self.port.device, robot.baud), hold_s=60.0
        )
        self.controller.on_cycle = self._note
        self._rng = np.random.default_rng(0)
        self._low = np.array([j.limits_rad[0] for j in robot.joints])
        self._high = np.array([j.limits_rad[1] for j in robot.joints])
        self._count = 0
        self._goal_cycles = goal_cycles
        self.moved = threading.Condition()

    def _note(self, cycle: ServoCycle) -> None:
        self._count += 1
        if self._count % self._goal_cycles == 0:
            self.controller.set_goal(self._rng.uniform(self._low, self._high), self._count)
        with self.moved:
            self.cycles.append((time.monotonic(), cycle, self.controller.status()))
            self.moved.notify_all()

    def wait(self, done: Callable[[], bool], seconds: float = LONGEST_S) -> bool:
        """Wait until done() or until time is up; returns whether it was done."""
        end = time.monotonic() + seconds
        with self.moved:
            while not done():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self.moved.wait(left)
        return True

    @property
    def well(self) -> bool:
        """Whether the last cycle's status is OK."""
        return bool(self.cycles) and self.cycles[-1][2].level == OK

    def alarm(self, since: float, words: str) -> float:
        """Return the time of the first alarm that says words (a regex); NaN for none."""
        return next(
            (
                t
                for t, _, status in self.cycles
                if t >= since and status.level > OK and re.search(words, status.sentence)
            ),
            math.nan,
        )

    def way(self, joint: str) -> float:
        """Return how far a joint has to go [rad]."""
        index = self.robot.names.index(joint)
        cycle = self.cycles[-1][1]
        return abs(float(cycle.goal_rad[index] - cycle.present_rad[index]))

    def lets_go(self, joint: str, since: float) -> float:
        """Return when a joint has ended to push, from a time on; NaN for never."""
        index = self.robot.names.index(joint)
        limit = STALL_CURRENT_FRACTION * self.robot.joints[index].max_current_a
        return next(
            (t for t, c, _ in self.cycles if t >= since and abs(c.current_a[index]) < limit),
            math.nan,
        )
