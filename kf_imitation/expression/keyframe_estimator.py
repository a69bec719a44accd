"""Expressions of keyframes, from landmarks: calibration, and what to do when unsure."""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import (
    CHANNELS,
    UNIT_CHANNELS,
    Expression,
    FloatArray,
    HeadPose,
    Landmarks,
)
from kf_imitation.expression.calibration import REST, AutoCalibration, Calibration
from kf_imitation.expression.channels import Levels, channel_confidence, raw_channels
from kf_imitation.expression.one_euro import OneEuroFilter
from kf_imitation.face_geometry.arkit import SOURCE, agreed_shapes, true_shapes
from kf_imitation.parameters.settings import ExpressionSettings

IS_UNIT = slice(0, len(UNIT_CHANNELS))
# Dark glasses let some confidence through now and then. So eyes and brows that were never seen
# need so many times minimum_confidence, up to SURELY, in two keyframes without one between that
# does not see them; or SURELY for all of them at once.
_AT_FIRST, SURELY = 2.2, 0.9
SEEN, UNSEEN = 0.3, 0.29  # confidence of a channel that is seen at least, that is held at most
HOLD_S, RELAX_S = 1.0, 0.5
_EYES_AND_BROWS = np.array([name.startswith(('eye', 'gaze', 'brow')) for name in CHANNELS])


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
        hold_s: float = HOLD_S,
        relax_s: float = RELAX_S,
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
        self._unseen = _EYES_AND_BROWS
        self._glimpsed = np.zeros(len(CHANNELS), bool)
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
            Values in CHANNELS order, and the confidence of what was seen now: SEEN at least, of
            values that are held UNSEEN at most.
        """
        stamp_ns = landmarks.stamp_ns
        raw = raw_channels(landmarks, pose)
        confidence = channel_confidence(landmarks)
        good = self._are_seen(confidence) & np.isfinite(raw)
        bounded = np.maximum(confidence, SEEN), np.minimum(confidence, UNSEEN)
        confidence = np.where(good, *bounded)
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

    def _are_seen(self, confidence: FloatArray) -> NDArray[np.bool_]:
        """Return which channels a look of this confidence (19,) sees."""
        least = self._minimum_confidence
        first = max(least, min(_AT_FIRST * least, SURELY))
        glimpsed = confidence >= first
        at_once = bool((confidence[_EYES_AND_BROWS] >= max(least, SURELY)).all())
        self._unseen = self._unseen & ~(glimpsed & (self._glimpsed | at_once))
        self._glimpsed = glimpsed | (self._glimpsed & (confidence >= least))
        return (confidence >= least) & ~self._unseen

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
        self._unseen = _EYES_AND_BROWS
        self._glimpsed = np.zeros(len(CHANNELS), bool)
        self._good_ns = None
        if self._filter:
            self._filter.reset()
