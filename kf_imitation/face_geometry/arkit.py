"""The ARKit blendshapes: which are mirror images, the channels they make, and the way back."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import BLENDSHAPES, CHANNELS

GAZE_RANGE_RAD = 0.5  # gaze at a difference of eyeLook* of 1

_SWAPPED = {'Left': 'Right', 'Right': 'Left'}


def mirrored_name(name: str) -> str:
    """Return the blendshape of the mirrored face: left and right exchanged."""
    return re.sub('Left$|Right$', lambda side: _SWAPPED[side[0]], name)


# Channel -> the blendshapes that make it: itself, the larger or the mean of two, or how they
# turn the eyes. In and out of an eye are towards and away from the nose; to the person's left is
# out for the left eye.
_LARGER = {
    'jaw_open': ('jawOpen', 'jawOpen'),
    'mouth_smile_left': ('mouthSmileLeft', 'mouthSmileLeft'),
    'mouth_smile_right': ('mouthSmileRight', 'mouthSmileRight'),
    'mouth_frown_left': ('mouthFrownLeft', 'mouthFrownLeft'),
    'mouth_frown_right': ('mouthFrownRight', 'mouthFrownRight'),
    'mouth_pucker': ('mouthPucker', 'mouthFunnel'),
    'eye_close_left': ('eyeBlinkLeft', 'eyeBlinkLeft'),
    'eye_close_right': ('eyeBlinkRight', 'eyeBlinkRight'),
    'eye_wide_left': ('eyeWideLeft', 'eyeWideLeft'),
    'eye_wide_right': ('eyeWideRight', 'eyeWideRight'),
    'brow_raise_left': ('browInnerUp', 'browOuterUpLeft'),
    'brow_raise_right': ('browInnerUp', 'browOuterUpRight'),
}
_MEAN = {
    'lip_press': ('mouthPressLeft', 'mouthPressRight'),
    'brow_lower': ('browDownLeft', 'browDownRight'),
}
_GAZE = {
    'gaze_yaw': ('eyeLookOutLeft', 'eyeLookInLeft', 'eyeLookInRight', 'eyeLookOutRight'),
    'gaze_pitch': ('eyeLookUpLeft', 'eyeLookDownLeft', 'eyeLookUpRight', 'eyeLookDownRight'),
}

# Blendshapes that are a channel by another name.
SAME_AS = {a: channel for channel, (a, b) in _LARGER.items() if a == b}
# Those of the eyeballs, which gaze alone makes.
LOOKS = tuple(name for names in _GAZE.values() for name in names)
MAKE_CHANNELS = {name for names in (_LARGER | _MEAN | _GAZE).values() for name in names}


def _places(table: Mapping[str, tuple[str, ...]]) -> tuple[list[int], list[list[int]]]:
    """Return the places of a table's channels and, one list for each term, of its blendshapes."""
    terms = zip(*table.values(), strict=True)
    columns = [[BLENDSHAPES.index(name) for name in names] for names in terms]
    return [CHANNELS.index(channel) for channel in table], columns


_TABLES = _places(_LARGER), _places(_MEAN), _places(_GAZE)


def channels_of_blendshapes(shapes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the channels that blendshapes make (docs/landmarks.md).

    Args:
        shapes: (..., 51) in the order of BLENDSHAPES, 0..1; NaN where not known.

    Returns:
        (..., 19) in CHANNELS order, 0..1 or rad; NaN for the head's angles, and where a
        blendshape is not known.
    """
    found = np.full((*shapes.shape[:-1], len(CHANNELS)), np.nan)
    (larger, (a, b)), (mean, (left, right)), (gaze, (p, q, r, s)) = _TABLES
    found[..., larger] = np.maximum(shapes[..., a], shapes[..., b])
    found[..., mean] = (shapes[..., left] + shapes[..., right]) / 2
    turned = (shapes[..., p] - shapes[..., q]) + (shapes[..., r] - shapes[..., s])
    found[..., gaze] = GAZE_RANGE_RAD * turned / 2
    return found


def shapes_of_channels(
    channels: NDArray[Any], predicted: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Return the blendshapes of a face whose channels are known.

    Args:
        channels: (19,) in CHANNELS order.
        predicted: (51,) in the order of BLENDSHAPES, 0..1: says how the blendshapes of one channel
            share it, and all that no channel says; None shares alike and leaves the others at 0.

    Returns:
        (51,) 0..1. channels_of_blendshapes gives the channels again, as far as predictions of
        browInnerUp, which both brows share, let it.
    """
    values = dict(zip(CHANNELS, np.nan_to_num(channels).tolist(), strict=True))
    given = np.zeros(len(BLENDSHAPES)) if predicted is None else np.nan_to_num(predicted)
    shapes = dict(zip(BLENDSHAPES, given.tolist(), strict=True))
    factors: dict[str, float] = {}
    for channel, (a, b) in (_LARGER | _MEAN).items():
        together = max(shapes[a], shapes[b])
        if channel in _MEAN:
            together = (shapes[a] + shapes[b]) / 2
        if together <= 0.0:
            shapes[a] = shapes[b] = together = 1.0
        for name in (a, b):
            factors[name] = min(values[channel] / together, factors.get(name, np.inf))
    for name, factor in factors.items():
        shapes[name] *= factor
    for channel, (p, q, r, s) in _GAZE.items():
        turned = values[channel] / GAZE_RANGE_RAD
        shapes |= {p: turned, r: turned, q: -turned, s: -turned}
    found = np.array([shapes[name] for name in BLENDSHAPES], np.float64)
    return np.clip(found, 0.0, 1.0)
