"""Counts and times of a run: the latency ledger behind /diagnostics and the table at the end."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from time import perf_counter

import numpy as np

# Enough for ten minutes at 30 fps; a longer run reports its last ten minutes.
KEPT = 18_000
# What counts frames that come too long after the one before to be compared with it.
FAR_APART = 'too far apart'


@dataclass(frozen=True, slots=True)
class Times:
    """Percentiles of one measured span.

    Attributes:
        count: of all observations, forgotten ones included.
        p50_ms, p95_ms, p99_ms, worst_ms: of the kept observations.
    """

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float


class Ledger:
    """Collects spans and counts from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._spans: dict[str, deque[float]] = {}
        self._span_counts: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    def observe(self, name: str, seconds: float) -> None:
        """Add one measured span."""
        with self._lock:
            self._spans.setdefault(name, deque(maxlen=KEPT)).append(seconds)
            self._span_counts[name] += 1

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Measure the body of a with statement."""
        start = perf_counter()
        yield
        self.observe(name, perf_counter() - start)

    def add(self, name: str, amount: int = 1) -> None:
        """Add to a count."""
        with self._lock:
            self._counts[name] += amount

    def count(self, name: str) -> int:
        """Return a count; 0 when it was never added to."""
        with self._lock:
            return self._counts[name]

    def counts(self, prefix: str = '') -> dict[str, int]:
        """Return every count whose name begins so, by the rest of the name."""
        with self._lock:
            return {
                name.removeprefix(prefix): count
                for name, count in self._counts.items()
                if name.startswith(prefix)
            }

    def times(self, newest: int = KEPT) -> dict[str, Times]:
        """Return the percentiles of every span, in the order of their first observation.

        Args:
            newest: how many observations of each to look at; a long run has many.
        """
        with self._lock:
            copies = {
                name: list(islice(reversed(values), newest))
                for name, values in self._spans.items()
            }
            counts = dict(self._span_counts)
        return {name: _times(values, counts[name]) for name, values in copies.items()}


def _times(seconds: list[float], count: int) -> Times:
    # np.percentile gives the same, in ten times the time.
    ranks = np.array([0.5, 0.95, 0.99, 1.0]) * (len(seconds) - 1)
    p50, p95, p99, worst = np.interp(ranks, np.arange(len(seconds)), np.sort(seconds)) * 1e3
    return Times(count, float(p50), float(p95), float(p99), float(worst))
