"""How frames flow: none lost (back-pressure), or none late (a bound of their age)."""

from collections import deque
from collections.abc import Callable
from threading import Condition

from kf_imitation.camera.stamps import OTHER_CLOCK_S
from kf_imitation.pipeline.statistics import Ledger

# A frame that is not answered by then was lost with the node that had it.
ANSWER_TIMEOUT_S = 15.0


class LatencyBound:
    """Skips what is too old when a stage could take it up; counts it by stage.

    A stage that is too slow for its source then works on the newest that fits, and lateness stays
    bounded: no more than the bound and the time of one run.
    """

    def __init__(self, stage: str, most_s: float, now_ns: Callable[[], int], ledger: Ledger):
        """Start with nothing skipped.

        Args:
            stage: for the ledger: span `age at STAGE`, count `skipped at STAGE`, span `behind at
                STAGE` (beyond the bound).
            most_s: oldest age that is taken up; 0: any.
            now_ns: the clock of the stamps.
            ledger: what is skipped goes there.
        """
        self.most_s = most_s
        self._stage = stage
        self._now_ns = now_ns
        self._ledger = ledger

    def skips(self, stamp_ns: int) -> bool:
        """Return whether what was captured at a stamp is to be left out; notes its age."""
        age_s = (self._now_ns() - stamp_ns) * 1e-9
        if not 0.0 <= age_s < OTHER_CLOCK_S:
            return False
        self._ledger.observe(f'age at {self._stage}', age_s)
        if not 0.0 < self.most_s < age_s:
            return False
        self._ledger.add(f'skipped at {self._stage}')
        self._ledger.observe(f'behind at {self._stage}', age_s - self.most_s)
        return True


class FlowControl:
    """Counts frames between sending and their answers; any thread.

    A frame is taken in when the keyframe node has pushed it through, and explained when its
    score is final, which is later by the look-ahead of the smoothing. Only the first limits the
    flow: waiting for explanations would wait for frames that are not sent yet.
    """

    def __init__(self, limit: int, on_loss: Callable[[int], None]) -> None:
        """Start with nothing under way.

        Args:
            limit: frames sent but not yet taken in.
            on_loss: called with a number of frames that nobody answered.
        """
        self._limit = limit
        self._on_loss = on_loss
        self._change = Condition()
        self._in_flight: deque[int] = deque()
        self._last_sent_ns = 0
        self._before_ns = 0  # the one sent before it
        self._explained_ns = 0
        self._stopped = False

    def admit(self, stamp_ns: int) -> bool:
        """Wait for room, then count a frame as sent; false when stopped."""
        with self._change:
            self._wait(lambda: len(self._in_flight) < self._limit)
            self._in_flight.append(stamp_ns)
            self._before_ns, self._last_sent_ns = self._last_sent_ns, stamp_ns
            return not self._stopped

    def withdraw(self, stamp_ns: int) -> None:
        """Take back the newest frame, which was not sent after all."""
        with self._change:
            if self._in_flight and self._in_flight[-1] == stamp_ns:
                self._in_flight.pop()
            self._last_sent_ns = self._before_ns
            self._change.notify_all()

    def taken_in(self, stamp_ns: int) -> None:
        """Note the answer to a frame, and to all before it."""
        with self._change:
            while self._in_flight and self._in_flight[0] <= stamp_ns:
                self._in_flight.popleft()
            self._change.notify_all()

    def explained(self, stamp_ns: int) -> None:
        """Note that a frame's score is final."""
        with self._change:
            self._explained_ns = max(self._explained_ns, stamp_ns)
            self._change.notify_all()

    def wait_until_through(self) -> None:
        """Wait until the last frame sent is explained, or stopped."""
        with self._change:
            self._wait(lambda: not self._in_flight and self._explained_ns >= self._last_sent_ns)

    def stop(self) -> None:
        """End all waiting."""
        with self._change:
            self._stopped = True
            self._change.notify_all()

    def _wait(self, condition: Callable[[], bool]) -> None:
        if not self._change.wait_for(lambda: condition() or self._stopped, ANSWER_TIMEOUT_S):
            self._on_loss(len(self._in_flight))
            self._in_flight.clear()
