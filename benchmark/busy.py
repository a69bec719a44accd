"""How late this machine is, measured beside whatever else runs on it."""

import threading
import time

PULSE_S = 0.005
TOO_LATE_S = 0.02  # two cycles of the motor loop


class Lateness:
    """A thread that only sleeps, and notes how late it wakes.

    Attributes:
        worst_s: the latest so far.
    """

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name='lateness', daemon=True)

    @property
    def too_busy(self) -> bool:
        """Whether times measured meanwhile tell of the machine rather than of the code."""
        return self.worst_s > TOO_LATE_S

    def __enter__(self) -> 'Lateness':
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic() + PULSE_S
        while not self._end.wait(max(0.0, due - time.monotonic())):
            now = time.monotonic()
            self.worst_s = max(self.worst_s, now - due)
            due = now + PULSE_S
