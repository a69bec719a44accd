"""Notices a line that loses or damages replies, which repetition and pauses otherwise hide."""

from collections import deque

WINDOW_S = 1.0
POOR = 2  # misses within the window; a good line has one in hours


class LinkMonitor:
    """Watches how many replies were lost or damaged of late.

    Misses of a servo that is away, or of a whole line that is down, are reported elsewhere: who
    knows of one calls forget().
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._seen = 0

    def note(self, now_s: float, misses: int) -> None:
        """Take the bus's count of misses so far, once per cycle."""
        while self._times and now_s - self._times[0] > WINDOW_S:
            self._times.popleft()
        self._times.extend([now_s] * (misses - self._seen))
        self._seen = misses

    def forget(self, misses: int) -> None:
        """Begin anew: what was missed until now has another reason."""
        self._times.clear()
        self._seen = misses

    @property
    def sentence(self) -> str:
        """What is wrong, '' for nothing."""
        count = len(self._times)
        if count < POOR:
            return ''
        return (
            f'the line is poor: {count} replies of the last second were lost or damaged; look at '
            'plugs, cable, supply and what else keeps this computer busy'
        )
