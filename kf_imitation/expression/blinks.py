"""Blinks as whole strokes: once a lid's fall is sure it shuts, however little the readings show.

A blink is over in three or four frames, of which one may be read at its depth; a lid that followed
the readings would turn back halfway. Both lids that fall together are a blink, one alone a wink.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
# Chosen on people that the networks have not seen (docs/landmarks.md).
SHUT = 0.4  # a lid that fell so far …
FALL = 0.2  # … by so much …
WITHIN_NS = 120_000_000  # … within this time shuts.
APART = 0.1  # a lid that falls by less does not take part
DEPTH = 0.7  # of a shut lid, at least: what eyes that are surely shut are read as
STROKE_NS = 95_000_000  # as long as a quick servo takes to shut the lid
LONGEST_NS = 400_000_000  # then the readings count again: eyes cast down stay half closed
OPENING = 0.7  # of the depth that was read: the eye opens again


class BlinkStrokes:
    """Makes the closure of two lids whole."""

    def __init__(self) -> None:
        self._past: deque[tuple[int, Values]] = deque()
        self._begun_ns: list[int | None] = [None, None]
        self._depth = np.zeros(2)

    def push(self, stamp_ns: int, closed: Values) -> Values:
        """Take the next frame.

        Args:
            stamp_ns: later than the one before.
            closed: (2,) closure of the left and the right lid as it was read, 0..1.

        Returns:
            (2,) closure to show.
        """
        while self._past and self._past[0][0] < stamp_ns - WITHIN_NS:
            self._past.popleft()
        before = np.min([row for _, row in self._past], axis=0) if self._past else closed
        self._past.append((stamp_ns, closed))
        fall = closed - before
        together = bool((fall >= APART).all())
        sure = together and fall.mean() >= FALL and closed.mean() >= SHUT
        shown = np.array(closed, np.float64)
        for eye in range(2):
            begun_ns = self._begun_ns[eye]
            if begun_ns is None and (
                sure or (not together and fall[eye] >= FALL and closed[eye] >= SHUT)
            ):
                begun_ns = stamp_ns
                self._depth[eye] = 0.0
            if begun_ns is None:
                continue
            self._depth[eye] = max(self._depth[eye], closed[eye])
            lasts_ns = stamp_ns - begun_ns
            opens = closed[eye] < OPENING * self._depth[eye] or lasts_ns >= LONGEST_NS
            if lasts_ns >= STROKE_NS and opens:
                begun_ns = None
            else:
                shown[eye] = max(DEPTH, closed[eye])
            self._begun_ns[eye] = begun_ns
        return shown
