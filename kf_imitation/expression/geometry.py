"""Distances on a face that are free of scale and head pose.

The points are turned to the front first: each goes along its viewing ray to the depth that the
mean face has there, in head axes. Then the paper's theta = alpha * mean|p_i - q_i| over paired
points and its relatives are measured in units of the distance of the outer eye corners.
"""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import HeadPose, Landmarks
from kf_imitation.face_geometry.mean_face import turn_to_front
from kf_imitation.face_geometry.wflw import FLIP

Points = NDArray[np.float64]

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
