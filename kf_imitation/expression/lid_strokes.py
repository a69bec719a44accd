"""Blinks and winks as whole strokes of the lids."""

from collections import deque

import numpy as np

from kf_imitation.expression.channels import Levels

# Chosen on people that the networks have not seen (docs/landmarks.md).
SHUT = 0.43  # a lid that fell so far …
FALL = 0.2  # … by so much …
WITHIN_NS = 120_000_000  # … within this time shuts.
APART = 0.1  # a lid that falls by less does not take part
# Lids that are read as falling to the first of these or less shut to SHALLOW, to the second or
# more at least to WHOLE.
HALF, SURELY = 0.52, 0.56
SHALLOW, WHOLE = 0.49, 0.75  # WHOLE is shut (face_geometry/apertures.py)
OPEN = 0.3  # a lid that is read as less shut is open …
HALF_WINK = 0.5  # … and then the other winks: from here on it is WHOLE, since nobody winks by half
STROKE_NS = 110_000_000  # until a quick servo has nearly shut the lid
LONGEST_NS = 400_000_000  # then the readings count again: eyes cast down stay half closed
OPENING = 0.7  # of the depth that was read: the eye opens again


class BlinkStrokes:
    """Makes the closure of two lids whole: once a lid's fall is sure it goes on to its depth.

    A blink is over in three or four frames, of which one may be read at its depth; a lid that
    followed the readings would turn back halfway. Both lids that fall together are a blink, one
    alone a wink. People blink by half, too: what is read as less than that stays under it.
    """

    def __init__(self) -> None:
        self._past: deque[tuple[int, Levels]] = deque()
        self._begun_ns: list[int | None] = [None, None]
        self._depth = np.zeros(2)

    def push(self, stamp_ns: int, closed: Levels) -> Levels:
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
            if begun_ns is not None:
                self._depth[eye] = max(self._depth[eye], closed[eye])
                lasts_ns = stamp_ns - begun_ns
                opens = closed[eye] < OPENING * self._depth[eye] or lasts_ns >= LONGEST_NS
                if lasts_ns >= STROKE_NS and opens:
                    begun_ns = None
            self._begun_ns[eye] = begun_ns
        moving = np.array([begun_ns is not None for begun_ns in self._begun_ns])
        if moving.any():
            depth = self._depth[moving]
            winks = not moving.all() and closed[~moving].max() < OPEN
            half, surely = (HALF_WINK, HALF_WINK) if winks else (HALF, SURELY)
            least = np.interp(depth.mean(), (half, surely), (SHALLOW, WHOLE))
            shown[moving] = SHALLOW if depth.mean() < half else np.maximum(least, depth)
        return shown
