"""What other threads ask of the bus thread; a mailbox, not a queue: the newest goal counts."""

import copy
import math
import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kf_imitation.motion.joint_states import JointTrajectoryState
from kf_imitation.motion.waypoints import TimedTrajectory, Waypoint

Array = NDArray[np.float64]


REFLEX_S = 0.25  # how long a reflex counts: some frames


class Reflex(NamedTuple):
    """Where some joints are to be at once, whatever the goal says.

    Attributes:
        joints: (K,) places of the joints.
        position_rad: (K,).
        given_s: controller time.
    """

    joints: NDArray[np.intp]
    position_rad: Array
    given_s: float

    def counts(self, now_s: float) -> bool:
        """Whether it still does."""
        return 0.0 <= now_s - self.given_s <= REFLEX_S


class CommandMailbox:
    """Mailbox of the controller.

    Attributes:
        lock: guards everything but the switches.
        wanted_rad: (J,) pose asked for.
        heard_s: when a goal or a sign of life came.
        given_s: when the last goal came.
        relaxed: the pose asked for is neutral because nobody asks for another.
        stop, reset: switches, set by anyone, taken by the bus thread.
        limp: the stop is to let torque go, whatever the robot file says.
        reboots: joints to restart.
        rejected: commands rejected so far.
        rejection, rejected_s: why and when the last one was.
        voided: commands that were never finished because time had gone on without them.
        running, waiting: the trajectory that moves its joints, and one that starts later.
        reflex: what some joints do without waiting for a goal; None before the first.
    """

    def __init__(self, neutral_rad: Array, hold_s: float) -> None:
        self.lock = threading.Lock()
        self._neutral = neutral_rad.copy()
        self.wanted_rad = neutral_rad.copy()
        self.heard_s = 0.0
        self.given_s = -math.inf
        self.hold_s = hold_s
        self.relaxed = True
        self.stop = False
        self.reset = False
        self.limp = False
        self.reboots: list[int] = []
        self.rejected = 0
        self.rejection = ''
        self.rejected_s = -math.inf
        self.voided = 0
        self.running: TimedTrajectory | None = None
        self.waiting: TimedTrajectory | None = None
        self.reflex: Reflex | None = None

    @property
    def hold_s(self) -> float:
        """Longest time a goal is valid without a sign of life."""
        return self._hold_s

    @hold_s.setter
    def hold_s(self, value: float) -> None:
        if not 0.0 < value < math.inf:
            raise ValueError(f'hold_s = {value} must be a number of seconds above 0')
        self._hold_s = value

    def goal(self, position_rad: Array, now_s: float) -> None:
        """Ask for a pose; the caller holds the lock."""
        self.wanted_rad = position_rad.copy()
        self.heard_s = self.given_s = now_s
        self.relaxed = False

    def void(self, since_s: float, now_s: float, position_rad: Array) -> None:
        """Forget what was asked for before a time, or later than now; rest where the joints are.

        Args:
            since_s: commands given later than that still count.
            now_s: controller time.
            position_rad: (J,) where the joints are.
        """
        with self.lock:
            fresh = since_s < self.given_s <= now_s and not self.relaxed
            self.voided += not self.relaxed and not fresh
            self.voided += self.running is not None
            self.running = self.reflex = None
            if self.waiting is not None and not since_s < self.waiting.given_s <= now_s:
                self.voided += 1
                self.waiting = None
            if not fresh:
                self.wanted_rad = position_rad.copy()
                self.heard_s, self.relaxed = now_s, False

    def reject(self, reason: str, now_s: float) -> str:
        """Count a command that is not carried out; returns the reason."""
        self.rejected += 1
        self.rejection, self.rejected_s = reason, now_s
        return reason

    def relax(self) -> None:
        """Ask for the neutral pose, trajectories end; the caller holds the lock."""
        self._go_neutral()
        self.running = self.waiting = self.reflex = None

    def _go_neutral(self) -> None:
        self.wanted_rad = self._neutral.copy()
        self.relaxed = True

    def pose(self, now_s: float, state: JointTrajectoryState) -> tuple[Array, Waypoint | None]:
        """Return the pose (J,) wanted now, and the waypoint that some joints are to pass.

        A trajectory has its joints until its end; then they stay where it led until the next
        goal, or until hold_s later. The other joints follow the goals all the while.

        Args:
            now_s: controller time.
            state: commanded now.
        """
        with self.lock:
            if self.waiting is not None and now_s >= self.waiting.start_s:
                self.running, self.waiting = self.waiting, None
                self.running.begin(now_s, state)
            if self.running is None:
                return self.wanted_rad.copy(), None
            waypoint = self.running.waypoint(now_s)
            self.wanted_rad[waypoint.joints] = waypoint.position_rad
            if now_s >= self.running.end_s:
                self.heard_s = max(self.heard_s, self.running.end_s)
                self.relaxed = False
                self.running = None
                return self.wanted_rad.copy(), None
            return self.wanted_rad.copy(), waypoint

    def reflexes(self, now_s: float, wanted_rad: Array) -> NDArray[np.intp]:
        """Put the reflex, while it counts, into a pose (J,); return its joints."""
        reflex = self.reflex
        if reflex is None or not reflex.counts(now_s):
            return np.arange(0)
        wanted_rad[reflex.joints] = reflex.position_rad
        return reflex.joints

    def take(self, now_s: float) -> tuple[bool, bool, list[int]]:
        """Return and clear stop, reset and reboots; relax if nobody spoke for hold_s."""
        with self.lock:
            if not self.relaxed and now_s - self.heard_s > self.hold_s:
                self._go_neutral()
            stop, self.stop = self.stop, False
            reset, self.reset = self.reset, False
            reboots, self.reboots = self.reboots, []
        return stop, reset, reboots

    def reset_later(self) -> None:
        """Put a reset back that cannot be done yet, unless a stop came after it."""
        with self.lock:
            self.reset = not self.stop

    def copy(self) -> 'CommandMailbox':
        """Return the poses and trajectories asked for, to look ahead with."""
        with self.lock:
            other = CommandMailbox(self._neutral, self.hold_s)
            other.wanted_rad = self.wanted_rad.copy()
            other.heard_s, other.relaxed = self.heard_s, self.relaxed
            other.running, other.waiting = copy.deepcopy((self.running, self.waiting))
            return other
