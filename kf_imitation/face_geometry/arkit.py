"""The ARKit blendshapes: their names, which are mirror images, and the channels they make."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# In the order of the labels, whose files put `_neutral` before them.
_NAMES = """
browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff
cheekSquintLeft cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight
eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight
eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft jawOpen jawRight
mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft
mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight
mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight
"""
BLENDSHAPES = tuple(_NAMES.split())
GAZE_RANGE_RAD = 0.5  # gaze at a difference of eyeLook* of 1

_SWAPPED = {'Left': 'Right', 'Right': 'Left'}


def mirrored_name(name: str) -> str:
    """Return the blendshape of the mirrored face: left and right exchanged."""
    return re.sub('Left$|Right$', lambda side: _SWAPPED[side[0]], name)


def _mean(left: Any, right: Any) -> Any:
    return (left + right) / 2


def _gaze(a: Any, b: Any, c: Any, d: Any) -> Any:
    return GAZE_RANGE_RAD * ((a - b) + (c - d)) / 2


# Channel -> how it is made, of which blendshapes. In and out of an eye are towards and away from
# the nose; to the person's left is out for the left eye.
_TABLE: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    'jaw_open': (np.asarray, ('jawOpen',)),
    'mouth_smile_left': (np.asarray, ('mouthSmileLeft',)),
    'mouth_smile_right': (np.asarray, ('mouthSmileRight',)),
    'mouth_frown_left': (np.asarray, ('mouthFrownLeft',)),
    'mouth_frown_right': (np.asarray, ('mouthFrownRight',)),
    'mouth_pucker': (np.maximum, ('mouthPucker', 'mouthFunnel')),
    'lip_press': (_mean, ('mouthPressLeft', 'mouthPressRight')),
    'eye_close_left': (np.asarray, ('eyeBlinkLeft',)),
    'eye_close_right': (np.asarray, ('eyeBlinkRight',)),
    'eye_wide_left': (np.asarray, ('eyeWideLeft',)),
    'eye_wide_right': (np.asarray, ('eyeWideRight',)),
    'brow_raise_left': (np.maximum, ('browInnerUp', 'browOuterUpLeft')),
    'brow_raise_right': (np.maximum, ('browInnerUp', 'browOuterUpRight')),
    'brow_lower': (_mean, ('browDownLeft', 'browDownRight')),
    'gaze_yaw': (_gaze, ('eyeLookOutLeft', 'eyeLookInLeft', 'eyeLookInRight', 'eyeLookOutRight')),
    'gaze_pitch': (
        _gaze, ('eyeLookUpLeft', 'eyeLookDownLeft', 'eyeLookUpRight', 'eyeLookDownRight')
    ),
}  # fmt: skip


def channels_of_blendshapes(shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the channels that blendshapes make (docs/landmarks.md).

    Args:
        shapes: number or (N,) array by ARKit name, 0..1.

    Returns:
        By channel, 0..1 or rad, of the same shape; channels whose blendshapes are not all there
        are left out, and so are the head's angles.
    """
    return {
        channel: make(*(shapes[name] for name in names))
        for channel, (make, names) in _TABLE.items()
        if all(name in shapes for name in names)
    }
