"""Head pose from 98 landmarks: the mean face seen through the camera (PnP).

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
from kf_imitation.face_geometry.mean_face import EYE_SPAN_M, MEAN_FACE_M, turn_to_front
from kf_imitation.face_geometry.rotation import angles_of, rotation_of
from kf_imitation.model_files import load_table

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
