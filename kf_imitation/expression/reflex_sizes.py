"""What the reflex lane's readings are worth (models/reflex_size.yaml)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS, FRAME_CHANNELS
from kf_imitation.expression.channels import IS_ANGLE, Levels
from kf_imitation.face_geometry.arkit import bounded_logits, channels_of_blendshapes
from kf_imitation.model_files import load_table

REFLEXES = [CHANNELS.index(name) for name in FRAME_CHANNELS]
_SIZES = load_table('reflex_size')


def raw_reflexes(reading: NDArray[np.floating]) -> Levels:
    """Return the channels of readings (..., 51), (..., 16): logits, and gaze [rad]."""
    raw = channels_of_blendshapes(reading)[..., REFLEXES]
    return np.where(IS_ANGLE[REFLEXES], raw, bounded_logits(raw))


def reflex_values(raw: Levels) -> Levels:
    """Return what raw reflexes (..., 16) are worth: 0..1, gaze in rad."""
    values = np.empty_like(raw)
    for k, name in enumerate(FRAME_CHANNELS):
        size = _size(name)
        if 'gain' in size:
            values[..., k] = size['gain'] * (raw[..., k] - size['rest'])
        else:
            values[..., k] = np.interp(raw[..., k], size['raw'], size['value'])
    return values


def reflex_levels(level: str) -> Levels:
    """Return a level of the sizes, for example `typical`: (16,), 0 where there is none."""
    return np.array([_size(name).get(level, 0.0) for name in FRAME_CHANNELS])


def _size(channel: str) -> Any:
    return _SIZES[channel.removesuffix('_left').removesuffix('_right')]
