"""One-Euro filter (Casiez et al., CHI 2012): still while slow, quick while fast."""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.parameters.settings import OneEuroSettings

Values = NDArray[np.float64]


_SPEED_CUTOFF_HZ = 1.0  # of the estimate of the speed


class OneEuroFilter:
    """Filters a vector sampled at irregular times.

    Attributes:
        settings: may be changed while it runs.
    """

    def __init__(self, settings: OneEuroSettings) -> None:
        self.settings = settings
        self._last: tuple[int, Values, Values] | None = None

    def push(self, stamp_ns: int, values: Values) -> Values:
        """Filter the next sample.

        Args:
            stamp_ns: later than the one before; otherwise the last result is kept.
            values: (n,).

        Returns:
            (n,) filtered; the first sample comes back as it is.
        """
        if self._last is None:
            self._last = stamp_ns, values, np.zeros_like(values)
            return values
        before_ns, before, speed_before = self._last
        dt = (stamp_ns - before_ns) * 1e-9
        if dt <= 0:
            return before
        speed = _blend(speed_before, (values - before) / dt, _SPEED_CUTOFF_HZ, dt)
        cutoff = self.settings.cutoff_hz + self.settings.speed_gain * np.abs(speed)
        smooth = _blend(before, values, cutoff, dt)
        self._last = stamp_ns, smooth, speed
        return smooth

    def reset(self) -> None:
        """Forget the past."""
        self._last = None


def _blend(before: Values, now: Values, cutoff_hz: float | Values, dt: float) -> Values:
    weight = 1 / (1 + 1 / (2 * np.pi * cutoff_hz * dt))
    return np.asarray(before + weight * (now - before))
