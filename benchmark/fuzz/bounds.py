"""What an input may take: time, and no exception but those that a user is told."""

import faulthandler
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LONGEST_S = 5.0  # of processor time, for one input
STUCK_S = 60  # of processor time, for one input that no longer comes back to Python


class FuzzError(Exception):
    """Something answered wrongly, or not at all."""


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise FuzzError where the code inside takes too much processor time.

    Where it does not come back to Python, the process ends with a traceback.
    """

    def late(number: int, frame: FrameType | None) -> None:
        raise FuzzError(f'hangs: more than {LONGEST_S:g} s')

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
    faulthandler.register(signal.SIGXCPU, file=sys.__stderr__, chain=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + STUCK_S, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
