"""Back-pressure: how many frames are under way, and whether the last ones are through."""

from collections import deque
from collections.abc import Callable
from threading import Condition

# A frame that is not answered by then was lost with the node that had it.
ANSWER_TIMEOUT_S = 15.0


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
