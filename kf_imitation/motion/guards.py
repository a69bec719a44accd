"""Guards that watch measurements: stalled joints and warm servos; pure."""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.robot import RobotConfig, ThermalLimits

Array = NDArray[np.float64]
STALL_CURRENT_FRACTION = 0.7  # of the present limit: full force
# Ways to stall, one row each: commanded against present of more than ... [rad], a force of at
# least ... of the present limit, and not even ... [rad] in ... [s]. The last two are a finger that
# a joint presses with less force, and a joint that presses right before its goal.
STALLS = np.array(
    [
        [0.06, STALL_CURRENT_FRACTION, 0.02, 0.2],
        [0.06, STALL_CURRENT_FRACTION, 0.2, 0.4],
        [0.06, 0.3, 0.02, 1.0],
        [0.0, STALL_CURRENT_FRACTION, 0.02, 1.5],
    ]
)
STALL_RESTS_S = (1.5, 3.0)  # after the first and the second stall in a row; the third is the last
STALL_FORCES = (1.0, 0.6, 0.35)  # of the joint's max_current_a: each try is gentler
STALL_FORGOTTEN_S = 10.0  # a joint that moves for so long without a stall has all its tries again


class StallGuard:
    """Notices joints that push without moving, and keeps them from pushing for a while.

    One that lags behind at full current but comes nearer is none of them. A joint that stands
    still lets go sooner than a slow one, which may be on its way through something soft. A
    stalled joint takes its present angle as goal; after a pause it may try again with less force,
    and after the last try it rests until release().

    Attributes:
        resting: (J,) bool, joints in their pause.
        given_up: (J,) bool, joints that rest until release().
        held_rad: (J,) goal of resting joints.
        force: (J,) fraction of max_current_a that a joint may use.
        count: stalls so far.
    """

    def __init__(self, robot: RobotConfig) -> None:
        joints = len(robot.joints)
        self._most = np.array([j.max_current_a for j in robot.joints])
        # One row per way of stalling: how long a joint has pushed without it, and from where.
        self._pushing_s = np.zeros((len(STALLS), joints))
        self._from_rad = np.zeros((len(STALLS), joints))
        self._until_s = np.zeros(joints)
        self._in_a_row = np.zeros(joints, np.intp)
        self._stalled_s = np.full(joints, -np.inf)
        self._no: NDArray[np.bool_] = np.zeros(joints, np.bool_)
        self.resting: NDArray[np.bool_] = self._no.copy()
        self.given_up: NDArray[np.bool_] = self._no.copy()
        self.held_rad = np.zeros(joints)
        self.force = np.ones(joints)
        self.count = 0
        self._calm = True  # nobody pushes, rests or has stalled lately

    def update(
        self, now_s: float, dt_s: float, commanded_rad: Array, present_rad: Array, current_a: Array
    ) -> bool:
        """Take one cycle's measurements, all (J,).

        Returns:
            Whether `resting` changed.
        """
        error = commanded_rad - present_rad
        used = np.abs(current_a) / (self._most * self.force)
        least_rad, least_force, way_rad, time_s = (column[:, None] for column in STALLS.T)
        if self._calm and not (used >= STALLS[:, 1].min()).any():
            return False
        pushing = (np.abs(error) > least_rad) & (used >= least_force)
        if self._calm and not pushing.any():
            return False
        advance = np.sign(error) * (present_rad - self._from_rad)
        still = pushing & (advance < way_rad)
        self._pushing_s = np.where(still, self._pushing_s + dt_s, 0.0)
        self._from_rad = np.where(still, self._from_rad, present_rad)
        stalled = (self._pushing_s > time_s).any(axis=0) & ~self.resting
        ended = self.resting & (now_s >= self._until_s)
        if stalled.any():
            self._rest(stalled, now_s, present_rad)
        self.resting = (self.resting | stalled) & ~ended
        self.given_up &= self.resting
        good = ~self.resting & (now_s - self._stalled_s > STALL_FORGOTTEN_S)
        good &= ~pushing.any(axis=0)
        self._in_a_row[good] = 0
        self.force[good] = 1.0
        waiting = pushing.any() or self.resting.any()
        self._calm = not waiting and not self._in_a_row.any()
        return bool(stalled.any() or ended.any())

    def _rest(self, stalled: NDArray[np.bool_], now_s: float, present_rad: Array) -> None:
        self.held_rad = np.where(stalled, present_rad, self.held_rad)
        self._pushing_s[:, stalled] = 0.0
        self._stalled_s[stalled] = now_s
        self.count += int(stalled.sum())
        for index in np.flatnonzero(stalled).tolist():
            self._in_a_row[index] += 1
            tries = int(self._in_a_row[index])
            last = tries > len(STALL_RESTS_S)
            self.given_up[index] = last
            self._until_s[index] = np.inf if last else now_s + STALL_RESTS_S[tries - 1]
            self.force[index] = STALL_FORCES[min(tries, len(STALL_FORCES) - 1)]

    def release(self) -> list[int]:
        """End all pauses in the next cycle, as somebody says that nothing is in the way now.

        Returns:
            The joints that rested.
        """
        self._until_s[:] = -np.inf
        self._in_a_row[:] = 0
        self.force[:] = 1.0
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
