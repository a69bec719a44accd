"""Channels of labelled clips: benchmark.md, section 3 (ARKit blendshapes and a head pose)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS, HEAD_CHANNELS
from kf_imitation.face_geometry.arkit import channels_of_blendshapes
from kf_imitation.face_geometry.rotation import label_angles


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
    shapes = dict(zip((str(name) for name in names), blendshapes.T, strict=True))
    angles = dict(zip(HEAD_CHANNELS, label_angles(head_pose[:, :3, :3]).T, strict=True))
    table = channels_of_blendshapes(shapes) | angles
    return np.stack([table[name] for name in CHANNELS], axis=1).astype(np.float32)
