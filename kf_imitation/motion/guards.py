"""Guards that watch measurements: stalled joints and warm servos; pure."""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.robot import RobotConfig, ThermalLimits

Array = NDArray[np.float64]
STALL_ERROR_RAD = 0.06  # commanded against present
STALL_CURRENT_FRACTION = 0.7  # of the joint's max_current_a
STALL_WAYS_RAD = np.array([[0.02], [0.2]])  # not even so far ...
STALL_TIMES_S = np.array([[0.2], [0.4]])  # ... in this time: stands still, hardly moves
STALL_REST_S = 1.5  # the first two pauses; then doubles with every stall in a row
STALL_LONGEST_REST_S = 30.0


class StallGuard:
    """Notices joints that push without moving, and keeps them from pushing for a while.

    One that lags behind at full current but comes nearer is none of them. A joint that stands
    still lets go sooner than a slow one, which may be on its way through something soft. A
    stalled joint takes its present angle as goal; after a pause it may try again.

    Attributes:
        resting: (J,) bool, joints in their pause.
        held_rad: (J,) goal of resting joints.
        count: stalls so far.
    """

    def __init__(self, robot: RobotConfig) -> None:
        joints = len(robot.joints)
        self._current = np.array([STALL_CURRENT_FRACTION * j.max_current_a for j in robot.joints])
        # One row per way of stalling: how long a joint has pushed without it, and from where.
        self._pushing_s = np.zeros((len(STALL_TIMES_S), joints))
        self._from_rad = np.zeros((len(STALL_TIMES_S), joints))
        self._until_s = np.zeros(joints)
        self._in_a_row = np.zeros(joints)
        self.resting: NDArray[np.bool_] = np.zeros(joints, np.bool_)
        self.held_rad = np.zeros(joints)
        self.count = 0
        self._calm = True  # nobody pushes, rests or has rested lately

    def update(
        self, now_s: float, dt_s: float, commanded_rad: Array, present_rad: Array, current_a: Array
    ) -> bool:
        """Take one cycle's measurements, all (J,).

        Returns:
            Whether `resting` changed.
        """
        error = commanded_rad - present_rad
        pushing = (np.abs(error) > STALL_ERROR_RAD) & (np.abs(current_a) >= self._current)
        if self._calm and not pushing.any():
            return False
        advance = np.sign(error) * (present_rad - self._from_rad)
        still = pushing & (advance < STALL_WAYS_RAD)
        self._pushing_s = np.where(still, self._pushing_s + dt_s, 0.0)
        self._from_rad = np.where(still, self._from_rad, present_rad)
        stalled = (self._pushing_s > STALL_TIMES_S).any(axis=0) & ~self.resting
        ended = self.resting & (now_s >= self._until_s)
        calm = ~self.resting & ~pushing & (now_s > self._until_s + 2.0 * STALL_REST_S)
        self._in_a_row[calm] = 0
        self.held_rad = np.where(stalled, present_rad, self.held_rad)
        rest_s = STALL_REST_S * 2.0 ** np.clip(self._in_a_row - 1.0, 0.0, 8.0)
        rest_s = np.minimum(STALL_LONGEST_REST_S, rest_s)
        self._until_s = np.where(stalled, now_s + rest_s, self._until_s)
        self._in_a_row[stalled] += 1
        self._pushing_s[:, stalled] = 0.0
        self.resting = (self.resting | stalled) & ~ended
        self.count += int(stalled.sum())
        waiting = pushing.any() or self.resting.any()
        self._calm = not waiting and not self._in_a_row.any()
        return bool(stalled.any() or ended.any())

    def release(self) -> list[int]:
        """End all pauses in the next cycle, as somebody says that nothing is in the way now.

        Returns:
            The joints that rested.
        """
        self._until_s[:] = -np.inf
        self._in_a_row[:] = 0
        rested: list[int] = np.flatnonzero(self.resting).tolist()
        return rested


def thermal_scale(temperature_c: Array, limits: ThermalLimits) -> Array:
    """Return how much of its motion each joint may make, (J,) 0..1; unknown (NaN) counts as 1.

    1 up to derate_above_c, falling in a straight line to 0 at rest_above_c, in steps of 0.05 so
    that a flickering degree does not start a new plan every time.
    """
    if not (temperature_c > limits.derate_above_c).any():
        return np.ones(len(temperature_c))
    width = limits.rest_above_c - limits.derate_above_c
    scale = np.clip((limits.rest_above_c - temperature_c) / width, 0.0, 1.0)
    stepped: Array = np.where(np.isnan(scale), 1.0, np.round(scale * 20.0) / 20.0)
    return stepped
