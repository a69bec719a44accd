"""What is neutral and what is the extreme of one person."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from kf_imitation.data_types import ANGLE_CHANNELS, CHANNELS, UNIT_CHANNELS
from kf_imitation.errors import ConfigError
from kf_imitation.expression.channels import (
    IS_ANGLE,
    full_levels,
    rest_levels,
    size_levels,
    true_size,
)
from kf_imitation.parameters.yaml_text import read_yaml
from kf_imitation.paths import user_path

Levels = NDArray[np.float64]

# Raw units are those before the sigmoid: 1 is a quarter of the range where it is steepest.
MINIMUM_RANGE = 0.8  # extreme over neutral; less would turn noise into grimaces
_NEUTRAL_LIMIT = 15.0  # no face at rest is further out
_ANGLE_LIMIT_RAD = 1.0

MINIMUM_FACES = 10  # of a calibration session, at rest and posed
_WAVER = 1.5  # largest standard deviation of a face at rest

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

    @classmethod
    def of_session(cls, person: str, rest: Levels, posed: Levels) -> 'Calibration':
        """Calibrate from what a person showed.

        Args:
            person: name.
            rest: (n, 19) raw channels of the relaxed face.
            posed: (m, 19) raw channels while the person made all expressions.

        Returns:
            Neutral is the median at rest, the extreme the 95th percentile of the rest; channels
            that the person did not use keep the range of most faces.

        Raises:
            ConfigError: the session cannot be used, with every reason.
        """
        subject = f'calibration of {person}'
        if len(rest) < MINIMUM_FACES or len(posed) < MINIMUM_FACES:
            raise ConfigError(
                subject,
                [
                    f'{len(rest)} faces at rest and {len(posed)} expressions were seen, '
                    f'each must be {MINIMUM_FACES} or more'
                ],
            )
        neutral = np.median(rest, axis=0)
        reached = np.percentile(posed, 95, axis=0)
        width = FULL - REST
        used = reached - neutral > 0.5 * width
        problems = [
            f'channels.{CHANNELS[k]}: the face at rest wavered by {rest[:, k].std():.2f}, '
            f'it must keep within {_WAVER:g}'
            for k in np.flatnonzero((rest.std(axis=0) > _WAVER) & ~IS_ANGLE)
        ]
        for name in ('jaw_open', 'eye_close_left', 'eye_close_right'):
            if not used[CHANNELS.index(name)]:
                problems.append(f'channels.{name} hardly moved, it must be shown fully')
        if problems:
            raise ConfigError(subject, problems)
        return cls(person, neutral, np.where(used, reached, neutral + width))

    def save(self, path: str | Path) -> None:
        """Write a file that load reads.

        Raises:
            ConfigError: the file cannot be written.
        """
        channels: dict[str, dict[str, float]] = {}
        for index, name in enumerate(CHANNELS):
            channels[name] = {'neutral': round(float(self.neutral[index]), 4)}
            if name in UNIT_CHANNELS:
                channels[name]['extreme'] = round(float(self.extreme[index]), 4)
        document = {'person': self.person, 'channels': channels}
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        try:
            Path(path).write_text(text, encoding='utf-8')
        except OSError as error:
            raise ConfigError(str(path), [f'cannot be written: {error.strerror}']) from error

    @classmethod
    def load(cls, path: str | Path) -> 'Calibration':
        """Read a calibration file.

        Raises:
            ConfigError: with every problem: key, value, rule.
        """
        document = read_yaml(user_path(path))
        problems, neutral, extreme, person = _check(document)
        if problems:
            raise ConfigError(str(path), problems)
        return cls(person, neutral, extreme)


def _check(document: Any) -> tuple[list[str], Levels, Levels, str]:
    """Return every problem of a calibration document, and its levels."""
    default = Calibration.default()
    neutral, extreme = default.neutral.copy(), default.extreme.copy()
    if not isinstance(document, dict) or not isinstance(document.get('channels'), dict):
        return ['must be a mapping with person and channels'], neutral, extreme, ''
    problems = [f'{key} is not a key of a calibration (person, channels)'
              for key in document if key not in ('person', 'channels')]  # fmt: skip
    person = document.get('person', '')
    if not isinstance(person, str):
        problems.append(f'person = {person!r} must be a text')
    channels = document['channels']
    problems += [f'channels.{name} is not a channel' for name in channels if name not in CHANNELS]
    for index, name in enumerate(CHANNELS):
        if name not in channels:
            problems.append(f'channels.{name} is missing')
            continue
        section = channels[name]
        keys = ('neutral',) if name in ANGLE_CHANNELS else ('neutral', 'extreme')
        if not isinstance(section, dict) or set(section) != set(keys):
            problems.append(f'channels.{name} = {section!r} must have {" and ".join(keys)}')
            continue
        bad = [key for key in keys if not _is_number(section[key])]
        problems += [f'channels.{name}.{key} = {section[key]!r} must be a number' for key in bad]
        if bad:
            continue
        neutral[index] = float(section['neutral'])
        limit = _ANGLE_LIMIT_RAD if name in ANGLE_CHANNELS else _NEUTRAL_LIMIT
        if abs(neutral[index]) > limit:
            problems.append(
                f'channels.{name}.neutral = {neutral[index]:g} must be from '
                f'{-limit:g} to {limit:g}'
            )
        if 'extreme' in keys:
            extreme[index] = float(section['extreme'])
            if extreme[index] < neutral[index] + MINIMUM_RANGE:
                problems.append(
                    f'channels.{name}.extreme = {extreme[index]:g} must be at least '
                    f'{MINIMUM_RANGE:g} above neutral = {neutral[index]:g}'
                )
    return problems, neutral, extreme, str(person)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)


class AutoCalibration:
    """Learns neutral while it runs, for people without a calibration file.

    Neutral is read off the median of what was seen. How far it is believed was measured per
    channel on people that the models had not seen, and it grows with every face. The range stays
    that of most faces: a large expression must not shrink the small ones.
    """

    _KEPT = 400
    _HALF = 8.0  # faces after which half of it is believed
    _FARTHEST = 2.0  # most a person's neutral may be off, in standard deviations of people

    def __init__(self) -> None:
        self._seen: deque[Levels] = deque(maxlen=self._KEPT)
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
        self._seen.append(np.where(good, raw, np.nan))
        seen = np.array(self._seen)
        count = np.isfinite(seen).sum(axis=0)
        known = count > 0
        middle = self._typical.copy()
        if known.any():
            middle[known] = np.nanmedian(seen[:, known], axis=0)
        trust = self._trust * count / (count + self._HALF)
        shift = np.clip(trust * (middle - self._typical), -self._limit, self._limit)
        # Angles keep their zero: a person may look aside for long.
        neutral = np.where(IS_ANGLE, REST, REST + shift)
        return Calibration('', neutral, neutral + FULL - REST, personal=False)

    def reset(self) -> None:
        """Forget the person."""
        self._seen.clear()
