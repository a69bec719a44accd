"""Brows, lips and mouth corners between keyframes: what frames have changed since the last one."""

from collections import deque
from dataclasses import replace

import numpy as np

from kf_imitation.data_types import (
    CHANNELS,
    GUIDED_CHANNELS,
    REFLEX_CHANNELS,
    Expression,
    FloatArray,
)
from kf_imitation.expression.keyframe_estimator import HOLD_S, RELAX_S, UNSEEN
from kf_imitation.expression.reflex_estimator import CHANGES, GUIDED

_REFLEXES = [CHANNELS.index(name) for name in REFLEX_CHANNELS]
# A person who began with raised brows seems to lower them at rest: the keyframe must see it, too.
_AGREED = np.array([name == 'brow_lower' for name in GUIDED_CHANNELS])
FOLLOWED_SHARE = 0.9  # of a change between frames: part of it is noise
SURE = 0.85  # confidence of the keyframe under which a channel waits for the next one
AGREES = 0.06  # of what the keyframe reads, where it must see what frames clearly show
KEPT_NS = 1_500_000_000  # a keyframe comes to us later than its frame did, but not by more
GAP_NS = 500_000_000  # without a face for so long, what has changed meanwhile is not known
GONE_NS = 1_000_000_000  # by then the head relaxes: a face begins at rest


class KeyframeGuide:
    """Adds to keyframes what frames have changed since; stamps must be of one clock.

    Brows, lips and mouth corners are read better off a keyframe, but the next one is a quarter of
    a second away. What a frame reads of them is off by an error that mostly stays from frame to
    frame. So between keyframes these channels go on by what the frames have changed. What a
    keyframe does not see, as eyes behind dark glasses, frames do not see either, though they read
    something: it stays as the keyframe holds it, and lids, gaze and jaw go to rest after HOLD_S as
    there. So the eyes of a face rest until a keyframe, or a frame before the first one, surely
    sees them.
    """

    def __init__(self) -> None:
        self._frames: deque[tuple[int, FloatArray]] = deque()
        self._values = np.zeros(len(GUIDED), np.float32)
        self._follows = np.zeros(len(GUIDED), np.float32)
        self._may_add = np.zeros(len(GUIDED), bool)  # frames that clearly show more count
        self._begun = np.zeros(len(GUIDED), np.float32)  # what the keyframe's own frame read
        self._held: FloatArray = np.zeros(len(_REFLEXES), np.float32)
        self._hidden = np.zeros(len(_REFLEXES), bool)
        self._seen_ns = np.zeros(len(_REFLEXES), np.int64)  # when a keyframe last saw a channel
        self._keyframe_ns: int | None = None  # stamp of the last keyframe: it says what is hidden
        self._waiting_ns: int | None = None  # stamp of a keyframe whose frame is not looked up yet

    def on_keyframe(self, expression: Expression) -> None:
        """Take what a keyframe shows; the next frame goes on from it."""
        self._values = expression.values[GUIDED]
        sure = expression.confidence[GUIDED] >= SURE
        self._follows = np.where(sure, FOLLOWED_SHARE, 0.0).astype(np.float32)
        self._may_add = sure & ~(_AGREED & (self._values < AGREES))
        self._held = expression.values[_REFLEXES]
        self._hidden = expression.confidence[_REFLEXES] <= UNSEEN
        if self._keyframe_ns is None:
            self._seen_ns[:] = expression.stamp_ns
        self._seen_ns[~self._hidden] = expression.stamp_ns
        self._keyframe_ns = self._waiting_ns = expression.stamp_ns

    def on_frame(self, reflex: Expression) -> Expression:
        """Return a reflex with the guided channels as they are now, 0..1.

        Args:
            reflex: what a frame reads, later than the ones before.
        """
        now_ns, read = reflex.stamp_ns, reflex.values[GUIDED]
        self._forget_old(now_ns)
        self._frames.append((now_ns, read))
        while self._frames[0][0] < now_ns - KEPT_NS:
            self._frames.popleft()
        if self._waiting_ns is not None:
            asked_ns = self._waiting_ns
            self._begun = min(self._frames, key=lambda frame: abs(frame[0] - asked_ns))[1]
            self._waiting_ns = None
        values = reflex.values.copy()
        changed = self._values + self._follows * (read - self._begun)
        least = (reflex.confidence[GUIDED] - CHANGES) / (1 - CHANGES) * self._may_add
        hidden = self._hidden
        if self._keyframe_ns is None:
            hidden = reflex.confidence[_REFLEXES] < 1
        values[_REFLEXES] = np.where(hidden, self._kept(now_ns) * self._held, values[_REFLEXES])
        values[GUIDED] = np.clip(np.maximum(changed, least), 0.0, 1.0)
        return replace(reflex, values=values)

    def _kept(self, now_ns: int) -> FloatArray:
        """How much is left of what the keyframe held, if it is hidden, as _REFLEXES."""
        if self._keyframe_ns is None:
            return np.ones(len(_REFLEXES), np.float32)
        held_s, passed_s = (now_ns - self._seen_ns) * 1e-9, (now_ns - self._keyframe_ns) * 1e-9
        late_s = np.clip(held_s - HOLD_S, 0.0, max(passed_s, 0.0))
        return np.asarray(np.exp(-late_s / RELAX_S), np.float32)

    def _forget_old(self, now_ns: int) -> None:
        """After a pause go on from the last keyframe as it was; after a long one from rest."""
        last_ns = self._frames[-1][0] if self._frames else now_ns - GAP_NS
        away_ns = now_ns - last_ns
        is_new = self._waiting_ns is not None and self._waiting_ns > last_ns
        if not 0 <= away_ns < GAP_NS:
            self._frames.clear()
            self._waiting_ns = now_ns
        if not 0 <= away_ns < GONE_NS and not is_new:
            self._values = self._follows = np.zeros(len(GUIDED), np.float32)
            self._may_add = np.zeros(len(GUIDED), bool)
            self._held = np.zeros(len(_REFLEXES), np.float32)
            self._hidden = np.zeros(len(_REFLEXES), bool)
            self._keyframe_ns = None
