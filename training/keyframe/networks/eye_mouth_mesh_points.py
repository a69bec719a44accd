"""The points of the teacher's mesh that lie in the patches of eyes and mouth.

Read from eye_mouth_mesh_points.csv, which `python -m training.keyframe.measure.choose_mesh` wrote.
Trained weights belong to the table they were trained with.
"""

import csv
from pathlib import Path

import numpy as np

TABLE = Path(__file__).with_name('eye_mouth_mesh_points.csv')

with TABLE.open() as file:
    _rows = list(csv.DictReader(file))
_eye = [row for row in _rows if row['part'] == 'eye']
_mouth = [row for row in _rows if row['part'] == 'mouth']
# Indices in the mesh: of the right eye with iris and brow, the left one's in the same order, and
# of the mouth and what is around it.
RIGHT_EYE = [int(row['point']) for row in _eye]
LEFT_EYE = [int(row['mirrored']) for row in _eye]
MOUTH = [int(row['point']) for row in _mouth]
# All points, right eye, left eye, mouth, and the order that exchanges left and right.
POINTS = RIGHT_EYE + LEFT_EYE + MOUTH
MIRRORED = [
    POINTS.index(i) for i in LEFT_EYE + RIGHT_EYE + [int(row['mirrored']) for row in _mouth]
]
# Where the points of a part are in POINTS: right eye, left eye, mouth.
PARTS = (
    slice(0, len(RIGHT_EYE)),
    slice(len(RIGHT_EYE), 2 * len(RIGHT_EYE)),
    slice(2 * len(RIGHT_EYE), len(POINTS)),
)
# Corners among the points of an eye (outer, inner) and of the mouth (right, left).
EYE_CORNERS = (RIGHT_EYE.index(33), RIGHT_EYE.index(133))
MOUTH_CORNERS = (MOUTH.index(61), MOUTH.index(291))


def usual_places(part: str) -> np.ndarray:
    """Return (P, 2) float32 usual places of 'eye' or 'mouth' points in their patch.

    From its middle, fractions of its width.
    """
    rows = {'eye': _eye, 'mouth': _mouth}[part]
    return np.array([[row['x'], row['y']] for row in rows], np.float32)
