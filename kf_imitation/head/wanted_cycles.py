"""Which cycles of the bus the other end of a motor link is told of: most are for nobody."""

from threading import Lock

from kf_imitation.head.motor_link import PULSE_S
from kf_imitation.head.reports import ServoCycle

EVERY_HZ = 1e4  # more cycles a second than any bus has


class WantedCycles:
    """Chooses cycles at a rate, and the first one after a moment.

    One per PULSE_S is always chosen: it shows that the bus thread lives.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._period_ns = PULSE_S * 1e9
        self._due_ns = 0.0
        self._since_ns: int | None = None

    def set_rate(self, rate_hz: float) -> None:
        """Choose so many cycles a second from now on; EVERY_HZ for all."""
        with self._lock:
            period_ns = min(PULSE_S, 1.0 / rate_hz if rate_hz > 0 else PULSE_S) * 1e9
            if period_ns < self._period_ns:
                self._due_ns = 0.0
            self._period_ns = period_ns

    def want_first(self, since_ns: int) -> None:
        """Choose also the first cycle from a moment on (controller's clock)."""
        with self._lock:
            self._since_ns = since_ns

    def chooses(self, cycle: ServoCycle) -> bool:
        """Return whether a cycle is wanted; the next answer depends on it."""
        with self._lock:
            answers = self._since_ns is not None and cycle.stamp_ns >= self._since_ns
            if answers:
                self._since_ns = None
            if cycle.stamp_ns < self._due_ns:
                return answers
            period_ns = self._period_ns
            self._due_ns = max(self._due_ns + period_ns, cycle.stamp_ns + period_ns / 2)
            return True
