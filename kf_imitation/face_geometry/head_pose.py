"""Rotations of a head, the mean face, and the head pose from 98 landmarks by both (PnP).

The mean face (models/mean_face.yaml) is in metres: x to the person's left, y down, z out of the
back of the head; the origin is the middle of the four eye corners.

PnP uses the points that hardly move with the expression; a small linear correction takes care of
what still does. Angles follow data_types.HeadPose.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import (
    CHANNELS,
    HEAD_CHANNELS,
    WFLW_POINTS,
    CameraModel,
    HeadPose,
    Landmarks,
)
from kf_imitation.face_geometry import wflw
from kf_imitation.model_files import load_table

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


_TEMPLATE_DISTANCE_M = 0.35

# (98, 3).
MEAN_FACE_M: NDArray[np.float64] = np.array(load_table('mean_face')['points_m'], np.float64)


# Distance of the outer eye corners.
EYE_SPAN_M = float(np.linalg.norm(MEAN_FACE_M[60] - MEAN_FACE_M[72]))


def turn_to_front(
    points_px: NDArray[np.floating],
    rotation: NDArray[np.floating],
    translation_m: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Take the head pose out of landmarks: each goes along its ray to the mean face's depth.

    The camera need not be known: the pose says where the mean face would be seen, and the pixels
    are that times the focal length plus the principal point (least squares).

    Args:
        points_px: (98, 2).
        rotation: (3, 3), head to camera.
        translation_m: (3,).

    Returns:
        (98, 2) in units of the mean face's eye distance, x to the person's left, y down.
    """
    turn = rotation.astype(np.float64)
    shift = translation_m.astype(np.float64)
    pixels = points_px.astype(np.float64)
    seen = MEAN_FACE_M @ turn.T + shift
    ideal = seen[:, :2] / seen[:, 2:]
    spread = ideal - ideal.mean(axis=0)
    focal = float((spread * (pixels - pixels.mean(axis=0))).sum() / (spread**2).sum())
    centre = pixels.mean(axis=0) - focal * ideal.mean(axis=0)
    rays = np.column_stack([(pixels - centre) / focal, np.ones(len(pixels))]) @ turn
    origin = -shift @ turn
    along = (MEAN_FACE_M[:, 2] - origin[2]) / rays[:, 2]
    return np.asarray((origin + rays * along[:, None])[:, :2] / EYE_SPAN_M)


def template() -> NDArray[np.float32]:
    """The face straight ahead, where the landmark model likes it in its crop.

    Returns:
        (98, 2) float32 in crop edges: box centred at (0.5, 0.5), longer side 0.80.
    """
    away = MEAN_FACE_M[:, 2:] + _TEMPLATE_DISTANCE_M
    flat = MEAN_FACE_M[:, :2] / away
    low, high = flat.min(axis=0), flat.max(axis=0)
    return np.asarray((flat - (low + high) / 2) / (high - low).max() * 0.80 + 0.5, np.float32)


# Nose, eye corners, the upper contour and the brows' ends and middles: what moves least when a
# face talks. Measured on the train clips, docs/landmarks.md.
STABLE = (
    *wflw.NOSE,
    *(60, 64, 68, 72),
    *range(8),
    *range(25, 33),
    *(33, 35, 37, 42, 44, 46),
)
_MINIMUM_CONFIDENCE = 0.25
# The correction (models/head_pose_correction.yaml): weights on what is left of the points, (3, 98,
# 2) for yaw, pitch and roll; on the solved angles (3, 3); and what is always added (3,).
_CORRECTION = load_table('head_pose_correction')
_ROWS = np.zeros((WFLW_POINTS, 6))
_ROWS[list(_CORRECTION['of_points'])] = list(_CORRECTION['of_points'].values())
_OF_POINTS = _ROWS.reshape(WFLW_POINTS, 3, 2).transpose(1, 0, 2)
_OF_ANGLES = np.array(_CORRECTION['of_angles'])
_BIAS = np.array(_CORRECTION['bias'])
_MINIMUM_POINTS = 12
# No face differs from the mean face by more than this turn.
_LARGEST_CORRECTION_RAD = 0.25
# How much the model's own yaw, pitch and roll count against those of the points, chosen on
# held-out training people (training/landmarks/fit/blend_weights.py). Their errors have little in
# common, so about half and half is better than either.
PREDICTION_WEIGHT = np.array([0.5, 0.4, 0.5])


def camera_matrix(camera: CameraModel) -> NDArray[np.float64]:
    """(3, 3) pinhole matrix in pixel coordinates whose integers are pixel centres."""
    return np.array(
        [
            [camera.focal_px, 0.0, (camera.width - 1) / 2],
            [0.0, camera.focal_px, (camera.height - 1) / 2],
            [0.0, 0.0, 1.0],
        ]
    )


def solve_head_pose(
    landmarks: Landmarks, camera: CameraModel, *, corrected: bool = True
) -> HeadPose:
    """Where the head is and where it looks.

    Args:
        landmarks: of a face in front of the camera, pixels of the full image.
        camera: of the full image.
        corrected: add `correction`.

    Returns:
        The pose; error_px is the RMS over the points used.
    """
    stable = np.array(STABLE)
    sure = stable[landmarks.confidence[stable] >= _MINIMUM_CONFIDENCE]
    used = sure if len(sure) >= _MINIMUM_POINTS else stable
    pixels = landmarks.points_px[used].astype(np.float64)
    matrix = camera_matrix(camera)
    turn, shift = _first_guess(landmarks.points_px.astype(np.float64), camera)
    _, turn, shift = cv2.solvePnP(
        MEAN_FACE_M[used], pixels, matrix, None, turn, shift, True, cv2.SOLVEPNP_ITERATIVE
    )
    seen, _ = cv2.projectPoints(MEAN_FACE_M[used], turn, shift, matrix, None)
    error = float(np.sqrt(((seen[:, 0] - pixels) ** 2).sum(axis=1).mean()))
    rotation = cv2.Rodrigues(turn)[0]
    angles = angles_of(rotation)
    if corrected:
        angles += correction(landmarks.points_px, rotation, shift[:, 0])
        predicted = predicted_angles(landmarks)
        if predicted is not None:
            angles += PREDICTION_WEIGHT * (predicted - angles)
    yaw, pitch, roll = (float(angle) for angle in angles)
    return HeadPose(
        landmarks.stamp_ns,
        rotation_of(yaw, pitch, roll),
        shift[:, 0].astype(np.float32),
        yaw,
        pitch,
        roll,
        error,
    )


def correction(
    points_px: NDArray[np.floating],
    rotation: NDArray[np.floating],
    translation_m: NDArray[np.floating],
) -> NDArray[np.float64]:
    """What the turn of a rigid mean face misses: a face that talks or frowns is no rigid body.

    A linear reading of what is left after the face was turned to the front, fitted on the train
    clips (training/landmarks/fit/pose.py).

    Args:
        points_px: (98, 2).
        rotation: (3, 3) as PnP gave it.
        translation_m: (3,).

    Returns:
        (3,) yaw, pitch, roll to add [rad].
    """
    front = turn_to_front(points_px, rotation, translation_m)
    left_over = front - MEAN_FACE_M[:, :2] / EYE_SPAN_M
    angles = angles_of(rotation)
    turn = np.einsum('apc,pc->a', _OF_POINTS, left_over) + _OF_ANGLES @ angles + _BIAS
    return np.asarray(np.clip(turn, -_LARGEST_CORRECTION_RAD, _LARGEST_CORRECTION_RAD))


def predicted_angles(landmarks: Landmarks) -> NDArray[np.float64] | None:
    """The head angles that the landmark model predicts from the picture.

    A crop shows a head as it is turned against the ray to it. The prediction is taken as it
    comes all the same: adding the turn of the ray made it worse on the training people, because
    the labels hardly hold that turn (docs/landmarks.md).

    Args:
        landmarks: with predictions or without.

    Returns:
        (3,) yaw, pitch, roll [rad], or None without a prediction.
    """
    if landmarks.predictions is None:
        return None
    facing = landmarks.predictions[[CHANNELS.index(name) for name in HEAD_CHANNELS]]
    return facing.astype(np.float64) if np.isfinite(facing).all() else None


def _first_guess(
    points: NDArray[np.float64], camera: CameraModel
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A head that faces the camera, tilted as its eyes are, at the distance of its size."""
    eyes = points[72] - points[60]
    height = float(np.linalg.norm(points[16] - points[[60, 72]].mean(axis=0)))
    mean_height = float(np.linalg.norm(MEAN_FACE_M[16] - MEAN_FACE_M[[60, 72]].mean(axis=0)))
    px_per_m = max(float(np.linalg.norm(eyes)) / EYE_SPAN_M, height / mean_height, 1e-3)
    distance = camera.focal_px / px_per_m
    middle = points[[60, 64, 68, 72]].mean(axis=0)
    centre = np.array([(camera.width - 1) / 2, (camera.height - 1) / 2])
    shift = np.append((middle - centre) / px_per_m, distance)
    turn = np.array([0.0, 0.0, np.arctan2(eyes[1], eyes[0])])
    return turn[:, None], shift[:, None]
