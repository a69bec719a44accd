"""A token bucket: how often somebody may do something."""


class RateLimit:
    """Allows bursts, and a mean rate in the long run."""

    def __init__(self, rate_hz: float, burst: int) -> None:
        self._rate_hz = rate_hz
        self._burst = burst
        self._left = float(burst)
        self._then_s: float | None = None

    def allows(self, now_s: float) -> bool:
        """Count one more at this time; false when it is one too many."""
        if self._then_s is not None:
            gained = max(0.0, now_s - self._then_s) * self._rate_hz
            self._left = min(float(self._burst), self._left + gained)
        self._then_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
