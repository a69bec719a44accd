"""What commanded positions exceed: limits of joints, coupled limits, speed, acceleration, jerk.

The n-th difference of positions a step h apart is never more than h^n times the bound of the
n-th derivative. Rounding every position by half a tick adds up to 1, 2 and 4 ticks: at one cycle
that hides a tenfold jerk, over several cycles it does not. So differences are taken over several
steps.
"""

import math

import numpy as np
from numpy.typing import NDArray

from benchmark.judge.head_file import Head

Array = NDArray[np.float64]
RATES = ('velocity', 'acceleration', 'jerk')
STRIDES = (1, 2, 3, 5, 10)  # cycles
TOLERANCE = 1e-6  # of a limit
READ_TOLERANCE = 0.01  # where a motion is read from a wire: its beginning is known to a tick only
SLACK_RAD = 1e-9  # of a difference of positions
ROUNDING_RAD = 1e-7  # the last position of a plan is good to 1e-8, a servo to 1e-3


class MotionLimits:
    """Limits of one head, for poses (J,) in the order of its joints.

    Attributes:
        span: poses that rates() needs.
    """

    def __init__(
        self,
        head: Head,
        period_s: float,
        resolution_rad: float = 0.0,
        strides: tuple[int, ...] = STRIDES,
    ) -> None:
        """Prepare.

        Args:
            head: the limits.
            period_s: of a cycle.
            resolution_rad: positions are multiples of this; 0 for exact ones.
            strides: cycles between the positions whose differences are taken.
        """
        joints = head.joints
        single = np.eye(len(joints))
        coupled = [[one.terms.get(j.name, 0.0) for j in joints] for one in head.coupled]
        # Each row of sides @ pose stays at or below its edge.
        self._sides = np.vstack([single, -single, *coupled])
        self._edges = np.array(
            [j.high_rad for j in joints]
            + [-j.low_rad for j in joints]
            + [one.maximum_rad for one in head.coupled]
        )
        names = [j.name for j in joints]
        self._side_names = names * 2 + [one.name for one in head.coupled]
        half = resolution_rad / 2.0
        self._side_slack = np.abs(self._sides).sum(axis=1) * half + ROUNDING_RAD
        self._names = names
        bounds = np.array(
            [[j.speed_rad_s, j.acceleration_rad_s2, j.jerk_rad_s3] for j in joints]
        ).T
        # Each row of kernels @ (the newest poses, last first) is one difference.
        rows = [(order, stride) for stride in strides for order in (1, 2, 3)]
        self._order = np.array([order - 1 for order, _ in rows])
        self._reach = np.array([order * stride for order, stride in rows])
        self.span = 3 * max(strides) + 1
        self._kernels = np.zeros((len(rows), self.span))
        self._scale = np.zeros((len(rows), len(joints)))
        self._rounding = np.zeros((len(rows), 1))
        for row, (order, stride) in enumerate(rows):
            for k in range(order + 1):
                self._kernels[row, k * stride] = (-1) ** k * math.comb(order, k)
            self._scale[row] = bounds[order - 1] * (stride * period_s) ** order
            self._rounding[row] = half * 2**order + SLACK_RAD
        tolerance = READ_TOLERANCE if resolution_rad else TOLERANCE
        self._tops = self._scale * (1.0 + tolerance) + self._rounding

    def outside(self, pose: Array) -> NDArray[np.bool_]:
        """Return (J,) bool, joints beyond a limit of their own by more than the rounding."""
        over = self._sides @ pose - self._edges > self._side_slack
        joints = len(self._names)
        both: NDArray[np.bool_] = over[:joints] | over[joints : 2 * joints]
        return both

    def places(self, before: Array, now: Array) -> list[tuple[str, str, str]]:
        """Return (joint or coupled limit, what was seen, the rule) where a pose is out of place.

        A pose that was further out before may be out, but no further than it was.
        """
        over = np.maximum(self._sides @ now - self._edges, 0.0)
        were = np.maximum(self._sides @ before - self._edges, 0.0)
        joints = len(self._names)
        found = []
        for row in np.flatnonzero(over > were + self._side_slack).tolist():
            edge, seen = self._edges[row], self._sides[row] @ now
            sign = -1.0 if joints <= row < 2 * joints else 1.0
            rule = f'{"at least" if sign < 0.0 else "at most"} {sign * edge:g} rad'
            found.append((self._side_names[row], f'{sign * seen:.4f} rad', rule))
        return found

    def rates(self, newest: Array) -> list[tuple[str, str, float]]:
        """Return (joint, velocity, acceleration or jerk, share of its limit) of what is exceeded.

        Args:
            newest: (span, J) poses, the last one first.
        """
        changes = np.abs(self._kernels @ newest)
        over = changes > self._tops
        if not over.any():
            return []
        shares = (changes - self._rounding) / self._scale
        return [
            (self._names[joint], name, float(shares[at & over[:, joint], joint].max()))
            for joint in np.flatnonzero(over.any(axis=0)).tolist()
            for order, name in enumerate(RATES)
            if (over[:, joint] & (at := self._order == order)).any()
        ]

    def exceeded(self, path: Array) -> str:
        """Return what a path (K, J) of poses exceeds; '' for nothing."""
        over = np.maximum(path @ self._sides.T - self._edges, 0.0)
        growth = np.diff(over, axis=0)
        if (growth > self._side_slack).any():
            row = int(np.unravel_index(np.argmax(growth), growth.shape)[1])
            joints = len(self._names)
            what = f'position of {self._side_names[row]}' if row < 2 * joints else ''
            return f'{what or self._side_names[row]} by {growth.max():.2e} rad'
        padded = np.vstack([np.repeat(path[:1], self.span - 1, axis=0), path])
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.span, axis=0)
        # (R, K, J): windows have the oldest pose first.
        changes = np.abs(np.tensordot(self._kernels[:, ::-1], windows, axes=(1, 2)))
        over = changes > self._tops[:, None, :]
        over &= self._reach[:, None, None] <= np.arange(len(path))[:, None]
        if not over.any():
            return ''
        row, _, joint = (int(one[0]) for one in np.nonzero(over))
        share = changes[row, :, joint].max() / self._scale[row, joint]
        return f'{RATES[self._order[row]]} of {self._names[joint]} by a factor of {share:.6f}'
