"""Channels of labelled clips: benchmark.md, section 3 (ARKit blendshapes and a head pose)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS

GAZE_RANGE_RAD = 0.5


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
        KeyError: a blendshape of the table is not among the names.
    """
    column = {str(name): index for index, name in enumerate(names)}

    def of(name: str) -> NDArray[np.floating]:
        return blendshapes[:, column[name]]

    inner = of('browInnerUp')
    # in/out of an eye is towards/away from the nose; to the left is out for the left eye.
    left_look = of('eyeLookOutLeft') - of('eyeLookInLeft')
    right_look = of('eyeLookInRight') - of('eyeLookOutRight')
    up_left = of('eyeLookUpLeft') - of('eyeLookDownLeft')
    up_right = of('eyeLookUpRight') - of('eyeLookDownRight')
    yaw, pitch, roll = label_angles(head_pose[:, :3, :3])
    table = {
        'jaw_open': of('jawOpen'),
        'mouth_smile_left': of('mouthSmileLeft'),
        'mouth_smile_right': of('mouthSmileRight'),
        'mouth_frown_left': of('mouthFrownLeft'),
        'mouth_frown_right': of('mouthFrownRight'),
        'mouth_pucker': np.maximum(of('mouthPucker'), of('mouthFunnel')),
        'lip_press': (of('mouthPressLeft') + of('mouthPressRight')) / 2,
        'eye_close_left': of('eyeBlinkLeft'),
        'eye_close_right': of('eyeBlinkRight'),
        'eye_wide_left': of('eyeWideLeft'),
        'eye_wide_right': of('eyeWideRight'),
        'brow_raise_left': np.maximum(inner, of('browOuterUpLeft')),
        'brow_raise_right': np.maximum(inner, of('browOuterUpRight')),
        'brow_lower': (of('browDownLeft') + of('browDownRight')) / 2,
        'gaze_yaw': GAZE_RANGE_RAD * (left_look + right_look) / 2,
        'gaze_pitch': GAZE_RANGE_RAD * (up_left + up_right) / 2,
        'head_yaw': yaw,
        'head_pitch': pitch,
        'head_roll': roll,
    }
    return np.stack([table[name] for name in CHANNELS], axis=1).astype(np.float32)


def label_angles(
    rotation: NDArray[np.floating],
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Yaw, pitch and roll of label rotations, signs as in data_types.

    Args:
        rotation: (..., 3, 3) as in label_channels.

    Returns:
        yaw, pitch, roll, each (...) [rad].
    """
    yaw = np.arctan2(rotation[..., 0, 2], rotation[..., 2, 2])
    pitch = np.arcsin(np.clip(-rotation[..., 1, 2], -1.0, 1.0))
    roll = np.arctan2(rotation[..., 1, 0], rotation[..., 1, 1])
    return yaw, pitch, roll
