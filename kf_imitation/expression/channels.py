"""Channels before calibration: a fixed mapping of the measured geometry, and how sure it is.

A model that also predicts the expression from the picture (Landmarks.predictions) refines it.
"""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import (
    ANGLE_CHANNELS,
    CHANNELS,
    HEAD_CHANNELS,
    HeadPose,
    Landmarks,
)
from kf_imitation.expression.geometry import FEATURES, face_features
from kf_imitation.face_geometry import wflw
from kf_imitation.model_files import load_table

# What was fitted (models/channel_mapping.yaml, channel_turning.yaml), by channel without side.
_MAPPING = load_table('channel_mapping')
_TURNING = load_table('channel_turning')
# How much a model's own prediction counts against the geometry of its points, chosen on
# held-out training people (training/landmarks/fit/blend_weights.py). Models without predictions
# have the geometry alone.
PREDICTION_WEIGHT = {
    'jaw_open': 0.3,
    'mouth_smile': 0.7,
    'mouth_frown': 0.3,
    'mouth_pucker': 0.7,
    'lip_press': 0.8,
    'eye_close': 0.3,
    'eye_wide': 0.7,
    'brow_raise': 0.6,
    'brow_lower': 0.7,
    'gaze_yaw': 0.7,
    'gaze_pitch': 0.3,
}
# Channels that a turning head moves although the face keeps still, and how far the fit reaches.
TURNED = ('mouth_smile', 'eye_close', 'brow_raise')
_FARTHEST_YAW_RAD, _FARTHEST_PITCH_RAD = 0.7, 0.35
_LIPS = (*wflw.OUTER_LIP, *wflw.INNER_LIP)
_LEFT_GAZE = (*wflw.LEFT_EYE, wflw.LEFT_PUPIL)
_RIGHT_GAZE = (*wflw.RIGHT_EYE, wflw.RIGHT_PUPIL)
_BASIS = (*wflw.NOSE, 60, 64, 68, 72)

# The points a channel is read from; its confidence is the mean of theirs.
SOURCES: dict[str, tuple[int, ...]] = {
    'jaw_open': _LIPS,
    'mouth_smile_left': _LIPS,
    'mouth_smile_right': _LIPS,
    'mouth_frown_left': _LIPS,
    'mouth_frown_right': _LIPS,
    'mouth_pucker': _LIPS,
    'lip_press': _LIPS,
    'eye_close_left': wflw.LEFT_EYE,
    'eye_close_right': wflw.RIGHT_EYE,
    'eye_wide_left': wflw.LEFT_EYE,
    'eye_wide_right': wflw.RIGHT_EYE,
    'brow_raise_left': wflw.LEFT_BROW,
    'brow_raise_right': wflw.RIGHT_BROW,
    'brow_lower': (*wflw.LEFT_BROW, *wflw.RIGHT_BROW),
    'gaze_yaw': (*_LEFT_GAZE, *_RIGHT_GAZE),
    'gaze_pitch': (*_LEFT_GAZE, *_RIGHT_GAZE),
    'head_yaw': _BASIS,
    'head_pitch': _BASIS,
    'head_roll': _BASIS,
}


def _side_of(channel: str) -> tuple[str, str]:
    """Split a channel into its base name and '', 'left' or 'right'."""
    for side in ('left', 'right'):
        if channel.endswith(f'_{side}'):
            return channel.removesuffix(f'_{side}'), side
    return channel, ''


def _weight_rows() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weights on the left features, on the right features, and the bias, per channel."""
    left = np.zeros((len(CHANNELS), len(FEATURES)))
    right = np.zeros_like(left)
    bias = np.zeros(len(CHANNELS))
    for row, channel in enumerate(CHANNELS):
        if channel in HEAD_CHANNELS:
            continue
        base, side = _side_of(channel)
        weights = np.zeros(len(FEATURES))
        for feature, weight in _MAPPING[base]['weights'].items():
            weights[FEATURES.index(feature)] = weight
        odd = _MAPPING[base]['odd']
        bias[row] = 0.0 if odd else _MAPPING[base]['bias']
        if side:
            (left if side == 'left' else right)[row] = weights
        else:
            left[row] = weights / 2
            right[row] = (-weights if odd else weights) / 2
    return left, right, bias


def fitted_levels(level: str, of_angles: float = 0.0) -> NDArray[np.float64]:
    """A level of the mapping, for example `rest`, by channel: (19,) in CHANNELS order."""
    return np.array(
        [of_angles if c in ANGLE_CHANNELS else _MAPPING[_side_of(c)[0]][level] for c in CHANNELS]
    )


_LEFT, _RIGHT, _BIAS = _weight_rows()
_POINT_WEIGHT = np.zeros((len(CHANNELS), 98))
for _row, _channel in enumerate(CHANNELS):
    _POINT_WEIGHT[_row, list(SOURCES[_channel])] = 1 / len(SOURCES[_channel])
_PREDICTION_WEIGHT = np.array([PREDICTION_WEIGHT.get(_side_of(c)[0], 0.0) for c in CHANNELS])
IS_ANGLE = np.array([c in ANGLE_CHANNELS for c in CHANNELS])


def turn_features(yaw_rad: float, pitch_rad: float) -> NDArray[np.float64]:
    """What the weights of turning are for: (4,), yaw positive to the channel's own side."""
    yaw = float(np.clip(yaw_rad, -_FARTHEST_YAW_RAD, _FARTHEST_YAW_RAD))
    pitch = float(np.clip(pitch_rad, -_FARTHEST_PITCH_RAD, _FARTHEST_PITCH_RAD))
    return np.array([yaw, yaw * yaw, pitch, pitch * pitch])


def _turning(pose: HeadPose) -> NDArray[np.float64]:
    """(19,) raw units that the turn of the head adds to a face that keeps still."""
    added = np.zeros(len(CHANNELS))
    for side, sign in (('left', 1.0), ('right', -1.0)):
        features = turn_features(sign * pose.yaw_rad, pose.pitch_rad)
        for base in TURNED:
            added[CHANNELS.index(f'{base}_{side}')] = features @ _TURNING[base]
    return added


def raw_channels(
    landmarks: Landmarks, pose: HeadPose, *, turning: bool = True
) -> NDArray[np.float64]:
    """Read the channels of a face before calibration.

    Args:
        landmarks: in pixels.
        pose: solved from them.
        turning: take off what turning the head adds; False only to measure that.

    Returns:
        (19,) float64 in CHANNELS order: unit channels before the sigmoid (Calibration.apply turns
        them into 0..1), angles in rad.
    """
    left, right = face_features(landmarks, pose)
    raw = _LEFT @ left + _RIGHT @ right + _BIAS
    if landmarks.predictions is not None:
        difference = landmarks.predictions - raw
        raw += _PREDICTION_WEIGHT * np.where(np.isfinite(difference), difference, 0.0)
    if turning:
        raw -= _turning(pose)
    raw[[CHANNELS.index(name) for name in HEAD_CHANNELS]] = (
        pose.yaw_rad,
        pose.pitch_rad,
        pose.roll_rad,
    )
    return raw


def channel_confidence(landmarks: Landmarks) -> NDArray[np.float32]:
    """How sure each channel is: (19,) float32, the mean confidence of its points."""
    return (_POINT_WEIGHT @ landmarks.confidence).astype(np.float32)
