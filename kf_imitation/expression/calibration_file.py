"""Files that keep the calibrations of people."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from kf_imitation.data_types import ANGLE_CHANNELS, CHANNELS, UNIT_CHANNELS
from kf_imitation.errors import ConfigError
from kf_imitation.expression.calibration import Calibration
from kf_imitation.expression.channels import Levels
from kf_imitation.output_files import new_file
from kf_imitation.parameters.yaml_text import read_yaml
from kf_imitation.paths import state_directory, user_path

# Raw units are those before the sigmoid: 1 is a quarter of the range where it is steepest.
MINIMUM_RANGE = 0.8  # extreme over neutral; less would turn noise into grimaces
_NEUTRAL_LIMIT = 15.0  # no face at rest is further out
_ANGLE_LIMIT_RAD = 1.0


def save_calibration(calibration: Calibration, path: str | Path) -> None:
    """Write a file that load_calibration reads; an existing one stays until the new one is whole.

    Raises:
        OutputError: the file cannot be written.
    """
    channels: dict[str, dict[str, float]] = {}
    for index, name in enumerate(CHANNELS):
        channels[name] = {'neutral': round(float(calibration.neutral[index]), 4)}
        if name in UNIT_CHANNELS:
            channels[name]['extreme'] = round(float(calibration.extreme[index]), 4)
    document = {'person': calibration.person, 'channels': channels}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    with new_file(Path(path), overwrite=True) as partial:
        partial.write_text(text, encoding='utf-8')


def person_file(person: str) -> Path:
    """Return the file that keeps the calibration of a person of this user.

    Raises:
        ConfigError: the name cannot be that of a file.
    """
    if not re.fullmatch(r'\w[\w .-]{0,59}', person):
        raise ConfigError(f'person = {person!r}', ['must be letters, digits, spaces, - . or _'])
    return state_directory() / 'people' / f'{person}.yaml'


def load_calibration(path: str | Path) -> Calibration:
    """Read a calibration file.

    Raises:
        ConfigError: with every problem: key, value, rule.
    """
    document = read_yaml(user_path(path))
    problems, neutral, extreme, person = _check(document)
    if problems:
        raise ConfigError(str(path), problems)
    return Calibration(person, neutral, extreme)


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
