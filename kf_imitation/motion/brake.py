"""The quickest jerk-limited stop of each joint from any state, in closed form; pure.

A joint with speed v and acceleration a ramps the acceleration to -peak, holds it, and ramps back
to 0, so that speed and acceleration reach 0 together. The sign of v + a|a|/2j says which way.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kf_imitation.motion.joint_states import JointTrajectoryState

Array = NDArray[np.float64]
TINY = 1e-300  # keeps 0 / 0 at 0


@dataclass(frozen=True, slots=True)
class Brake:
    """A stop from `start`; times are (J,), since every joint stops as fast as it can."""

    start: JointTrajectoryState
    jerk: Array  # signed jerk of the first ramp
    first_s: Array  # end of the first ramp
    hold_s: Array  # end of the constant part
    end_s: Array  # standstill

    @property
    def duration_s(self) -> float:
        """Until the last joint stands."""
        return float(self.end_s.max(initial=0.0))

    @property
    def way(self) -> Array:
        """(J,) from the start to standstill."""
        v, a, j = self.start.velocity, self.start.acceleration, self.jerk
        first, hold, last = self.first_s, self.hold_s - self.first_s, self.end_s - self.hold_s
        pushed = a + first * j
        reached = v + first * (a + first * j / 2.0)
        way: Array = (
            first * (v + first * (a / 2.0 + first * j / 6.0))
            + hold * (reached + hold * pushed / 2.0)
            - last * last * last * j / 6.0  # backwards in time from standstill
        )
        return way

    def region(self) -> tuple[Array, Array]:
        """Return (high, low), each (J,): positions that the stop never leaves; never too small.

        A joint that brakes the other way first is given more than it takes: its speed then times
        the whole first ramp.
        """
        way, v = self.way, self.start.velocity
        wrong = np.abs(v) * self.first_s * (v * self.jerk > 0.0)
        start = self.start.position
        return start + np.maximum(way, 0.0) + wrong, start + np.minimum(way, 0.0) - wrong

    def at(self, time_s: NDArray[np.float64] | float) -> JointTrajectoryState:
        """Return the state at a time, or at (K, 1) times as (K, J) arrays."""
        t = np.asarray(time_s, np.float64)
        state = (self.start.position, self.start.velocity, self.start.acceleration)
        parts = (
            (self.jerk, np.clip(t, 0.0, self.first_s)),
            (np.zeros_like(self.jerk), np.clip(t, self.first_s, self.hold_s) - self.first_s),
            (-self.jerk, np.clip(t, self.hold_s, self.end_s) - self.hold_s),
        )
        for jerk, dt in parts:
            p, v, a = state
            state = (
                p + dt * (v + dt * (a / 2.0 + dt * jerk / 6.0)),
                v + dt * (a + dt * jerk / 2.0),
                a + dt * jerk,
            )
        standing = t >= self.end_s
        still = [np.where(standing, 0.0, part) for part in state[1:]]
        return JointTrajectoryState(state[0], still[0], still[1])


def plan_brake(start: JointTrajectoryState, max_acceleration: Array, max_jerk: Array) -> Brake:
    """Plan the stop of every joint.

    Args:
        start: state to stop from.
        max_acceleration: (J,) [rad/s²].
        max_jerk: (J,) [rad/s³].
    """
    v, a = start.velocity, start.acceleration
    side = np.where(v + a * np.abs(a) / (2.0 * max_jerk) >= 0.0, 1.0, -1.0)
    v, a = side * v, side * a
    energy = np.maximum(0.0, v + a * a / (2.0 * max_jerk))  # speed left once a is ramped to 0
    peak = np.minimum(np.maximum(max_acceleration, -a), np.sqrt(max_jerk * energy))
    first = np.maximum(0.0, (a + peak) / max_jerk)
    # Without a peak there is no energy either, and nothing to hold.
    hold = energy / np.maximum(peak, TINY) - peak / max_jerk
    hold_end = first + np.maximum(0.0, hold)
    return Brake(start, -side * max_jerk, first, hold_end, hold_end + peak / max_jerk)
