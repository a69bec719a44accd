"""What the models read off the picture beside points, as channels before calibration."""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS, HEAD_CHANNELS, FloatArray
from kf_imitation.face_geometry.head_pose import angles_of, rotation_of

Values = NDArray[np.float64]
GAZE_RANGE_RAD = 0.5
# How far the part model is believed beside the landmark and the eye model, by the beginning of
# the blendshape's name, the first that fits; chosen on held-out training people
# (training/landmarks/fit/blend_weights.py).
PART_SHARE = {
    'eyeWide': 0.0, 'eye': 0.8, 'browDown': 0.8, 'brow': 0.6, 'jaw': 0.7, 'mouthPress': 1.0,
    'mouth': 0.5, 'cheek': 0.5,
}  # fmt: skip
_LEAST = 1e-3  # readings closer to 0 or 1 say no more

# The blendshapes of the expression head, in the order of the labels without _neutral.
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
_SWAPPED = {'Left': 'Right', 'Right': 'Left'}
_MIRROR_PLACES = [
    BLENDSHAPES.index(re.sub('Left$|Right$', lambda side: _SWAPPED[side[0]], name))
    for name in BLENDSHAPES
] + [len(BLENDSHAPES) + k for k in range(len(HEAD_CHANNELS))]
_MIRROR_SIGNS = np.array([1.0] * len(BLENDSHAPES) + [-1.0, 1.0, -1.0])  # yaw and roll change
_EYE = ('eyeBlink', 'eyeWide', 'eyeSquint', 'eyeLookUp', 'eyeLookDown', 'eyeLookIn', 'eyeLookOut')


def channel_readings(
    head: NDArray[np.floating] | None,
    eyes: NDArray[np.floating] | None,
    parts: Mapping[str, float] | None = None,
    part_share: Mapping[str, float] = PART_SHARE,
) -> FloatArray | None:
    """Turn readings into channels.

    Args:
        head: (54,) of the landmark model: logits of BLENDSHAPES, then yaw, pitch and roll [rad] of
            the head in the image; None without.
        eyes: (2, 7) of the eye model: logits, right eye first; they take the place of the
            landmark model's for the eyes; None without.
        parts: logits by blendshape of the part model; None without.
        part_share: how much those count beside the others, by the beginning of the name.

    Returns:
        (19,) as Landmarks.readings; None without any reading.
    """
    logits: dict[str, float] = {}
    if head is not None:
        values = np.asarray(head[: len(BLENDSHAPES)], np.float64)
        logits.update(zip(BLENDSHAPES, values.tolist(), strict=True))
    if eyes is not None:
        for row, side in zip(np.asarray(eyes, np.float64), ('Right', 'Left'), strict=True):
            logits.update({name + side: float(v) for name, v in zip(_EYE, row, strict=True)})
    for name, value in (parts or {}).items():
        other = logits.get(name, value)
        logits[name] = other + _share_of(name, part_share) * (value - other)
    if not logits:
        return None
    names = list(logits)
    values = _sigmoid(np.array([logits[n] for n in names]))
    shape = dict(zip(names, values.tolist(), strict=True))
    found = np.full(len(CHANNELS), np.nan)

    def put(channel: str, value: float) -> None:
        found[CHANNELS.index(channel)] = _logit(value)

    if 'jawOpen' in shape:
        put('jaw_open', shape['jawOpen'])
        put('mouth_pucker', max(shape['mouthPucker'], shape['mouthFunnel']))
        put('lip_press', (shape['mouthPressLeft'] + shape['mouthPressRight']) / 2)
        put('brow_lower', (shape['browDownLeft'] + shape['browDownRight']) / 2)
        for side in ('Left', 'Right'):
            put(f'mouth_smile_{side.lower()}', shape[f'mouthSmile{side}'])
            put(f'mouth_frown_{side.lower()}', shape[f'mouthFrown{side}'])
            raised = max(shape['browInnerUp'], shape[f'browOuterUp{side}'])
            put(f'brow_raise_{side.lower()}', raised)
    if head is not None:
        found[[CHANNELS.index(name) for name in HEAD_CHANNELS]] = head[len(BLENDSHAPES) :]
    for side in ('Left', 'Right'):
        put(f'eye_close_{side.lower()}', shape[f'eyeBlink{side}'])
        put(f'eye_wide_{side.lower()}', shape[f'eyeWide{side}'])
    # In and out of an eye are towards and away from the nose; to the left is out for the left.
    left = shape['eyeLookOutLeft'] - shape['eyeLookInLeft']
    right = shape['eyeLookInRight'] - shape['eyeLookOutRight']
    up = [shape[f'eyeLookUp{s}'] - shape[f'eyeLookDown{s}'] for s in ('Left', 'Right')]
    found[CHANNELS.index('gaze_yaw')] = GAZE_RANGE_RAD * (left + right) / 2
    found[CHANNELS.index('gaze_pitch')] = GAZE_RANGE_RAD * sum(up) / 2
    return found.astype(np.float32)


def _share_of(name: str, shares: Mapping[str, float]) -> float:
    return next(share for start, share in shares.items() if name.startswith(start))


def turned_back(head: NDArray[np.floating], turned_rad: float) -> FloatArray:
    """Readings in the image of what was read in a turned crop.

    Args:
        head: (54,) as in channel_readings, angles as the crop shows the head.
        turned_rad: how far the crop was turned against the image, clockwise as seen.

    Returns:
        (54,) float32.
    """
    c, s = np.cos(turned_rad), np.sin(turned_rad)
    back = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])  # axes x right, y down
    angles = (float(angle) for angle in head[len(BLENDSHAPES) :])
    found = np.array(head, np.float32)
    found[len(BLENDSHAPES) :] = angles_of(back @ rotation_of(*angles))
    return found


def mirrored_head(head: NDArray[np.floating]) -> FloatArray:
    """Readings of a face of which these are those of its mirror image: (54,) float32."""
    return np.asarray(head[_MIRROR_PLACES] * _MIRROR_SIGNS, np.float32)


def _sigmoid(x: Values) -> Values:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -40.0, 40.0))))


def _logit(value: float) -> float:
    value = min(max(value, _LEAST), 1 - _LEAST)
    return float(np.log(value / (1 - value)))
