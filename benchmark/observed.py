"""What a benchmark notes of a running head, cycle by cycle, and what it asks of the notes."""

import math
import re

from kf_imitation.head.reports import OK, ServoCycle, ServoStatus
from kf_imitation.motion.motion_generator import STALL_CURRENT_FRACTION
from kf_imitation.robot import RobotConfig


class Observed:
    """Notes of one head.

    Attributes:
        robot: the head.
        cycles: (time, cycle, status).
    """

    def __init__(self, robot: RobotConfig) -> None:
        self.robot = robot
        self.cycles: list[tuple[float, ServoCycle, ServoStatus]] = []

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

    def last_alarm(self, since: float) -> float:
        """Return the time of the last alarm from a time on; that time itself for none."""
        return max((t for t, _, s in self.cycles if t > since and s.level > OK), default=since)

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
