"""States of all joints at one instant: what is commanded, and what was measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JointTrajectoryState:
    """What is commanded, each (J,) float64.

    Attributes:
        position: [rad].
        velocity: [rad/s].
        acceleration: [rad/s²].
    """

    position: Array
    velocity: Array
    acceleration: Array


@dataclass(frozen=True, slots=True)
class JointMeasurement:
    """What was read from the servos; whoever reads replaces the entries in place.

    Attributes:
        position_rad, velocity_rad_s, current_a: (J,) float64.
        alert: (J,) bool, a hardware error is set.
    """

    position_rad: Array
    velocity_rad_s: Array
    current_a: Array
    alert: NDArray[np.bool_]

    @classmethod
    def zeros(cls, joints: int) -> 'JointMeasurement':
        """Return the measurement of J joints at rest in 0, to read into."""
        return cls(
            np.zeros(joints), np.zeros(joints), np.zeros(joints), np.zeros(joints, np.bool_)
        )
