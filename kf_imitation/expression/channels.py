"""Channels before calibration: a fixed mapping of the measured geometry, and how sure it is.

The geometry is free of scale and head pose: the points are turned to the front first, each along
its viewing ray to the depth that the mean face has there, in head axes. Then the paper's
theta = alpha * mean|p_i - q_i| over paired points and its relatives are measured in units of the
distance of the outer eye corners. A model that also predicts the expression from the picture
(Landmarks.predictions) refines it.
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
from kf_imitation.face_geometry import wflw
from kf_imitation.face_geometry.head_pose import turn_to_front
from kf_imitation.face_geometry.wflw import FLIP
from kf_imitation.model_files import load_table

Points = NDArray[np.float64]
Levels = NDArray[np.float64]  # values of channels

# Pairs whose mean distance is the paper's theta.
INNER_LIPS = ((89, 95), (90, 94), (91, 93))
LEFT_LIDS = ((69, 75), (70, 74), (71, 73))
RIGHT_LIDS = ((61, 67), (62, 66), (63, 65))
UPPER_LIP = ((78, 89), (79, 90), (80, 91))
LOWER_LIP = ((86, 95), (85, 94), (84, 93))

# What each feature is, for the side that is asked for ("own") and the other one.
FEATURES = (
    'lip_gap',  # mean |p - q| between the inner lips
    'lip_gap_side',  # own third of it against the other
    'chin',  # chin below the nose
    'lower_lip',  # lower lip's lower edge below the nose
    'upper_lip',  # upper lip's upper edge below the nose
    'mouth_width',
    'inner_width',
    'upper_thickness',  # mean |p - q| between outer and inner edge
    'lower_thickness',
    'corner_up',  # own corner above the middle of the lips
    'corner_up_other',
    'corner_drop',  # own corner below the nose
    'corner_drop_other',
    'corner_out',  # own corner from the middle of the face
    'corner_out_other',
    'lids',  # mean |p - q| between the lids over the eye's width
    'lids_other',
    'lids_least',  # the smallest of the three distances
    'upper_lid',  # upper lid above the line of the corners
    'upper_lid_other',
    'lower_lid',
    'lower_lid_other',
    'brow_inner',  # brow above the line of the eye corners: mean |p - q| brow-eye
    'brow_middle',
    'brow_outer',
    'brow_inner_other',
    'brow_middle_other',
    'brow_outer_other',
    'brow_gap',  # between the inner ends
    'nose_width',
    'nose_length',
    'pupil_x',  # own pupil from the middle of its eye, towards the own side
    'pupil_y',  # above the line of the corners
    'pupil_x_other',  # towards the own side too
    'pupil_y_other',
    'yaw',  # head angles, so that what turning leaves over can be taken off; to the own side
    'pitch',
    'roll',
    'yaw_squared',
    'pitch_squared',
)


def face_features(landmarks: Landmarks, pose: HeadPose) -> tuple[Points, Points]:
    """Measure a face, once from each side.

    Args:
        landmarks: in pixels.
        pose: solved from them.

    Returns:
        (len(FEATURES),) float64 with the person's left as the own side, and of the mirrored face.
    """
    points = turn_to_front(landmarks.points_px, pose.rotation, pose.translation_m)
    yaw, pitch, roll = pose.yaw_rad, pose.pitch_rad, pose.roll_rad
    left = side_features(points, yaw, pitch, roll)
    right = side_features(points[FLIP] * [-1.0, 1.0], -yaw, pitch, -roll)
    return left, right


def side_features(points: Points, yaw: float, pitch: float, roll: float) -> Points:
    """Features with the person's left side as the own side; mirror the points for the right.

    Args:
        points: (98, 2) as turn_to_front gives them.
        yaw: [rad], positive to the own side.
        pitch: [rad], positive down.
        roll: [rad], positive to the other side.

    Returns:
        (len(FEATURES),) float64.
    """
    p = points
    nose = p[57]
    lips = (p[90] + p[94]) / 2
    own = _eye(p, (68, 72), LEFT_LIDS, 97, (70, 74))
    other = _eye(p, (60, 64), RIGHT_LIDS, 96, (62, 66))
    return np.array(
        [
            _theta(p, INNER_LIPS),
            _length(p, 91, 93) - _length(p, 89, 95),
            p[16, 1] - nose[1],
            p[85, 1] - nose[1],
            p[79, 1] - nose[1],
            _length(p, 76, 82),
            _length(p, 88, 92),
            _theta(p, UPPER_LIP),
            _theta(p, LOWER_LIP),
            lips[1] - p[82, 1],
            lips[1] - p[76, 1],
            p[82, 1] - nose[1],
            p[76, 1] - nose[1],
            p[82, 0] - nose[0],
            nose[0] - p[76, 0],
            own['lids'],
            other['lids'],
            own['least'],
            own['upper'],
            other['upper'],
            own['lower'],
            other['lower'],
            *_brow(p, (68, 72), ((42, 50), (44, 48, 49), (46, 47))),
            *_brow(p, (64, 60), ((37, 38), (35, 39, 40), (33, 41))),
            p[42, 0] - p[37, 0],
            _length(p, 55, 59),
            p[57, 1] - p[51, 1],
            own['x'],
            own['y'],
            other['x'],
            other['y'],
            yaw,
            pitch,
            roll,
            yaw * yaw,
            pitch * pitch,
        ]
    )


def _length(p: Points, a: int, b: int) -> float:
    return float(np.hypot(*(p[a] - p[b])))


def _theta(p: Points, pairs: tuple[tuple[int, int], ...]) -> float:
    """The paper's mean |p_i - q_i| over paired points."""
    a, b = np.array(pairs).T
    return float(np.linalg.norm(p[a] - p[b], axis=1).mean())


def _eye(
    p: Points,
    corners: tuple[int, int],
    lids: tuple[tuple[int, int], ...],
    pupil: int,
    middle: tuple[int, int],
) -> dict[str, float]:
    """One eye in its own frame: x along the corners to the person's left, y up."""
    along = p[corners[1]] - p[corners[0]]
    width = max(float(np.hypot(*along)), 1e-6)
    along = along / width
    up = np.array([along[1], -along[0]])
    centre = (p[corners[0]] + p[corners[1]]) / 2
    upper, lower = (float((p[m] - centre) @ up) / width for m in middle)
    gaps = [_length(p, a, b) / width for a, b in lids]
    gaze = p[pupil] - centre
    return {
        'lids': float(np.mean(gaps)),
        'least': min(gaps),
        'upper': upper,
        'lower': -lower,
        'x': float(gaze @ along) / width,
        'y': float(gaze @ up) / width,
    }


def _brow(p: Points, corners: tuple[int, int], groups: tuple[tuple[int, ...], ...]) -> list[float]:
    """Heights of inner, middle and outer brow over the line of the eye corners."""
    inner, outer = p[corners[0]], p[corners[1]]
    along = outer - inner
    along = along / max(float(np.hypot(*along)), 1e-6)
    up = np.array([along[1], -along[0]]) * (1.0 if along[0] > 0 else -1.0)
    return [float(((p[list(g)].mean(axis=0)) - inner) @ up) for g in groups]


# What was fitted (channel_*.yaml in models/), by channel without side.
_MAPPING = load_table('channel_mapping')
_SIZE = load_table('channel_size')
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


def size_levels(level: str, of_angles: float = 0.0) -> NDArray[np.float64]:
    """A level of the sizes, for example `typical`, by channel: (19,) in CHANNELS order."""
    return np.array(
        [of_angles if c in ANGLE_CHANNELS else _SIZE[_side_of(c)[0]][level] for c in CHANNELS]
    )


def rest_levels() -> NDArray[np.float64]:
    """Return the raw channels of most faces at rest: (19,)."""
    return np.array([_SIZE[_side_of(c)[0]]['rest'] for c in CHANNELS])


def full_levels() -> NDArray[np.float64]:
    """Return the raw channels of full expressions: (19,); of angles 1 rad."""
    return np.array(
        [1.0 if c in ANGLE_CHANNELS else _SIZE[_side_of(c)[0]]['raw'][-1] for c in CHANNELS]
    )


def true_size(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what raw channels are worth on most faces: 0..1, angles in rad.

    Args:
        raw: (19,) from raw_channels, angles without those at rest.

    Returns:
        (19,) float64; never less for more.
    """
    values = np.empty(len(CHANNELS))
    for row, channel in enumerate(CHANNELS):
        found = _SIZE[_side_of(channel)[0]]
        if channel in ANGLE_CHANNELS:
            values[row] = found['gain'] * raw[row]
        else:
            values[row] = np.interp(raw[row], found['raw'], found['value'])
    return values


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
