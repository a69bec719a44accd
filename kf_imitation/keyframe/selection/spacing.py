"""The minimum time between keyframes, the same for every mode."""

# Times are whole nanoseconds rounded from fractions.
_TOLERANCE_NS = 1_000


class Spacing:
    """Keeps the minimum time between keyframes."""

    def __init__(self) -> None:
        self._last_ns: int | None = None

    def allows(self, stamp_ns: int, interval_ns: int, spacing_s: float) -> bool:
        """Tell whether a keyframe may follow the last one.

        Args:
            stamp_ns: of the keyframe; earlier than the last one means a new recording.
            interval_ns: time between frames.
            spacing_s: minimum time [s].
        """
        if self._last_ns is None or stamp_ns < self._last_ns:
            return True
        return self.is_far(stamp_ns - self._last_ns, interval_ns, spacing_s)

    def take(self, stamp_ns: int) -> None:
        """Remember a keyframe."""
        self._last_ns = stamp_ns

    @staticmethod
    def is_far(apart_ns: int, interval_ns: int, spacing_s: float) -> bool:
        """Tell whether two frames are the spacing apart, rounded to whole frames."""
        return apart_ns >= spacing_s * 1e9 - interval_ns // 2 - _TOLERANCE_NS
