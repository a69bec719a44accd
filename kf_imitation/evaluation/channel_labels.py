"""Channels of labelled clips: benchmark.md, section 3 (ARKit blendshapes and a head pose)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import BLENDSHAPES, HEAD_CHANNELS
from kf_imitation.face_geometry.arkit import MAKE_CHANNELS, channels_of_blendshapes
from kf_imitation.face_geometry.head_pose import label_angles

_OUTER_EYE_CORNERS = 33, 263  # of the 478 points
_INNER_LIPS = (13, 14), (82, 87), (312, 317)
_WIDE_OPEN = 0.35  # of the eye distance


def label_channels(
    blendshapes: NDArray[np.floating],
    names: Sequence[str],
    head_pose: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Turn labels into channels.

    Args:
        blendshapes: (N, B), 0..1.
        names: (B,) ARKit names.
        head_pose: (N, 4, 4) or (N, 3, 3), rotation from head to camera axes, both x to the image's
            right, y up, z towards the viewer.

    Returns:
        (N, 19) float32 in CHANNELS order; left and right are the person's own.

    Raises:
        KeyError: blendshapes of a channel are not among the names.
    """
    if missing := MAKE_CHANNELS - {str(name) for name in names}:
        raise KeyError(*sorted(missing))
    channels = channels_of_blendshapes(label_shapes(blendshapes, names))
    channels[:, -len(HEAD_CHANNELS) :] = label_angles(head_pose[:, :3, :3])
    return channels.astype(np.float32)


def label_shapes(blendshapes: NDArray[np.floating], names: Sequence[str]) -> NDArray[np.floating]:
    """Return labels (N, B) in the order of BLENDSHAPES, (N, 51); 0 for names they lack."""
    columns = {str(name): column for column, name in enumerate(names)}
    shapes = np.zeros((len(blendshapes), len(BLENDSHAPES)), blendshapes.dtype)
    for place, name in enumerate(BLENDSHAPES):
        if name in columns:
            shapes[:, place] = blendshapes[:, columns[name]]
    return shapes


def mouth_aperture(
    landmarks_px: NDArray[np.floating], head_pose: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return how far a mouth is open: benchmark.md, section 3b.

    Args:
        landmarks_px: (N, 478, 3), z in the units of x, growing away from the viewer.
        head_pose: (N, 4, 4) or (N, 3, 3), as for label_channels.

    Returns:
        (N,) from 0 (shut) to 1: the mean distance of paired inner-lip points over that of the
        outer eye corners, the head turned back to frontal, over 0.35 or the person's largest.
    """
    upright = landmarks_px * np.array([1.0, -1.0, -1.0])  # the axes of the pose
    frontal = (upright @ head_pose[:, :3, :3])[..., :2]

    def distance(a: int, b: int) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(frontal[:, a] - frontal[:, b], axis=-1), np.float64)

    opened = np.mean([distance(a, b) for a, b in _INNER_LIPS], axis=0)
    opened = opened / distance(*_OUTER_EYE_CORNERS)
    seen = opened[np.isfinite(opened)]
    return np.asarray(opened / max([_WIDE_OPEN, *seen.tolist()]))
