"""The outlines of the drawn face: what each channel does to lids, brows and mouth.

Flat coordinates as if the face were unrolled: x right in the picture, y down, in half picture
heights, (0, 0) between the eyes and the mouth. `avatar.py` bends them around the head and paints.
The robot faces the viewer: its left is on the right of the picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kf_imitation.face_geometry.apertures import way_share
from kf_imitation.visualization.canvas import Points, capsule

SIDES = {'left': 1.0, 'right': -1.0}
EYE_X, EYE_Y = 0.268, -0.075
EYE_HALF = np.array([0.166, 0.176])
IRIS_RADIUS = 0.100
MOUTH_Y = 0.365
# Heights of the lids' middles in half heights of the eye, negative above its middle.
_UPPER_LID, _UPPER_WIDE, _LOWER_LID = -0.66, -1.12, 0.70
_LIDS_MEET = 0.36  # where a lid closes without a smile
_MOUTH_HALF = 0.195
_LIP = 0.025  # half the thickness of a lip at rest
_OPENING = 0.37  # between the lips at jaw_open 1
_POINTS = 41


@dataclass(frozen=True, slots=True)
class EyeShape:
    """One eye.

    Attributes:
        socket: (n, 2) outline of all that lids can uncover.
        upper: (n, 2) edge of the upper lid, from picture left to right.
        lower: (n, 2) edge of the lower lid, likewise; never above the upper one.
        iris: (2,) its middle.
    """

    socket: Points
    upper: Points
    lower: Points
    iris: Points

    @property
    def opening(self) -> float:
        """The widest distance between the lids, 0 when they are closed."""
        return float((self.lower[:, 1] - self.upper[:, 1]).max())


@dataclass(frozen=True, slots=True)
class MouthShape:
    """The mouth.

    Attributes:
        upper: (n, 2) inner edge of the upper lip, from picture left to right.
        lower: (n, 2) inner edge of the lower lip; never above the upper one.
        thickness: of either lip, half of it beyond its edge.
        opening: distance of the lips amidst.
        drop: how far the chin has sunk.
    """

    upper: Points
    lower: Points
    thickness: float
    opening: float
    drop: float


def eye(values: Mapping[str, float], side: str) -> EyeShape:
    """Return an eye.

    Args:
        values: by channel; unit channels in 0..1, gaze in rad.
        side: 'left' or 'right', the robot's own.
    """
    centre = np.array([SIDES[side] * EYE_X, EYE_Y])
    smile = values[f'mouth_smile_{side}']
    closed = way_share(f'eye_close_{side}', values[f'eye_close_{side}'])
    frown = values['brow_lower']
    # A smile pushes the lower lid up, and lids that close over it meet in a bow upwards.
    low = _LOWER_LID - 0.34 * smile - 0.08 * frown
    high = _UPPER_LID + (_UPPER_WIDE - _UPPER_LID) * values[f'eye_wide_{side}'] + 0.16 * frown
    meet = _LIDS_MEET - 0.86 * smile
    high, low = high + (meet - high) * closed, low + (meet - low) * closed
    span = np.linspace(-1, 1, _POINTS)
    arch = (1 - np.abs(span) ** 2.2) ** 0.62

    def edge(height: float) -> Points:
        points: Points = centre + np.stack([span, height * arch], axis=1) * EYE_HALF
        return points

    gaze = np.array([np.sin(values['gaze_yaw']), -np.sin(values['gaze_pitch'])])
    iris = centre + gaze * 0.165
    socket = np.vstack([edge(_UPPER_WIDE - 0.04), edge(_LOWER_LID + 0.16)[::-1]])
    return EyeShape(socket, edge(high), edge(low), iris)


def brow(values: Mapping[str, float], side: str) -> Points:
    """Return the outline of a brow, (n, 2); values and side as for `eye`."""
    up, down = values[f'brow_raise_{side}'], values['brow_lower']
    span = np.linspace(0, 1, 24)  # from the inner to the outer end
    x = EYE_X - 0.125 + 0.275 * span - 0.045 * down * (1 - span)
    y = EYE_Y - 0.262 - (0.040 + 0.030 * up) * np.sin(np.pi * (0.12 + 0.80 * span))
    y -= 0.145 * up
    y += down * (0.150 * (1 - span) ** 1.2 + 0.020)
    half = 0.031 - 0.012 * span
    return capsule(np.stack([SIDES[side] * x, y], axis=1), half)


def mouth(values: Mapping[str, float]) -> MouthShape:
    """Return the mouth; values as for `eye`."""
    pucker, press, jaw = values['mouth_pucker'], values['lip_press'], values['jaw_open']
    span = np.linspace(-1, 1, _POINTS)
    # The sides pass into each other, so that a mouth with two unlike corners has no step.
    left = np.clip(0.5 + span, 0, 1)
    smile = values['mouth_smile_left'] * left + values['mouth_smile_right'] * (1 - left)
    frown = values['mouth_frown_left'] * left + values['mouth_frown_right'] * (1 - left)
    laugh = smile * jaw
    reach = (_MOUTH_HALF + 0.100 * smile + 0.015 * frown) * (1 - 0.70 * pucker)
    reach *= 1 - 0.22 * jaw * (1 - smile)
    corner = np.abs(span) ** 2 * (1 - 0.85 * pucker)
    base = MOUTH_Y + 0.050 * smile - 0.045 * frown - 0.085 * laugh
    base -= corner * (0.185 * smile - 0.155 * frown - 0.090 * laugh)
    base -= 0.012 * corner  # friendly at rest
    gap = _OPENING * way_share('jaw_open', jaw) * (1 - 0.25 * pucker)
    gap += 0.112 * pucker * (1 - min(1.0, jaw * 4))
    arch = np.sqrt(1 - span**2)
    share = 0.5 * pucker + (0.26 - 0.22 * smile) * (1 - pucker)  # of the upper lip
    upper = base - arch * gap * share
    lower = upper + arch * gap
    thickness = _LIP * (1 - 0.68 * press) * (1 + 0.45 * pucker) * (1 - 0.20 * jaw)
    x = span * reach * (1 + 0.26 * press)
    return MouthShape(
        np.stack([x, upper], axis=1),
        np.stack([x, lower], axis=1),
        thickness,
        float(gap),
        0.125 * jaw,
    )
