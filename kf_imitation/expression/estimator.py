"""Channels of one face after the other: geometry, calibration, and what to do when unsure."""

from dataclasses import dataclass

import numpy as np

from kf_imitation.data_types import CHANNELS, UNIT_CHANNELS, Expression, HeadPose, Landmarks
from kf_imitation.expression.calibration import AutoCalibration, Calibration
from kf_imitation.expression.channels import channel_confidence, raw_channels
from kf_imitation.expression.one_euro import OneEuroFilter, OneEuroSettings


@dataclass(frozen=True, slots=True)
class ExpressionSettings:
    """Settings of the channels.

    Attributes:
        minimum_confidence: channels below hold their value, then relax to neutral; 0..1.
        alpha: (19,) gain on each channel, in CHANNELS order: the alpha of the paper's
            theta = alpha * mean |p_i - q_i|, on top of the person's calibration. Unit channels
            end at 1 all the same.
        cutoff_hz: of the One-Euro filter at rest; 0 filters nothing.
        speed_gain: how much its cut-off rises with speed.
    """

    minimum_confidence: float = 0.3
    alpha: tuple[float, ...] = (1.0,) * len(CHANNELS)
    cutoff_hz: float = 0.0
    speed_gain: float = 4.0


IS_UNIT = slice(0, len(UNIT_CHANNELS))


class ExpressionEstimator:
    """Turns landmarks into an expression.

    A channel whose points are unsure keeps its last good value for `hold_s`, then decays to
    neutral with the time constant `relax_s`. Without a calibration it learns one as it goes.

    Attributes:
        minimum_confidence: below it a channel is unsure; may be changed while it runs.
    """

    def __init__(
        self,
        calibration: Calibration | None,
        minimum_confidence: float = 0.3,
        *,
        hold_s: float = 1.0,
        relax_s: float = 0.5,
        smoothing: OneEuroSettings | None = None,
    ) -> None:
        """Prepare.

        Args:
            calibration: of the person; None learns neutral and range from what it sees.
            minimum_confidence: 0..1.
            hold_s: how long an unsure channel keeps its value.
            relax_s: time constant of the way to neutral after that.
            smoothing: One-Euro filter on the channels, for every-frame use; keyframes need none.
        """
        self.minimum_confidence = minimum_confidence
        self._calibration = calibration
        self._auto = AutoCalibration()
        self._hold_s = hold_s
        self._relax_s = relax_s
        self._filter = OneEuroFilter(smoothing) if smoothing else None
        self._alpha = np.ones(len(CHANNELS))
        self._values = np.zeros(len(CHANNELS))
        self._good_ns: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None
        self._last_ns = 0

    def configure(self, settings: ExpressionSettings) -> None:
        """Change confidence, gains and filter; values and calibration are kept."""
        self.minimum_confidence = settings.minimum_confidence
        self._alpha = np.array(settings.alpha, np.float64)
        if settings.cutoff_hz == 0:
            self._filter = None
            return
        smoothing = OneEuroSettings(settings.cutoff_hz, settings.speed_gain)
        if self._filter is None:
            self._filter = OneEuroFilter(smoothing)
        else:
            self._filter.settings = smoothing

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
        good = (confidence >= self.minimum_confidence) & np.isfinite(raw)
        calibration = self._calibration or self._auto.push(raw, good)
        seen = calibration.apply(raw)
        if self._good_ns is None:
            self._good_ns = np.full(len(CHANNELS), stamp_ns, np.int64)
            self._last_ns = stamp_ns
        self._good_ns[good] = stamp_ns
        # How much of the time since the last face lies beyond the holding time.
        late = np.minimum(
            (stamp_ns - self._good_ns) * 1e-9 - self._hold_s, (stamp_ns - self._last_ns) * 1e-9
        )
        relaxed = self._values * np.exp(-np.maximum(late, 0.0) / self._relax_s)
        self._values = np.where(good, seen, relaxed)
        self._last_ns = stamp_ns
        values = self._filter.push(stamp_ns, self._values) if self._filter else self._values
        values = self._alpha * values
        values[IS_UNIT] = np.clip(values[IS_UNIT], 0.0, 1.0)
        return Expression(stamp_ns, values.astype(np.float32), confidence)

    def reset(self) -> None:
        """Forget the person and the past."""
        self._auto.reset()
        self._values = np.zeros(len(CHANNELS))
        self._good_ns = None
        if self._filter:
            self._filter.reset()
