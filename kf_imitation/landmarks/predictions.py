"""What the models predict in addition to points, as channels before calibration."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from kf_imitation.data_types import ANGLE_CHANNELS, CHANNELS, HEAD_CHANNELS, FloatArray
from kf_imitation.face_geometry.arkit import (
    BLENDSHAPES,
    channels_of_blendshapes,
    mirrored_name,
)
from kf_imitation.face_geometry.head_pose import angles_of, rotation_of

Values = NDArray[np.float64]
# Weight of the part model against the landmark and the eye model, by the beginning of the
# blendshape's name, the first that fits; chosen on held-out training people
# (training/landmarks/fit/blend_weights.py).
PART_WEIGHT = {
    'eyeWide': 0.0, 'eye': 0.8, 'browDown': 0.8, 'brow': 0.6, 'jaw': 0.7, 'mouthPress': 1.0,
    'mouth': 0.5, 'cheek': 0.5,
}  # fmt: skip
_LEAST = 1e-3  # predictions closer to 0 or 1 say no more

_MIRROR_PLACES = [BLENDSHAPES.index(mirrored_name(name)) for name in BLENDSHAPES] + [
    len(BLENDSHAPES) + k for k in range(len(HEAD_CHANNELS))
]
_MIRROR_SIGNS = np.array([1.0] * len(BLENDSHAPES) + [-1.0, 1.0, -1.0])  # yaw and roll change
_EYE = ('eyeBlink', 'eyeWide', 'eyeSquint', 'eyeLookUp', 'eyeLookDown', 'eyeLookIn', 'eyeLookOut')


def channel_predictions(
    head: NDArray[np.floating] | None,
    eyes: NDArray[np.floating] | None,
    parts: Mapping[str, float] | None = None,
    part_weight: Mapping[str, float] = PART_WEIGHT,
) -> FloatArray | None:
    """Turn predictions into channels.

    Args:
        head: (54,) of the landmark model: logits of BLENDSHAPES, then yaw, pitch and roll [rad] of
            the head in the image; None without.
        eyes: (2, 7) of the eye model: logits, right eye first; they take the place of the
            landmark model's for the eyes; None without.
        parts: logits by blendshape of the part model; None without.
        part_weight: how much those count against the others, by the beginning of the name.

    Returns:
        (19,) as Landmarks.predictions; None without any.
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
        logits[name] = other + _weight_of(name, part_weight) * (value - other)
    if not logits:
        return None
    values = expit(np.array(list(logits.values())))
    found = np.full(len(CHANNELS), np.nan)
    for channel, value in channels_of_blendshapes(dict(zip(logits, values, strict=True))).items():
        found[CHANNELS.index(channel)] = (
            value if channel in ANGLE_CHANNELS else _clipped_logit(value)
        )
    if head is not None:
        found[[CHANNELS.index(name) for name in HEAD_CHANNELS]] = head[len(BLENDSHAPES) :]
    return found.astype(np.float32)


def _weight_of(name: str, weights: Mapping[str, float]) -> float:
    return next(weight for start, weight in weights.items() if name.startswith(start))


def turned_back(head: NDArray[np.floating], turned_rad: float) -> FloatArray:
    """Turn predictions of a turned crop into those of the image.

    Args:
        head: (54,) as in channel_predictions, angles as the crop shows the head.
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
    """Predictions of a face of which these are those of its mirror image: (54,) float32."""
    return np.asarray(head[_MIRROR_PLACES] * _MIRROR_SIGNS, np.float32)


def _clipped_logit(value: float) -> float:
    return float(logit(min(max(value, _LEAST), 1 - _LEAST)))
