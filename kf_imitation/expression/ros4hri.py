"""A face in the conventions of ROS4HRI (REP-155): action units, 70 landmarks, frames."""

from dataclasses import replace

import numpy as np

from kf_imitation.data_types import (
    CHANNELS,
    CameraModel,
    Expression,
    FaceRegion,
    FloatArray,
    HeadPose,
    Landmarks,
)
from kf_imitation.face_geometry import wflw

ACTION_UNITS = 99
FULL_RAD = np.pi / 4  # an angle that counts as intensity 1
# iBUG's 68 points, then the pupils.
_POINTS = wflw.weight_matrix((*wflw.IBUG68, ((96, 1.0),), ((97, 1.0),)), 98)
# Axes of the face (x out of it, y left, z up) in those of HeadPose, in columns.
_FACE = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]], np.float32)
# Action unit: the channels whose mean it is; with a sign, angles of that sign. Our channels do
# not tell apart all units: what is not named here has confidence 0.
_UNITS: dict[int, tuple[str, ...]] = {
    1: ('brow_raise_left', 'brow_raise_right'),
    2: ('brow_raise_left', 'brow_raise_right'),
    4: ('brow_lower',),
    5: ('eye_wide_left', 'eye_wide_right'),
    12: ('mouth_smile_left', 'mouth_smile_right'),
    15: ('mouth_frown_left', 'mouth_frown_right'),
    18: ('mouth_pucker',),
    24: ('lip_press',),
    26: ('jaw_open',),
    43: ('eye_close_left', 'eye_close_right'),
    51: ('+head_yaw',),
    52: ('-head_yaw',),
    53: ('-head_pitch',),
    54: ('+head_pitch',),
    55: ('-head_roll',),
    56: ('+head_roll',),
    61: ('+gaze_yaw',),
    62: ('-gaze_yaw',),
    63: ('+gaze_pitch',),
    64: ('-gaze_pitch',),
}


def action_units(expression: Expression) -> tuple[FloatArray, FloatArray]:
    """Return intensity and confidence of every action unit by its code, both (99,), 0..1."""
    both = zip(expression.values.tolist(), expression.confidence.tolist(), strict=True)
    channels = dict(zip(CHANNELS, both, strict=True))
    intensity, confidence = np.zeros((2, ACTION_UNITS), np.float32)
    for unit, names in _UNITS.items():
        values, sure = np.array([channels[name.lstrip('+-')] for name in names]).T
        if names[0][0] in '+-':
            values = values * float(f'{names[0][0]}1') / FULL_RAD
        intensity[unit], confidence[unit] = values.mean().clip(0, 1), sure.min()
    return intensity, confidence


def facial_landmarks(landmarks: Landmarks, camera: CameraModel) -> FloatArray:
    """Return (70, 3) float32: x and y as fractions of the image, confidence."""
    points = _POINTS @ landmarks.points_px / (camera.width, camera.height)
    return np.column_stack([points.clip(0, 1), _POINTS @ landmarks.confidence]).astype(np.float32)


def region_of_interest(region: FaceRegion, camera: CameraModel) -> FloatArray:
    """Return (4,) float32: left, upper, right and lower edge as fractions of the image."""
    corners = np.add([region.x, region.y], [[0.0], [region.size]])
    size = (camera.width, camera.height)
    return np.asarray((corners / size).clip(0, 1).ravel(), np.float32)


def face_pose(pose: HeadPose) -> HeadPose:
    """Return the pose with the axes of REP-103 on the face: x out of it, y to its left, z up."""
    return replace(pose, rotation=pose.rotation @ _FACE)


def gaze_pose(pose: HeadPose, expression: Expression) -> HeadPose:
    """Return the gaze in the frame of the face; z looks along it, x to its right, y down."""
    channels = dict(zip(CHANNELS, expression.values.tolist(), strict=True))
    yaw, pitch = channels['gaze_yaw'], channels['gaze_pitch']
    left = np.array([-np.sin(yaw), np.cos(yaw), 0])
    along = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    rotation = np.column_stack([-left, np.cross(left, along), along]).astype(np.float32)
    return replace(pose, rotation=rotation, translation_m=np.zeros(3, np.float32))
