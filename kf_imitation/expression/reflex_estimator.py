"""Channels of every frame, from what the keyframe model reads of eyes and mouth.

It reads them to compare the frame with the one before, so they are there anyway. They are less
sure than a keyframe's, but a blink, a glance and the jaw of speech are over before one is chosen.
"""

import numpy as np

from kf_imitation.data_types import (
    CHANNELS,
    FRAME_CHANNELS,
    GUIDED_CHANNELS,
    Expression,
    FrameScore,
)
from kf_imitation.expression.channels import Levels
from kf_imitation.expression.clear_expressions import ClearExpressions, parts_of
from kf_imitation.expression.hidden_parts import ALL_SEEN, Seen, parts_seen
from kf_imitation.expression.lid_strokes import BlinkStrokes
from kf_imitation.expression.recent_median import RecentMedian
from kf_imitation.expression.reflex_sizes import (
    REFLEXES,
    raw_reflexes,
    reflex_levels,
    reflex_values,
)

# Readings of a face that keeps still flicker by about as much [value, rad].
_FLICKER = np.array([0.06 if name in GUIDED_CHANNELS else 0.03 for name in FRAME_CHANNELS])
GUIDED = [CHANNELS.index(name) for name in GUIDED_CHANNELS]
# Confidence of a guided channel in a frame that clearly shows nothing of it; at 1 it shows all.
CHANGES = 0.5
MAYBE = 0.5  # confidence of eyes that may be hidden, until a frame surely sees them
REFLEX_CONFIDENCE = np.zeros(len(CHANNELS), np.float32)
REFLEX_CONFIDENCE[REFLEXES] = 1.0
REFLEX_CONFIDENCE[GUIDED] = CHANGES
_WIDE_EYES = [CHANNELS.index(f'eye_wide_{side}') for side in ('left', 'right')]
EYES = [CHANNELS.index(name) for name in FRAME_CHANNELS if name.startswith(('eye', 'gaze'))]
_LIDS = [CHANNELS.index(f'eye_close_{side}') for side in ('left', 'right')]
_OF_MOUTH = np.array([name.startswith(('jaw', 'mouth', 'lip')) for name in FRAME_CHANNELS])
_TYPICAL, _TRUST = reflex_levels('typical'), reflex_levels('trust')
_FARTHEST = 2 * reflex_levels('spread')
_KEPT = 600  # frames of a person, 20 s at 30 Hz
_HALF = 60.0  # frames after which half of what is seen of a person's own is believed
# Wide eyes are also what opens further than the person's own do: where that begins and is full, in
# logits. Rendered people reach 2 (docs/landmarks.md); people who talk mostly stay below 0.8.
_WIDE = [FRAME_CHANNELS.index(f'eye_wide_{side}') for side in ('left', 'right')]
_WIDENS, _WIDEST = 1.2, 3.0


class ReflexEstimator:
    """Turns the readings of frames into values of FRAME_CHANNELS.

    What a person's jaw and the pitch of their gaze read at rest, and how wide their eyes mostly
    are, is learned while they are in view, as in AutoCalibration, unless `learn` is false, and
    forgotten when the face is another's; what is covered teaches nothing.
    Blinks and winks are shown whole.
    """

    def __init__(self, learn: bool = True) -> None:
        self._learn = learn
        self._track_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far."""
        self._values: Levels | None = None
        self._strokes = BlinkStrokes()
        self._clear = ClearExpressions()
        self._eyes_seen = False
        self._seen = RecentMedian(len(FRAME_CHANNELS), _KEPT)

    def update(self, score: FrameScore) -> Expression | None:
        """Read the next frame.

        Args:
            score: of the frame, with its reading.

        Returns:
            Confidence 1 for FRAME_CHANNELS, 0 for all others; of GUIDED_CHANNELS, of whose values
            only changes count, 0.5 and half of what the face clearly shows at least; of the eyes
            0.5 until a frame surely sees them. None without a face or a reading.
        """
        if score.reading is None:
            self.reset()
            return None
        track_id = score.region.track_id if score.region else 0
        if track_id != self._track_id:
            self._track_id = track_id
            self.reset()
        parts, free = None, ALL_SEEN
        if score.embeddings is not None:
            parts = parts_of(score.embeddings)
            free = parts_seen(parts)
            self._eyes_seen |= free.eyes_surely
        raw = raw_reflexes(score.reading)
        seen = self._as_of_this_person(raw, free) if self._learn else reflex_values(raw)
        # Play, as in a gear: what goes to and fro by less than the flicker does not come through.
        before = seen if self._values is None else self._values
        self._values = np.clip(before, seen - _FLICKER, seen + _FLICKER)
        values = np.zeros(len(CHANNELS), np.float32)
        values[REFLEXES] = self._values
        values[_LIDS] = self._strokes.push(score.stamp_ns, values[_LIDS].astype(np.float64))
        confidence = REFLEX_CONFIDENCE.copy()
        if parts is not None:
            confidence[EYES] = 1.0 if self._eyes_seen else MAYBE
        if self._learn and parts is not None:
            clear = self._clear.push(score.stamp_ns, parts, free).astype(np.float32)
            values[_WIDE_EYES] = np.maximum(values[_WIDE_EYES], clear[_WIDE_EYES])
            confidence[GUIDED] += (1 - CHANGES) * clear[GUIDED]
        return Expression(score.stamp_ns, values, confidence)

    def _as_of_this_person(self, raw: Levels, free: Seen) -> Levels:
        """Return values (16,) of raw reflexes, by what was seen of this person so far.

        Args:
            raw: (16,) of raw_reflexes.
            free: what is not covered; the rest teaches nothing.
        """
        learned = np.ones(len(raw), bool)
        learned[_OF_MOUTH], learned[_WIDE] = free.mouth, free.eyes
        self._seen.push(np.where(learned, raw, np.nan))
        counts, own = self._seen.counts, self._seen.medians()
        belief = counts / (counts + _HALF)
        off = _TRUST * belief * (np.where(counts > 0, own, raw) - _TYPICAL)
        seen = reflex_values(raw - np.clip(off, -_FARTHEST, _FARTHEST))
        opened = (belief * np.where(counts > 0, raw - own, 0.0))[_WIDE]
        wide = np.clip((opened - _WIDENS) / (_WIDEST - _WIDENS), 0.0, 1.0)
        seen[_WIDE] = np.maximum(seen[_WIDE], wide)
        return seen
