"""Poses on their way to a head: what comes too fast for the servos is merged, not cut short.

A pose that arrives while a joint is still on its way can do one of two things to that joint.
Where it leads on in the same direction, the joint goes there at once and the earlier pose is
passed on the way. Where it turns the joint back, the joint first reaches the peak it was sent to,
as far as its speed allows within `patience_s`, and turns back then; what came in between is merged
into the newest pose. A blink between two looks is a blink, and not half of one.

The caller gives the time. How long a move takes is estimated from the joint's limits and
from the speed and delay that `kf_imitation servo selftest` measured.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kf_imitation.head.clock import COMMAND_AGE_S
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
# Moves below this are play and resolution: they never make another one wait.
SMALL_RAD = 0.02
# How much longer a move takes than planned: the servo follows its command with a lag.
FOLLOW_S = 0.02
_LONG_AGO_S = -1e9
AHEAD_NS = 500_000_000  # stamps may be this far ahead of our clock


@dataclass(frozen=True, slots=True)
class BudgetCount:
    """What became of the poses.

    Attributes:
        poses: that came.
        on_time: every joint could reach its part before a later pose took it elsewhere.
        merged: at least one joint skipped its part: a later pose took its place.
    """

    poses: int
    on_time: int
    merged: int

    @property
    def on_time_fraction(self) -> float:
        """Fraction of the poses that were reached on time, 1 without poses."""
        return self.on_time / self.poses if self.poses else 1.0


class PoseBudget:
    """Hands out goals that the joints can reach.

    Attributes:
        patience_s: the longest that a joint is kept from turning back; 0 lets every pose through
            at once.
    """

    def __init__(self, robot: RobotConfig, patience_s: float = 0.15) -> None:
        """Start with a head at rest in its neutral pose.

        Args:
            robot: whose limits and measured speeds count.
            patience_s: see the class.
        """
        joints = robot.joints
        self.patience_s = patience_s
        self._speed = np.array(
            [
                min(j.max_velocity_rad_s, j.measured.speed_rad_s or j.max_velocity_rad_s)
                for j in joints
            ]
        )
        self._acceleration = np.array([j.max_acceleration_rad_s2 for j in joints])
        self._jerk = np.array([j.max_jerk_rad_s3 for j in joints])
        self._delay = np.array([j.measured.delay_s or 0.0 for j in joints]) + FOLLOW_S
        self.reset(robot.neutral_rad)

    def reset(self, position_rad: Array) -> None:
        """Start anew with joints (J,) at rest."""
        self._from = position_rad.astype(np.float64).copy()
        self._goal = self._from.copy()
        self._begun = np.full(len(self._from), _LONG_AGO_S)
        self._there = np.full(len(self._from), _LONG_AGO_S)  # when each joint reaches its goal
        self._waiting = np.full(len(self._from), np.nan)
        self._newest = 0  # number of the pose that the waiting parts belong to
        self._owner = np.zeros(len(self._from), np.int64)  # pose that each goal belongs to
        self._missed: set[int] = set()
        self._poses = 0

    def move_time(self, distance_rad: Array) -> Array:
        """Seconds from rest to rest over (J,) distances, jerk limit included (upper bound)."""
        way = np.abs(distance_rad)
        ramp = self._speed / self._acceleration
        cruise = way / self._speed + ramp
        short = 2 * np.sqrt(way / self._acceleration)
        time = np.where(way < self._speed * ramp, short, cruise)
        return np.asarray(time + self._acceleration / self._jerk + self._delay)

    def push(self, goal_rad: Array, now_s: float) -> Array:
        """Take the next pose.

        Args:
            goal_rad: (J,) inside the limits.
            now_s: when it came; never falls.

        Returns:
            (J,) where to go now.
        """
        self.due(now_s)
        self._poses += 1
        self._newest = self._poses
        position = self._position(now_s)
        ahead = self._goal - position
        moving = (now_s < self._there) & (np.abs(ahead) > SMALL_RAD)
        back = (goal_rad - self._goal) * np.sign(ahead) < -SMALL_RAD
        hold = moving & back & (np.minimum(self._there, self._begun + self.patience_s) > now_s)
        # What was waiting and never went is merged into this pose.
        skipped = np.isfinite(self._waiting) & (np.abs(self._waiting - goal_rad) > SMALL_RAD)
        if skipped.any():
            self._missed.add(self._newest - 1)
        self._waiting = np.where(hold, goal_rad, np.nan)
        self._go(~hold, goal_rad, position, now_s, moving & back)
        return np.array(self._goal)

    def due(self, now_s: float) -> Array | None:
        """Let the joints go on that have reached their peak.

        Returns:
            (J,) where to go now, or None when nothing changed.
        """
        until = np.minimum(self._there, self._begun + self.patience_s)
        free = np.isfinite(self._waiting) & (until <= now_s)
        if not free.any():
            return None
        cut = now_s < self._there
        goal, self._waiting = self._waiting.copy(), np.where(free, np.nan, self._waiting)
        self._go(free, goal, self._position(now_s), now_s, cut)
        return np.array(self._goal)

    @property
    def waiting(self) -> bool:
        """Whether a part of the newest pose has not been handed out yet."""
        return bool(np.isfinite(self._waiting).any())

    def forget(self) -> None:
        """Let go of what is waiting: something else than a pose moves the head now."""
        if self.waiting:
            self._missed.add(self._newest)
        self._waiting = np.full(len(self._from), np.nan)

    def count(self) -> BudgetCount:
        """What became of the poses so far."""
        merged = len(self._missed)
        return BudgetCount(self._poses, self._poses - merged, merged)

    def _go(
        self,
        joints: NDArray[np.bool_],
        goal: Array,
        position: Array,
        now_s: float,
        cut: NDArray[np.bool_],
    ) -> None:
        """Send some joints on; `cut` says which of them leave a peak they have not reached."""
        lost = joints & cut & (np.abs(goal - self._goal) > SMALL_RAD)
        self._missed.update(int(k) for k in self._owner[lost] if k)
        moved = joints & (goal != self._goal)
        self._from = np.where(moved, position, self._from)
        self._begun = np.where(moved, now_s, self._begun)
        self._goal = np.where(moved, goal, self._goal)
        self._owner = np.where(moved, self._newest, self._owner)
        time = self.move_time(self._goal - self._from)
        self._there = np.where(moved, now_s + time, self._there)

    def _position(self, now_s: float) -> Array:
        """Where the joints are about now: halfway at half the time, slow at both ends."""
        length = np.maximum(self._there - self._begun, 1e-6)
        elapsed = np.clip((now_s - self._begun) / length, 0.0, 1.0)
        smooth = elapsed * elapsed * (3 - 2 * elapsed)
        return np.asarray(self._from + smooth * (self._goal - self._from))


class GoalTaker(Protocol):
    """What the pacer needs of a head."""

    def set_goal(self, position_rad: Array, stamp_ns: int) -> str:
        """Move to a pose (J,); returns why not, or ''."""

    def forget_order(self) -> None:
        """Take the next goal whatever its stamp."""


class PosePacer:
    """Sends poses when the joints can follow (PoseBudget); the caller gives the time."""

    def __init__(self, head: GoalTaker, budget: PoseBudget) -> None:
        self._head, self._budget = head, budget
        self._stamp_ns = 0
        self._watched_s: float | None = None

    def show(self, goal_rad: Array, stamp_ns: int, now_s: float, clock_ns: int) -> str:
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

    def tick(self, now_s: float) -> bool:
        """Send what has waited long enough; return whether a part of the newest pose still waits.

        Only then must it be called, and often.
        """
        self._watch_time(now_s)
        goal = self._budget.due(now_s)
        if goal is not None:
            self._stamp_ns += 1
            self._head.set_goal(goal, self._stamp_ns)
        return self._budget.waiting

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
