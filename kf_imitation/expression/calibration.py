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
from kf_imitation.expression.channels import IS_ANGLE, rest_levels

Levels = NDArray[np.float64]

MINIMUM_RANGE = 0.1  # extreme over neutral; less would turn noise into grimaces
_NEUTRAL_LIMIT = 1.5  # no face at rest is further out, in raw units and in rad


@dataclass(frozen=True)
class Calibration:
    """Neutral and extremes of one person, in the units of channels.raw_channels.

    Attributes:
        person: name, for people to read.
        neutral: (19,) raw values at rest; for angles what is taken off.
        extreme: (19,) raw values at the full expression; not used for angles.
    """

    person: str
    neutral: Levels
    extreme: Levels

    def apply(self, raw: Levels) -> Levels:
        """Turn raw channels into 0..1 (angles: rad).

        Args:
            raw: (19,) from raw_channels.

        Returns:
            (19,) float64.
        """
        moved = raw - self.neutral
        scaled = np.clip(moved / (self.extreme - self.neutral), 0.0, 1.0)
        return np.where(IS_ANGLE, moved, scaled)

    @classmethod
    def default(cls) -> 'Calibration':
        """Levels of most faces; nothing is taken off angles."""
        neutral = rest_levels()
        return cls('', neutral, np.maximum(neutral + MINIMUM_RANGE, 1.0))

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
            ConfigError: with every fault: key, value, rule.
        """
        try:
            document = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
        except OSError as error:
            raise ConfigError(str(path), [f'cannot be read: {error.strerror}']) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(str(path), [f'is not YAML: {error}']) from error
        faults, neutral, extreme, person = _check(document)
        if faults:
            raise ConfigError(str(path), faults)
        return cls(person, neutral, extreme)


def _check(document: Any) -> tuple[list[str], Levels, Levels, str]:
    """Return every fault of a calibration document, and its levels."""
    default = Calibration.default()
    neutral, extreme = default.neutral.copy(), default.extreme.copy()
    if not isinstance(document, dict) or not isinstance(document.get('channels'), dict):
        return ['must be a mapping with person and channels'], neutral, extreme, ''
    faults = [f'{key} is not a key of a calibration (person, channels)'
              for key in document if key not in ('person', 'channels')]  # fmt: skip
    person = document.get('person', '')
    if not isinstance(person, str):
        faults.append(f'person = {person!r} must be a text')
    channels = document['channels']
    faults += [f'channels.{name} is not a channel' for name in channels if name not in CHANNELS]
    for index, name in enumerate(CHANNELS):
        if name not in channels:
            faults.append(f'channels.{name} is missing')
            continue
        section = channels[name]
        keys = ('neutral',) if name in ANGLE_CHANNELS else ('neutral', 'extreme')
        if not isinstance(section, dict) or set(section) != set(keys):
            faults.append(f'channels.{name} = {section!r} must have {" and ".join(keys)}')
            continue
        bad = [key for key in keys if not _is_number(section[key])]
        faults += [f'channels.{name}.{key} = {section[key]!r} must be a number' for key in bad]
        if bad:
            continue
        neutral[index] = float(section['neutral'])
        if abs(neutral[index]) > _NEUTRAL_LIMIT:
            faults.append(
                f'channels.{name}.neutral = {neutral[index]:g} must be from '
                f'{-_NEUTRAL_LIMIT:g} to {_NEUTRAL_LIMIT:g}'
            )
        if 'extreme' in keys:
            extreme[index] = float(section['extreme'])
            if extreme[index] < neutral[index] + MINIMUM_RANGE:
                faults.append(
                    f'channels.{name}.extreme = {extreme[index]:g} must be at least '
                    f'{MINIMUM_RANGE:g} above neutral = {neutral[index]:g}'
                )
    return faults, neutral, extreme, str(person)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)


class AutoCalibration:
    """Learns neutral and range while it runs, for people without a calibration file.

    Neutral is a low quantile of what was seen, because faces return to rest; it starts at the
    level of most faces and trusts what it sees more with every face. The range only narrows a
    little: somebody who has not smiled yet may still do so.
    """

    _KEPT = 400
    _TRUST = 12.0  # faces after which seen and presumed levels count alike
    _QUANTILE = 0.2
    _FARTHEST = 0.35  # most a person's neutral may differ from that of most faces
    _LEAST_RANGE = 0.7

    def __init__(self) -> None:
        self._seen: deque[Levels] = deque(maxlen=self._KEPT)
        self._default = Calibration.default()

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
        low, high = self._default.neutral.copy(), self._default.extreme.copy()
        if known.any():
            quantiles = np.nanquantile(seen[:, known], (self._QUANTILE, 0.98), axis=0)
            low[known], high[known] = quantiles
        trust = count / (count + self._TRUST)
        presumed = self._default.neutral
        shift = np.clip(trust * (low - presumed), -self._FARTHEST, self._FARTHEST)
        # Angles keep their zero: a person may look aside for long.
        neutral = np.where(IS_ANGLE, 0.0, presumed + shift)
        width = self._default.extreme - presumed
        seen_width = np.clip(high - neutral, self._LEAST_RANGE * width, width)
        reach = count / (count + 10 * self._TRUST)
        return Calibration('', neutral, neutral + width + reach * (seen_width - width))

    def reset(self) -> None:
        """Forget the person."""
        self._seen.clear()
