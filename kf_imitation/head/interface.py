"""What a node needs of a head, whoever drives its servos."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kf_imitation.head.pending_confirmations import Answer
from kf_imitation.head.reports import ServoStatus
from kf_imitation.motion.waypoints import TrajectoryPoint


class Head(Protocol):
    """ServoController (our bus) or GatewayHead (goals for another driver).

    Attributes:
        hold_s: time without a goal or keep_alive() after which it relaxes to neutral.
        trajectory_most_s: how long a trajectory may last, or wait for its start.
        latched: stopped until reset().
        warnings: what start() found noteworthy.
    """

    hold_s: float
    trajectory_most_s: float
    latched: bool

    @property
    def warnings(self) -> tuple[str, ...]:
        """What start() found noteworthy."""

    def open(self) -> None:
        """Take the port and ask who is there; raises what is wrong with it."""

    def start(self) -> None:
        """Begin; raises what keeps the head from it."""

    def rest(self) -> str:
        """Leave by the exit policy; start() begins again. Returns what could not be, or ''."""

    def close(self) -> str:
        """Rest and release the port; may be called twice; returns as rest()."""

    def set_goal(self, position_rad: NDArray[np.float64], stamp_ns: int) -> str:
        """Move to a pose (J,); returns why not, or ''."""

    def set_reflex(
        self, joints: NDArray[np.intp], position_rad: NDArray[np.float64], stamp_ns: int
    ) -> str:
        """Move some joints (K,) at once, each for itself; returns why not, or ''."""

    def set_trajectory(
        self, names: Sequence[str], points: Sequence[TrajectoryPoint], delay_s: float = 0.0
    ) -> str:
        """Move some joints through poses in time; returns why not, or ''."""

    def forget_order(self) -> None:
        """Take the next goal whatever its stamp: the clock of the stamps was set back."""

    def reject(self, reason: str) -> str:
        """Count a command that the caller found faulty; returns the reason."""

    def keep_alive(self) -> None:
        """Say that the last goal is still meant."""

    def relax(self) -> None:
        """Move to neutral."""

    def stop(self) -> 'Future[Answer]':
        """Stop and stay stopped."""

    def reset(self) -> 'Future[Answer]':
        """End a stop."""

    def torque(self, on: bool) -> 'Future[Answer]':
        """Let torque go, or bring it back without motion."""

    def recover(self, careful: bool) -> 'Future[Answer]':
        """Reboot servos with hardware errors (careful), or all that are out of service."""

    def owners(self) -> tuple[str, ...]:
        """Return who may move each joint now (authority.py)."""

    def status(self) -> ServoStatus:
        """Return the state in a sentence with details."""
