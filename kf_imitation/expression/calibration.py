"""Neutral and extremes of one person: what turns raw channels into 0..1, given or learned."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS
from kf_imitation.expression.channels import (
    IS_ANGLE,
    Levels,
    full_levels,
    rest_levels,
    size_levels,
    true_size,
)
from kf_imitation.expression.recent_median import RecentMedian

REST = rest_levels()
FULL = full_levels()
_AT_REST = true_size(np.where(IS_ANGLE, 0.0, REST))


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
