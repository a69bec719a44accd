"""Goals on their way to a head: through the pose budget, what has to wait by ticks of a clock."""

from copy import deepcopy
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kf_imitation.head.clock import COMMAND_AGE_S
from kf_imitation.robot.pose_budget import BudgetCount, PoseBudget

AHEAD_NS = 500_000_000  # stamps may be this far ahead of our clock


class GoalTaker(Protocol):
    """What the pacer needs of a head."""

    def set_goal(self, position_rad: NDArray[np.float64], stamp_ns: int) -> str:
        """Move to a pose (J,); returns why not, or ''."""

    def forget_order(self) -> None:
        """Take the next goal whatever its stamp."""


class PosePacer:
    """Sends poses when the joints can follow (robot/pose_budget.py); the caller gives the time."""

    def __init__(self, head: GoalTaker, budget: PoseBudget) -> None:
        self._head, self._budget = head, budget
        self._stamp_ns = 0
        self._watched_s: float | None = None

    def show(
        self, goal_rad: NDArray[np.float64], stamp_ns: int, now_s: float, clock_ns: int
    ) -> str:
        """Take a pose.

        Args:
            goal_rad: (J,).
            stamp_ns: when the person looked so.
            now_s: boottime_s().
            clock_ns: now, on the clock of the stamps.

        Returns:
            '' or why it was rejected, which changes nothing.
        """
        self._watch_time(now_s)
        latest_ns = clock_ns + AHEAD_NS
        if stamp_ns <= latest_ns < self._stamp_ns:
            # The last one lies in the future: a bag starts again with /clock, a clock was set.
            self._head.forget_order()
            self._budget.forget()
        before = deepcopy(self._budget)
        reason = self._head.set_goal(self._budget.push(goal_rad, now_s), stamp_ns)
        if reason:
            self._budget = before
        else:
            self._stamp_ns = stamp_ns
        return reason

    def tick(self, now_s: float) -> None:
        """Send what has waited long enough: a later part of the newest pose."""
        self._watch_time(now_s)
        goal = self._budget.due(now_s)
        if goal is not None:
            self._stamp_ns += 1
            self._head.set_goal(goal, self._stamp_ns)

    def _watch_time(self, now_s: float) -> None:
        """Forget what waits once the computer stood still: nobody means that pose any more."""
        if self._watched_s is not None and now_s - self._watched_s > COMMAND_AGE_S:
            self._budget.forget()
        self._watched_s = now_s

    def set_patience(self, patience_s: float) -> None:
        """Change how long a joint is kept from turning back at most."""
        self._budget.patience_s = patience_s

    def count(self) -> BudgetCount:
        """Poses so far: on time and merged."""
        return self._budget.count()

    def forget(self) -> None:
        """Hold back what is left of the last pose: a service or a trajectory has taken over."""
        self._budget.forget()
