"""What other threads ask of the bus thread; a mailbox, not a queue: the newest goal counts."""

import threading

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Requests:
    """Mailbox of the controller.

    Attributes:
        lock: guards everything but the switches.
        wanted_rad: (J,) pose asked for.
        heard_s: when a goal or a sign of life came.
        hold_s: longest time a goal is valid without a sign of life.
        relaxed: the pose asked for is neutral because nobody asks for another.
        stop, reset: switches, set by anyone, taken by the bus thread.
        limp: the stop is to let torque go, whatever the robot file says.
        reboots: joints to restart.
    """

    def __init__(self, neutral_rad: Array, hold_s: float) -> None:
        self.lock = threading.Lock()
        self._neutral = neutral_rad.copy()
        self.wanted_rad = neutral_rad.copy()
        self.heard_s = 0.0
        self.hold_s = hold_s
        self.relaxed = True
        self.stop = False
        self.reset = False
        self.limp = False
        self.reboots: list[int] = []

    def goal(self, position_rad: Array, now_s: float) -> None:
        """Ask for a pose; the caller holds the lock."""
        self.wanted_rad = position_rad.copy()
        self.heard_s = now_s
        self.relaxed = False

    def relax(self) -> None:
        """Ask for the neutral pose; the caller holds the lock."""
        self.wanted_rad = self._neutral.copy()
        self.relaxed = True

    def take(self, now_s: float) -> tuple[bool, bool, list[int]]:
        """Return and clear stop, reset and reboots; relax if nobody spoke for hold_s."""
        with self.lock:
            if not self.relaxed and now_s - self.heard_s > self.hold_s:
                self.relax()
            stop, self.stop = self.stop, False
            reset, self.reset = self.reset, False
            reboots, self.reboots = self.reboots, []
        return stop, reset, reboots
