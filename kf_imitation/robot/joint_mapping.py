"""From channels to joint goals by the alphas of the robot file, and back for the metrics."""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS, UNIT_CHANNELS, Expression, FloatArray
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
# Pulls channels that a pose does not need to 0 [rad²]; too small to shrink the others visibly.
REST_WEIGHT = 1e-6


class JointMapping:
    """goal = neutral + alpha * channels, clamped to the limits.

    Attributes:
        neutral_rad: (J,) float64.
        used: (19,) bool, channels that this head can show.
    """

    def __init__(self, robot: RobotConfig) -> None:
        joints = robot.joints
        self.neutral_rad: Array = robot.neutral_rad
        self._low = np.array([j.limits_rad[0] for j in joints], np.float64)
        self._high = np.array([j.limits_rad[1] for j in joints], np.float64)
        self._alpha = np.zeros((len(joints), len(CHANNELS)))
        for row, joint in enumerate(joints):
            for channel, alpha in joint.channels.items():
                self._alpha[row, CHANNELS.index(channel)] = alpha
        self.used: NDArray[np.bool_] = np.any(self._alpha != 0.0, axis=0)
        # Least squares: explain the pose, and let channels that it does not need rest at 0.
        self._inverse = np.vstack([self._alpha, np.sqrt(REST_WEIGHT) * np.eye(len(CHANNELS))])
        self._lowest = np.where(np.arange(len(CHANNELS)) < len(UNIT_CHANNELS), 0.0, -np.inf)

    def goals(self, expression: Expression) -> Array:
        """Return the goal of every joint, (J,) float64 rad, inside the limits.

        Values that are not finite count as neutral, unit channels are clipped to 0..1.
        """
        values = np.nan_to_num(expression.values.astype(np.float64), posinf=0.0, neginf=0.0)
        units = len(UNIT_CHANNELS)
        values[:units] = np.clip(values[:units], 0.0, 1.0)
        goal: Array = np.clip(self.neutral_rad + self._alpha @ values, self._low, self._high)
        return goal

    def channels(self, position_rad: Array) -> FloatArray:
        """Return the channels that a pose shows, (19,) float32.

        The smallest values that explain the (J,) positions, unit channels in 0..1; a channel that
        the head cannot show is 0. Clamped goals give the clamped channel, not the original.
        """
        from scipy.optimize import lsq_linear  # half a second that a head need not wait for

        right = np.concatenate([position_rad - self.neutral_rad, np.zeros(len(CHANNELS))])
        values = lsq_linear(self._inverse, right, (self._lowest, np.inf), method='bvls').x
        units = len(UNIT_CHANNELS)
        values[:units] = np.clip(values[:units], 0.0, 1.0)
        channels: FloatArray = values.astype(np.float32)
        return channels
