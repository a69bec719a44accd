"""Neutral and extremes of one person: what turns raw channels into 0..1."""

from dataclasses import dataclass

import numpy as np

from kf_imitation.expression.channels import IS_ANGLE, Levels, full_levels, rest_levels, true_size

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
