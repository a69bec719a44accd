"""Twelve expressions of the drawn face at three strengths: does every one show at every size?"""

from collections.abc import Mapping

import numpy as np

from kf_imitation.data_types import CHANNELS, FloatArray, Image
from kf_imitation.visualization.avatar import draw_face
from kf_imitation.visualization.drawing import label

SMILE = {'mouth_smile_left': 1.0, 'mouth_smile_right': 1.0}
FROWN = {'mouth_frown_left': 1.0, 'mouth_frown_right': 1.0}
RAISED = {'brow_raise_left': 1.0, 'brow_raise_right': 1.0}
WIDE = {'eye_wide_left': 1.0, 'eye_wide_right': 1.0}
CLOSED = {'eye_close_left': 1.0, 'eye_close_right': 1.0}
EXPRESSIONS: Mapping[str, Mapping[str, float]] = {
    'smile': SMILE,
    'laugh': {**SMILE, **CLOSED, 'jaw_open': 0.8},
    'open mouth': {'jaw_open': 1},
    'pucker': {'mouth_pucker': 1},
    'frown': FROWN,
    'anger': {'brow_lower': 1, 'lip_press': 1},
    'brows raised': RAISED,
    'wide eyes': WIDE,
    'surprise': {**RAISED, **WIDE, 'jaw_open': 0.8},
    'eyes closed': CLOSED,
    'wink': {'eye_close_left': 1, 'mouth_smile_left': 0.6},
    'gaze aside': {'gaze_yaw': 0.5, 'gaze_pitch': 0.15},
}
STRENGTHS = (0.3, 0.6, 1.0)


def channels(expression: Mapping[str, float], strength: float = 1.0) -> FloatArray:
    """Return an expression by channel names as (19,) float32, at a strength."""
    row = [strength * expression.get(channel, 0.0) for channel in CHANNELS]
    return np.array(row, np.float32)


def grid(size_px: int = 160) -> Image:
    """Return the picture: two bands with a column per expression, a row per strength.

    Args:
        size_px: edge of a face [px].
    """
    columns = []
    for name, expression in EXPRESSIONS.items():
        faces = [draw_face(channels(expression, strength), size_px) for strength in STRENGTHS]
        label(faces[0], name, (6, 14), scale=0.42)
        columns.append(np.vstack(faces))
    half = len(columns) // 2
    return np.vstack([np.hstack(columns[:half]), np.hstack(columns[half:])])
