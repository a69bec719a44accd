"""Rotations of a head: yaw, pitch and roll, and vectors without jumps."""

import numpy as np
from numpy.typing import NDArray

# What a rotation's entries are multiplied by between the axes of labels (x right, y up, z to the
# viewer) and of the camera (x right, y down, z away).
_FLIPPED_YZ = np.outer([1, -1, -1], [1, -1, -1])


def angles_of(rotation: NDArray[np.floating]) -> NDArray[np.floating]:
    """Yaw, pitch and roll of rotations as defined in data_types.

    Args:
        rotation: (..., 3, 3), head axes to camera axes.

    Returns:
        (..., 3) yaw, pitch, roll [rad]: R = Rz(yaw) Ry(pitch) Rx(roll) on axes x forward, y left,
        z up.
    """
    yaw = np.arctan2(-rotation[..., 0, 2], rotation[..., 2, 2])
    pitch = np.arcsin(np.clip(-rotation[..., 1, 2], -1.0, 1.0))
    roll = np.arctan2(-rotation[..., 1, 0], rotation[..., 1, 1])
    return np.stack([yaw, pitch, roll], axis=-1)


def label_angles(rotation: NDArray[np.floating]) -> NDArray[np.floating]:
    """The same of rotations in the axes of labels: x to the image's right, y up, z to the viewer.

    Args:
        rotation: (..., 3, 3).

    Returns:
        (..., 3) yaw, pitch, roll [rad], signs as in data_types.
    """
    return angles_of(rotation * _FLIPPED_YZ.astype(rotation.dtype))


def rotation_of(yaw_rad: float, pitch_rad: float, roll_rad: float) -> NDArray[np.float32]:
    """The inverse of angles_of: (3, 3) float32, head axes to camera axes."""
    cy, sy = np.cos(yaw_rad), np.sin(yaw_rad)
    cp, sp = np.cos(pitch_rad), np.sin(pitch_rad)
    cr, sr = np.cos(roll_rad), np.sin(roll_rad)
    about_up = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_left = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_front = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    # Columns of the change of axes: head front, left and up in (x left, y down, z back).
    axes = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]], np.float64)
    return np.asarray(axes @ about_up @ about_left @ about_front @ axes.T, np.float32)


def unwrapped(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rotation vectors (N, 3) [rad] without jumps of a full turn between neighbours."""
    result: NDArray[np.float64] = vectors.copy()
    for i in range(1, len(result)):
        angle = float(np.linalg.norm(result[i]))
        if angle < 1e-9:
            continue
        # The same rotation has vectors a full turn longer or shorter along the same axis.
        turns = result[i] / angle * 2 * np.pi * np.array([[-1], [0], [1]])
        choices = result[i] + turns
        result[i] = choices[np.argmin(np.linalg.norm(choices - result[i - 1], axis=1))]
    return result
