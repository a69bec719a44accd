"""Channels of one face after the other: geometry, calibration, and what to do when unsure.

ExpressionEstimator is for keyframes, from landmarks. ReflexEstimator is for every frame, from what
the keyframe model reads of eyes and mouth to compare the frame with the one before: that reading
is there anyway. It is less sure, but a blink, a glance and the jaw of speech are over before a
keyframe is chosen. ClearExpressions sees in frames what neither reads well, and KeyframeGuide
puts all together.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import (
    CHANNELS,
    FRAME_CHANNELS,
    GUIDED_CHANNELS,
    REFLEX_CHANNELS,
    UNIT_CHANNELS,
    Expression,
    FloatArray,
    FrameScore,
    HeadPose,
    Landmarks,
)
from kf_imitation.expression.channels import (
    IS_ANGLE,
    channel_confidence,
    full_levels,
    raw_channels,
    rest_levels,
    size_levels,
    true_size,
)
from kf_imitation.expression.one_euro import OneEuroFilter
from kf_imitation.face_geometry.arkit import (
    SOURCE,
    agreed_shapes,
    bounded_logits,
    channels_of_blendshapes,
    true_shapes,
)
from kf_imitation.model_files import load_table
from kf_imitation.parameters.settings import ExpressionSettings

IS_UNIT = slice(0, len(UNIT_CHANNELS))

Levels = NDArray[np.float64]
REST = rest_levels()
FULL = full_levels()
_AT_REST = true_size(np.where(IS_ANGLE, 0.0, REST))
# The reflex lane. Readings of a face that keeps still flicker by about as much [value, rad].
_FLICKER = np.array([0.06 if name in GUIDED_CHANNELS else 0.03 for name in FRAME_CHANNELS])
_REFLEX_SIZE = load_table('reflex_size')
_REFLEXES = [CHANNELS.index(name) for name in FRAME_CHANNELS]
_GUIDED = [CHANNELS.index(name) for name in GUIDED_CHANNELS]
_FOLLOWED = [CHANNELS.index(name) for name in REFLEX_CHANNELS]
# Confidence of a guided channel in a frame that clearly shows nothing of it; at 1 it shows all.
CHANGES = 0.5
# A person who began with raised brows seems to lower them at rest: the keyframe must see it, too.
_AGREED = np.array([name == 'brow_lower' for name in GUIDED_CHANNELS])
_WIDE_EYES = [CHANNELS.index(f'eye_wide_{side}') for side in ('left', 'right')]
_LIDS = [CHANNELS.index(f'eye_close_{side}') for side in ('left', 'right')]
REFLEX_CONFIDENCE = np.zeros(len(CHANNELS), np.float32)
REFLEX_CONFIDENCE[_REFLEXES] = 1.0
REFLEX_CONFIDENCE[_GUIDED] = CHANGES


def _reflex_levels(level: str) -> Levels:
    """A level of the reflex sizes, for example `typical`: (16,), 0 where there is none."""
    return np.array([_reflex_size(name).get(level, 0.0) for name in FRAME_CHANNELS])


def _reflex_size(channel: str) -> Any:
    return _REFLEX_SIZE[channel.removesuffix('_left').removesuffix('_right')]


_REFLEX_TYPICAL, _REFLEX_TRUST = _reflex_levels('typical'), _reflex_levels('trust')
_REFLEX_FARTHEST = 2 * _reflex_levels('spread')
_REFLEX_KEPT = 600  # frames of a person, 20 s at 30 Hz
_REFLEX_HALF = 60.0  # frames after which half of what is seen of a person's own is believed
# Wide eyes are also what opens further than the person's own do: where that begins and is full, in
# logits. Rendered people reach 2 (docs/landmarks.md); people who talk mostly stay below 0.8.
_WIDE = [FRAME_CHANNELS.index(f'eye_wide_{side}') for side in ('left', 'right')]
_WIDENS, _WIDEST = 1.2, 3.0
# Strokes of the lids, chosen on people that the networks have not seen (docs/landmarks.md).
SHUT = 0.4  # a lid that fell so far …
FALL = 0.2  # … by so much …
WITHIN_NS = 120_000_000  # … within this time shuts.
APART = 0.1  # a lid that falls by less does not take part
HALF = 0.56  # Lids that are read as falling so far shut at least to WHOLE, others to SHALLOW:
WHOLE, SHALLOW = 0.7, 0.49  # what quick blinks that are read so are, by their labels
HALF_WINK, OPEN = 0.5, 0.3  # instead of HALF, while the other eye is open: nobody winks by half
STROKE_NS = 95_000_000  # as long as a quick servo takes to shut the lid
LONGEST_NS = 400_000_000  # then the readings count again: eyes cast down stay half closed
OPENING = 0.7  # of the depth that was read: the eye opens again
# What renders taught (ClearExpressions).
CLEAR_CHANNELS = {
    'mouth': (('mouth_frown_left', 'mouth_frown_right'), ('lip_press',), ('mouth_pucker',)),
    'eyes': (('brow_lower',), ('eye_wide_left', 'eye_wide_right')),
}
EMBEDDING = 96  # values of a part
_OWN_EVERY_NS = 190_000_000  # between two looks at what a person mostly shows …
_OWN_KEPT = 100  # … of which so many count, 20 s
_OWN_HALF = 10.0  # looks after which half of it is believed
CLEAR_NS = 110_000_000  # for so long an expression must be there: talk comes and goes sooner
LEAK = 0.1  # of the hidden layer, below 0
# Between keyframes.
FOLLOWED = 0.9  # of a change between frames: part of it is noise
SURE = 0.85  # confidence of the keyframe under which a channel waits for the next one
AGREES = 0.02  # of what the keyframe reads, where it must see what frames clearly show
HIDDEN = 0.3  # confidence of the keyframe under which frames cannot see a channel either
KEPT_NS = 1_500_000_000  # a keyframe comes to us later than its frame did, but not by more
GAP_NS = 500_000_000  # without a face for so long, what has changed meanwhile is not known
GONE_NS = 1_000_000_000  # by then the head relaxes: a face begins at rest


@dataclass(frozen=True)
class Calibration:
    """Neutral and extremes of one person, in the units of channels.raw_channels.

    Attributes:
        person: name, for people to read.
        neutral: (19,) raw values at rest; for angles what is taken off.
        extreme: (19,) raw values at the full expression; not used for angles.
        personal: neutral is what this person showed at rest and counts as 0. Without that, lids
            at rest are as far closed as most faces' are, 0.08, which is no one's neutral.
    """

    person: str
    neutral: Levels
    extreme: Levels
    personal: bool = True

    def apply(self, raw: Levels) -> Levels:
        """Turn raw channels into 0..1 (angles: rad).

        Args:
            raw: (19,) from raw_channels.

        Returns:
            (19,) float64.
        """
        # Where the person is between neutral and extreme, most faces are on the same curve.
        moved = raw - self.neutral
        level = REST + moved / (self.extreme - self.neutral) * (FULL - REST)
        values = true_size(np.where(IS_ANGLE, moved, level))
        if self.personal:
            values = np.where(IS_ANGLE, values, (values - _AT_REST) / (1 - _AT_REST))
        return np.where(IS_ANGLE, values, np.clip(values, 0.0, 1.0))

    @classmethod
    def default(cls) -> 'Calibration':
        """Levels of most faces."""
        return cls('', REST.copy(), FULL.copy(), personal=False)


class RecentMedian:
    """Keeps the last rows, and every column of them sorted: a frame costs no sorting."""

    def __init__(self, columns: int, kept: int) -> None:
        """Start empty.

        Args:
            columns: of a row.
            kept: rows at most.
        """
        self._kept = kept
        self._rows: deque[list[float]] = deque()
        self._columns: list[list[float]] = [[] for _ in range(columns)]

    def __len__(self) -> int:
        """Return how many rows are kept."""
        return len(self._rows)

    def push(self, row: Levels) -> None:
        """Take a row; NaN is not known."""
        if len(self._rows) == self._kept:
            for column, value in zip(self._columns, self._rows.popleft(), strict=True):
                if value == value:
                    del column[bisect_left(column, value)]
        values = row.tolist()
        self._rows.append(values)
        for column, value in zip(self._columns, values, strict=True):
            if value == value:
                insort(column, value)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many values of each column are known."""
        return np.array([len(column) for column in self._columns])

    def medians(self) -> Levels:
        """Return the median of each column, NaN where nothing is known."""
        return np.array([_median(column) for column in self._columns])

    def clear(self) -> None:
        """Forget all rows."""
        self._rows.clear()
        for column in self._columns:
            column.clear()


def _median(column: list[float]) -> float:
    middle = len(column) // 2
    if len(column) % 2:
        return column[middle]
    return (column[middle - 1] + column[middle]) / 2 if column else np.nan


class AutoCalibration:
    """Learns neutral while it runs, for people without a calibration file.

    Neutral is read off the median of what was seen. How far it is believed was measured per
    channel on people that the models had not seen, and it grows with every face. The range stays
    that of most faces: a large expression must not shrink the small ones.

    Attributes:
        calibration: of all that was seen so far.
    """

    _KEPT = 400
    _HALF = 2.0  # faces after which half of it is believed (training/landmarks/fit/size.py)
    _FARTHEST = 2.0  # most a person's neutral may be off, in standard deviations of people

    def __init__(self) -> None:
        self._seen = RecentMedian(len(CHANNELS), self._KEPT)
        self.calibration = Calibration.default()
        self._typical = size_levels('typical')
        self._limit = self._FARTHEST * size_levels('spread')
        self._trust = size_levels('trust')

    def push(self, raw: Levels, good: NDArray[np.bool_]) -> Calibration:
        """Take the next face.

        Args:
            raw: (19,) from raw_channels.
            good: (19,) bool, which of them are to be believed.

        Returns:
            The calibration after it.
        """
        self._seen.push(np.where(good, raw, np.nan))
        count = self._seen.counts
        middle = np.where(count > 0, self._seen.medians(), self._typical)
        trust = self._trust * count / (count + self._HALF)
        shift = np.clip(trust * (middle - self._typical), -self._limit, self._limit)
        # Angles keep their zero: a person may look aside for long.
        neutral = np.where(IS_ANGLE, REST, REST + shift)
        self.calibration = Calibration('', neutral, neutral + FULL - REST, personal=False)
        return self.calibration

    @property
    def belief(self) -> float:
        """How far what was seen is believed, 0 at the start to nearly 1."""
        return len(self._seen) / (len(self._seen) + self._HALF)

    def reset(self) -> None:
        """Forget the person."""
        self._seen.clear()
        self.calibration = Calibration.default()


class ExpressionEstimator:
    """Turns landmarks into an expression.

    A channel whose points are unsure keeps its last good value for `hold_s`, then decays to
    neutral with the time constant `relax_s`. Without a calibration it learns one as it goes.
    """

    def __init__(
        self,
        calibration: Calibration | None,
        settings: ExpressionSettings | None = None,
        *,
        hold_s: float = 1.0,
        relax_s: float = 0.5,
    ) -> None:
        """Start with a neutral face.

        Args:
            calibration: of the person; None learns neutral and range from what it sees.
            settings: confidence, gains and filter; None takes the defaults.
            hold_s: how long an unsure channel keeps its value.
            relax_s: time constant of the way to neutral after that.
        """
        self._calibration = calibration
        self._auto = AutoCalibration()
        self._hold_s = hold_s
        self._relax_s = relax_s
        self._values = np.zeros(len(CHANNELS))
        self._shapes: Levels | None = None
        self._good_ns: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None
        self._last_ns = 0
        self._filter: OneEuroFilter | None = None
        self.configure(settings or ExpressionSettings())

    def configure(self, settings: ExpressionSettings) -> None:
        """Change confidence, gains and filter; values and calibration are kept."""
        self._minimum_confidence = settings.minimum_confidence
        self._learns = settings.learn_neutral
        self._gain = np.array([settings.gain[channel] for channel in CHANNELS])
        if settings.filter.cutoff_hz == 0:
            self._filter = None
        elif self._filter is None:
            self._filter = OneEuroFilter(settings.filter)
        else:
            self._filter.settings = settings.filter

    def calibrate(self, calibration: Calibration | None) -> None:
        """Take another calibration, as in __init__, from the next face on."""
        self._calibration = calibration
        self._auto.reset()

    def update(self, landmarks: Landmarks, pose: HeadPose) -> Expression:
        """Read the next face.

        Args:
            landmarks: later than the ones before.
            pose: solved from them.

        Returns:
            Values in CHANNELS order, and the confidence of what was seen now (also for values
            that were held).
        """
        stamp_ns = landmarks.stamp_ns
        raw = raw_channels(landmarks, pose)
        confidence = channel_confidence(landmarks)
        good = (confidence >= self._minimum_confidence) & np.isfinite(raw)
        if self._learns and self._calibration is None:
            self._auto.push(raw, good)
        calibration = self._calibration or self._auto.calibration
        seen = calibration.apply(raw)
        if self._good_ns is None:
            self._good_ns = np.full(len(CHANNELS), stamp_ns, np.int64)
            self._last_ns = stamp_ns
        self._good_ns[good] = stamp_ns
        # How much of the time since the last face lies beyond the holding time.
        late = np.minimum(
            (stamp_ns - self._good_ns) * 1e-9 - self._hold_s, (stamp_ns - self._last_ns) * 1e-9
        )
        kept = np.exp(-np.maximum(late, 0.0) / self._relax_s)
        self._values = np.where(good, seen, self._values * kept)
        if landmarks.blendshapes is not None:
            shown = true_shapes(landmarks.blendshapes)
            before = np.zeros(len(shown)) if self._shapes is None else self._shapes
            self._shapes = np.where(good[SOURCE], shown, before * kept[SOURCE])
        self._last_ns = stamp_ns
        values = self._filter.push(stamp_ns, self._values) if self._filter else self._values
        values = self._gain * values
        values[IS_UNIT] = np.clip(values[IS_UNIT], 0.0, 1.0)
        shapes = agreed_shapes(values, self._shapes, confidence)
        return Expression(stamp_ns, values.astype(np.float32), confidence, shapes)

    def neutral(self) -> tuple[float, dict[str, float]]:
        """Return what was learned of the person's face at rest.

        Returns:
            How far it is believed, 0..1, and what is taken off by channel, raw units.
        """
        shift = self._auto.calibration.neutral - REST
        found = zip(CHANNELS, shift.tolist(), strict=True)
        return self._auto.belief, {name: value for name, value in found if value}

    def reset(self) -> None:
        """Forget the person and the past."""
        self._auto.reset()
        self._values = np.zeros(len(CHANNELS))
        self._shapes = None
        self._good_ns = None
        if self._filter:
            self._filter.reset()


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
            shallow = depth.mean() < (HALF_WINK if winks else HALF)
            shown[moving] = SHALLOW if shallow else np.maximum(WHOLE, depth)
        return shown


class ClearExpressions:
    """Frowns, pressed and rounded lips, lowered brows and wide eyes that frames show clearly.

    The labels hardly know them, so the readings hardly have them. A small network, trained on
    rendered people whose faces are known and on the labels of real ones
    (training/landmarks/fit/clear.py), is given how the embeddings of a frame differ from what they
    mostly are for this person. Below what people who just talk reach, its answers are nothing.
    """

    def __init__(self) -> None:
        self._parts = clear_parts()
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._own: deque[NDArray[np.floating]] = deque(maxlen=_OWN_KEPT)
        self._middle: NDArray[np.floating] | None = None
        self._looked_ns = 0
        self._past: deque[tuple[int, Levels]] = deque()

    def push(self, stamp_ns: int, embeddings: NDArray[np.floating]) -> Levels:
        """Take the next frame.

        Args:
            stamp_ns: later than the one before.
            embeddings: as FrameScore.embeddings.

        Returns:
            (19,) channels that the person shows at least, 0..1; 0 for those that are not read.
        """
        seen = parts_of(embeddings)
        if self._middle is None or stamp_ns - self._looked_ns >= _OWN_EVERY_NS:
            self._own.append(seen)
            self._looked_ns = stamp_ns
            self._middle = np.median(self._own, axis=0)
        shown = np.zeros(len(CHANNELS))
        for part, moved in zip(self._parts, seen - self._middle, strict=True):
            shown[part.columns] = part.values(moved)[part.rows]
        shown *= len(self._own) / (len(self._own) + _OWN_HALF)
        while self._past and self._past[0][0] < stamp_ns - CLEAR_NS:
            self._past.popleft()
        self._past.append((stamp_ns, shown))
        return np.asarray(np.min([row for _, row in self._past], axis=0))


@dataclass(frozen=True)
class ClearPart:
    """The network of one part of the face.

    Attributes:
        columns: places in CHANNELS that it answers for.
        rows: which of its answers each of them is.
        layers: weights and bias of the hidden layer, then of the answers.
        least: answers that people who just talk reach; they count as 0.
        full: answers to full expressions; they count as 1.
    """

    columns: list[int]
    rows: list[int]
    layers: tuple[Levels, Levels, Levels, Levels]
    least: Levels
    full: Levels

    def values(self, moved: NDArray[np.floating]) -> Levels:
        """Return what the answers to moved embeddings (..., 96) are worth, (..., A) 0..1."""
        found = clear_answers(self.layers, moved)
        return np.clip((found - self.least) / (self.full - self.least), 0.0, 1.0)


def clear_answers(layers: Sequence[Levels], moved: NDArray[np.floating]) -> Levels:
    """Return the answers of a network.

    Args:
        layers: as ClearPart.layers.
        moved: (..., 96) what the embedding of the part differs from what it usually is.

    Returns:
        (..., A).
    """
    weights, bias, last, last_bias = layers
    hidden = moved @ weights + bias
    return np.asarray(np.maximum(hidden, LEAK * hidden) @ last + last_bias)


def parts_of(embeddings: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the mean of the eyes and the mouth of embeddings (..., 288): (..., 2, 96)."""
    right, left, mouth = np.split(embeddings, 3, axis=-1)
    return np.stack([mouth, (right + left) / 2], axis=-2)


@cache
def clear_parts() -> tuple[ClearPart, ...]:
    """Return the networks of the parts, in the order of parts_of."""
    found = []
    for name, answers in CLEAR_CHANNELS.items():
        table = load_table('clear_expressions')[name]
        weights = np.array(table['weights']) * table['weights_scale']
        layers = weights, np.array(table['bias']), np.array(table['last']), table['last_bias']
        columns = [CHANNELS.index(channel) for one in answers for channel in one]
        rows = [row for row, one in enumerate(answers) for _ in one]
        bounds = np.array(table['least']), np.array(table['full'])
        found.append(ClearPart(columns, rows, layers, *bounds))
    return tuple(found)


class ReflexEstimator:
    """Turns the readings of frames into values of FRAME_CHANNELS.

    What a person's jaw and the pitch of their gaze read at rest, and how wide their eyes mostly
    are, is learned while they are in view, as in AutoCalibration, unless `learn` is false, and
    forgotten when the face is another's.
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
        self._seen = RecentMedian(len(FRAME_CHANNELS), _REFLEX_KEPT)

    def update(self, score: FrameScore) -> Expression | None:
        """Read the next frame.

        Args:
            score: of the frame, with its reading.

        Returns:
            Confidence 1 for FRAME_CHANNELS, 0 for all others; of GUIDED_CHANNELS, of whose values
            only changes count, 0.5 and half of what the face clearly shows at least. None without
            a face or a reading.
        """
        if score.reading is None:
            self.reset()
            return None
        track_id = score.region.track_id if score.region else 0
        if track_id != self._track_id:
            self._track_id = track_id
            self.reset()
        raw = raw_reflexes(score.reading)
        seen = self._as_of_this_person(raw) if self._learn else reflex_values(raw)
        # Play, as in a gear: what goes to and fro by less than the flicker does not come through.
        before = seen if self._values is None else self._values
        self._values = np.clip(before, seen - _FLICKER, seen + _FLICKER)
        values = np.zeros(len(CHANNELS), np.float32)
        values[_REFLEXES] = self._values
        values[_LIDS] = self._strokes.push(score.stamp_ns, values[_LIDS].astype(np.float64))
        confidence = REFLEX_CONFIDENCE
        if self._learn and score.embeddings is not None:
            clear = self._clear.push(score.stamp_ns, score.embeddings).astype(np.float32)
            values[_WIDE_EYES] = np.maximum(values[_WIDE_EYES], clear[_WIDE_EYES])
            confidence = confidence.copy()
            confidence[_GUIDED] += (1 - CHANGES) * clear[_GUIDED]
        return Expression(score.stamp_ns, values, confidence)

    def _as_of_this_person(self, raw: Levels) -> Levels:
        """Return values (16,) of raw reflexes, by what was seen of this person so far."""
        self._seen.push(raw)
        count, own = len(self._seen), self._seen.medians()
        belief = count / (count + _REFLEX_HALF)
        off = _REFLEX_TRUST * belief * (own - _REFLEX_TYPICAL)
        seen = reflex_values(raw - np.clip(off, -_REFLEX_FARTHEST, _REFLEX_FARTHEST))
        opened = belief * (raw - own)[_WIDE]
        wide = np.clip((opened - _WIDENS) / (_WIDEST - _WIDENS), 0.0, 1.0)
        seen[_WIDE] = np.maximum(seen[_WIDE], wide)
        return seen


class KeyframeGuide:
    """Adds to keyframes what frames have changed since; stamps must be of one clock.

    Brows, lips and mouth corners are read better off a keyframe, but the next one is a quarter of
    a second away. What a frame reads of them is off by an error that mostly stays from frame to
    frame. So between keyframes these channels go on by what the frames have changed. What a
    keyframe does not see, as eyes behind dark glasses, frames do not see either, though they read
    something: it stays as the keyframe holds it.
    """

    def __init__(self) -> None:
        self._frames: deque[tuple[int, FloatArray]] = deque()
        self._values = np.zeros(len(_GUIDED), np.float32)
        self._follows = np.zeros(len(_GUIDED), np.float32)
        self._may_add = np.zeros(len(_GUIDED), bool)  # frames that clearly show more count
        self._begun = np.zeros(len(_GUIDED), np.float32)  # what the keyframe's own frame read
        self._held: FloatArray = np.zeros(len(_FOLLOWED), np.float32)
        self._hidden = np.zeros(len(_FOLLOWED), bool)
        self._waiting_ns: int | None = None  # stamp of a keyframe whose frame is not looked up yet

    def on_keyframe(self, expression: Expression) -> None:
        """Take what a keyframe shows; the next frame goes on from it."""
        self._values = expression.values[_GUIDED]
        sure = expression.confidence[_GUIDED] >= SURE
        self._follows = np.where(sure, FOLLOWED, 0.0).astype(np.float32)
        self._may_add = sure & ~(_AGREED & (self._values < AGREES))
        self._held = expression.values[_FOLLOWED]
        self._hidden = expression.confidence[_FOLLOWED] < HIDDEN
        self._waiting_ns = expression.stamp_ns

    def on_frame(self, reflex: Expression) -> Expression:
        """Return a reflex with the guided channels as they are now, 0..1.

        Args:
            reflex: what a frame reads, later than the ones before.
        """
        now_ns, read = reflex.stamp_ns, reflex.values[_GUIDED]
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
        least = (reflex.confidence[_GUIDED] - CHANGES) / (1 - CHANGES) * self._may_add
        values[_FOLLOWED] = np.where(self._hidden, self._held, values[_FOLLOWED])
        values[_GUIDED] = np.clip(np.maximum(changed, least), 0.0, 1.0)
        return replace(reflex, values=values)

    def _forget_old(self, now_ns: int) -> None:
        """After a pause go on from the last keyframe as it was; after a long one from rest."""
        last_ns = self._frames[-1][0] if self._frames else now_ns - GAP_NS
        away_ns = now_ns - last_ns
        is_new = self._waiting_ns is not None and self._waiting_ns > last_ns
        if not 0 <= away_ns < GAP_NS:
            self._frames.clear()
            self._waiting_ns = now_ns
        if not 0 <= away_ns < GONE_NS and not is_new:
            self._values = self._follows = np.zeros(len(_GUIDED), np.float32)
            self._may_add = np.zeros(len(_GUIDED), bool)
            self._hidden = np.zeros(len(_FOLLOWED), bool)


def raw_reflexes(reading: NDArray[np.floating]) -> Levels:
    """Return the channels of readings (..., 51), (..., 16): logits, and gaze [rad]."""
    raw = channels_of_blendshapes(reading)[..., _REFLEXES]
    return np.where(IS_ANGLE[_REFLEXES], raw, bounded_logits(raw))


def reflex_values(raw: Levels) -> Levels:
    """Return what raw reflexes (..., 16) are worth: 0..1, gaze in rad."""
    values = np.empty_like(raw)
    for k, name in enumerate(FRAME_CHANNELS):
        size = _reflex_size(name)
        if 'gain' in size:
            values[..., k] = size['gain'] * (raw[..., k] - size['rest'])
        else:
            values[..., k] = np.interp(raw[..., k], size['raw'], size['value'])
    return values
