"""A drawn robot face that moves like one: channel values in, picture out.

The head is an ellipsoid that turns with the head channels; brows, lids, eyes and mouth are
curves on its surface, so a turned head looks turned. The robot faces the viewer: its left is on
the right of the picture, as with a person in front of a camera.

Any robot file can be drawn: its joint positions become channels through the inverse of its
joint mapping. What a robot cannot move stays neutral in the picture.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS, FloatArray, Image
from kf_imitation.visualization.canvas import Canvas, Colour, Points, ellipse, inset, smooth

# BGR.
_SHELL: Colour = (226, 230, 234)
_SHELL_DARK: Colour = (158, 164, 172)
_JAW: Colour = (208, 213, 219)
_SEAM: Colour = (128, 134, 142)
_METAL: Colour = (104, 98, 92)
_METAL_DARK: Colour = (70, 64, 59)
_LID: Colour = (196, 200, 206)
_SOCKET: Colour = (120, 124, 132)
_EYEBALL: Colour = (250, 251, 252)
_IRIS: Colour = (168, 122, 38)
_IRIS_RIM: Colour = (110, 74, 18)
_PUPIL: Colour = (30, 24, 20)
_BROW: Colour = (66, 58, 54)
_LIP: Colour = (124, 116, 196)
_LIP_DARK: Colour = (92, 84, 156)
_MOUTH: Colour = (44, 32, 52)
_TEETH: Colour = (238, 242, 244)
_TONGUE: Colour = (112, 104, 184)
_ACCENT: Colour = (196, 168, 72)

# Radii of the head's ellipsoid and its place in the picture; the picture is 2 high.
_RADII = np.array([0.62, 0.70, 0.62])
_CENTRE = np.array([0.0, -0.06])
_EYE_X = 0.25
_EYE_Y = -0.09
_EYE_RADIUS = 0.122
_MOUTH_Y = 0.34
# At jaw_open 1.
_JAW_DROP = 0.20
# Lips part sooner than the chin sinks: talking opens the jaw by a fifth and shows an open mouth.
_LIPS_PART = 0.7


def draw_face(values: FloatArray, size_px: int = 480) -> Image:
    """Draw the robot face.

    Args:
        values: (19,) float32 in CHANNELS order; 0..1, angles in rad. Values outside are clipped.
        size_px: edge of the picture [px].

    Returns:
        (size_px, size_px, 3) uint8, BGR.
    """
    return _Face(values, size_px).draw()


class Avatar:
    """Draws one robot from its joint positions.

    Args:
        channels_of: the inverse of the robot's joint mapping: (J,) rad to (19,) channels.
        size_px: edge of the pictures [px].
    """

    def __init__(
        self, channels_of: Callable[[NDArray[np.float64]], FloatArray], size_px: int = 480
    ) -> None:
        self._channels_of = channels_of
        self._size_px = size_px

    def draw(self, position_rad: NDArray[np.float64]) -> Image:
        """Return the picture of a pose; (J,) rad in the order of the robot file."""
        return draw_face(self._channels_of(position_rad), self._size_px)


class _Face(Canvas):
    """One picture in the making; coordinates are in half picture heights, y down."""

    def __init__(self, values: FloatArray, size_px: int) -> None:
        given = dict(zip(CHANNELS, (float(v) for v in values), strict=True))
        self._unit = {name: min(max(value, 0.0), 1.0) for name, value in given.items()}
        self._angle = {name: min(max(value, -1.0), 1.0) for name, value in given.items()}
        super().__init__(size_px)
        self._rotation = _rotation(
            self._angle['head_yaw'], self._angle['head_pitch'], self._angle['head_roll']
        )

    def draw(self) -> Image:
        self._neck()
        self._ears()
        self._shell()
        for side, sign in (('left', 1.0), ('right', -1.0)):
            self._eye(side, sign)
            self._brow(side, sign)
        self._nose()
        self._mouth()
        return self.image

    def _neck(self) -> None:
        lean = self._rotation @ np.array([0.0, 0.5, 0.0])
        top = _CENTRE + lean[:2]
        shoulders = np.array([[-0.72, 1.2], [-0.60, 0.92], [-0.2, 0.83]])
        shoulders = np.vstack([shoulders, (shoulders * [-1, 1])[::-1]])
        self.fill(smooth(shoulders, closed=False), _METAL_DARK)
        for ratio in np.linspace(1.0, 0.0, 6):
            middle = top * (1 - ratio) + np.array([0.0, 0.86]) * ratio
            width = 0.20 + 0.04 * ratio
            ring = ellipse(middle, (width, 0.075), 60)
            self.fill(ring, _METAL if round(ratio * 5) % 2 else _METAL_DARK)

    def _ears(self) -> None:
        angle = np.linspace(0, 2 * np.pi, 40)
        for sign in (1.0, -1.0):
            for radius, colour, depth in (
                (0.19, _METAL_DARK, 1.20),
                (0.15, _METAL, 1.26),
                (0.07, _ACCENT, 1.30),
            ):
                circle = np.stack([0.02 + radius * np.sin(angle), radius * np.cos(angle)], axis=1)
                ends = [
                    np.column_stack([np.full(40, sign * _RADII[0] * ratio), circle])
                    for ratio in (0.8, depth)
                ]
                both = self._project(np.vstack(ends)).astype(np.float32)
                self.fill(cv2.convexHull(both)[:, 0].astype(np.float64), colour)

    def _shell(self) -> None:
        drop = _JAW_DROP * self._unit['jaw_open']
        angle = np.linspace(0, 2 * np.pi, 120)
        # A superellipse reads as a moulded shell rather than an egg.
        cosine, sine = np.cos(angle), np.sin(angle)
        outline = np.stack(
            [
                np.sign(cosine) * np.abs(cosine) ** 0.86 * _RADII[0],
                np.sign(sine) * np.abs(sine) ** 0.92 * _RADII[1],
            ],
            axis=1,
        )
        # The chin is narrower than the skull.
        outline[:, 0] *= 1 - 0.16 * np.clip(outline[:, 1] / _RADII[1], 0, 1) ** 1.5
        outline[:, 0] *= 1 + 0.03 * np.clip(-outline[:, 1] / _RADII[1], 0, 1)
        jaw = outline[outline[:, 1] > 0.20] * [0.94 - 0.6 * drop, 1.0] + [0.0, drop]
        self.fill(self._flat(jaw), _SHELL_DARK)
        self.shade(self._flat(inset(jaw, 0.985)), _JAW, 0.90, _CENTRE, _RADII)
        skull = outline.copy()
        cut = outline[:, 1] > 0.30
        skull[cut, 1] = 0.30 + (outline[cut, 1] - 0.30) * 0.80
        self.fill(self._flat(skull), _SHELL_DARK)
        self.shade(self._flat(inset(skull, 0.985)), _SHELL, 0.86, _CENTRE, _RADII)
        # Face plate: the seam around eyes and mouth, drawn on the curved surface.
        plate = np.stack(
            [
                np.sign(cosine) * np.abs(cosine) ** 0.75 * 0.45,
                np.sign(sine) * np.abs(sine) ** 0.80 * 0.50 + 0.06,
            ],
            axis=1,
        )
        plate[:, 0] *= 1 - 0.12 * np.clip(plate[:, 1] / 0.5, 0, 1)
        low = plate[:, 1] > 0.3
        plate[low, 1] += drop * (plate[low, 1] - 0.3) / 0.26
        self.line(self._surface(plate), _LID, 0.010, closed=True)
        mark = ellipse(np.array([0.0, -0.55]), (0.05, 0.018), 24)
        self.fill(self._surface(mark), _ACCENT)

    def _eye(self, side: str, sign: float) -> None:
        centre = np.array([sign * _EYE_X, _EYE_Y])
        closing, wide = self._unit[f'eye_close_{side}'], self._unit[f'eye_wide_{side}']
        smile = self._unit[f'mouth_smile_{side}']
        self.fill(
            self._surface(ellipse(centre, (_EYE_RADIUS * 1.38, _EYE_RADIUS * 1.28), 48)), _SOCKET
        )
        self.fill(
            self._surface(ellipse(centre, (_EYE_RADIUS * 1.28, _EYE_RADIUS * 1.18), 48)), _LID
        )
        # A smile lifts the lower lid; closing brings the upper lid down to it.
        lower = 0.72 - 0.30 * smile - 0.12 * closing
        open_upper = -0.80 - 0.26 * wide
        upper = open_upper + (lower - open_upper) * closing
        span = np.linspace(-1, 1, 30)
        arch = 1 - np.abs(span) ** 2.2
        width = _EYE_RADIUS * 1.22
        top = np.stack([span * width, upper * arch * _EYE_RADIUS], axis=1) + centre
        bottom = np.stack([span * width, lower * arch * _EYE_RADIUS], axis=1) + centre
        opening = self._surface(np.vstack([top, bottom[::-1]]))
        self.inside(opening, lambda: self._eyeball(centre))
        self.line(self._surface(top), _METAL_DARK, 0.020)
        self.line(self._surface(bottom), _SOCKET, 0.008)

    def _eyeball(self, centre: Points) -> None:
        self.fill(
            self._surface(ellipse(centre, (_EYE_RADIUS * 1.5, _EYE_RADIUS * 1.5), 40)), _EYEBALL
        )
        gaze = np.array([np.sin(self._angle['gaze_yaw']), -np.sin(self._angle['gaze_pitch'])])
        iris = centre + gaze * _EYE_RADIUS * 1.15
        for radius, colour in ((0.60, _IRIS_RIM), (0.52, _IRIS), (0.26, _PUPIL)):
            self.fill(
                self._surface(ellipse(iris, (radius * _EYE_RADIUS, radius * _EYE_RADIUS), 36)),
                colour,
            )
        glint = iris + np.array([0.20, -0.22]) * _EYE_RADIUS
        self.fill(
            self._surface(ellipse(glint, (0.13 * _EYE_RADIUS, 0.13 * _EYE_RADIUS), 20)), _EYEBALL
        )

    def _brow(self, side: str, sign: float) -> None:
        up = self._unit[f'brow_raise_{side}']
        down = self._unit['brow_lower']
        span = np.linspace(0, 1, 24)  # from the inner to the outer end
        x = _EYE_X - 0.115 + 0.26 * span - 0.035 * down * (1 - span)
        y = _EYE_Y - 0.205 - 0.045 * np.sin(np.pi * (0.15 + 0.7 * span))
        y += 0.02 * span
        y -= up * (0.105 + 0.02 * np.sin(np.pi * span))
        y += down * (0.085 * (1 - span) + 0.030)
        thickness = 0.030 * (1 - 0.45 * span) + 0.008
        upper = np.stack([sign * x, y - thickness], axis=1)
        lower = np.stack([sign * x, y + thickness], axis=1)
        self.fill(self._surface(np.vstack([upper, lower[::-1]])), _BROW)

    def _nose(self) -> None:
        bridge = np.array([[0.0, -0.06], [0.022, 0.08], [0.055, 0.165], [0.0, 0.195]])
        outline = np.vstack([bridge, (bridge * [-1, 1])[::-1]])
        points = self._surface(smooth(outline, closed=True), lift=1.10)
        self.fill(points, _LID)
        ridge = np.array([[0.0, -0.04], [0.0, 0.14]])
        self.line(self._surface(ridge, lift=1.12), _SHELL, 0.022)

    def _mouth(self) -> None:
        value = self._unit
        pucker, press, opening = value['mouth_pucker'], value['lip_press'], value['jaw_open']
        drop = _JAW_DROP * opening**_LIPS_PART
        span = np.linspace(-1, 1, 41)
        side = {
            sign: (value[f'mouth_smile_{name}'], value[f'mouth_frown_{name}'])
            for name, sign in (('left', 1), ('right', -1))
        }
        # The sides pass into each other, so that a mouth with two unlike corners has no step.
        left = np.clip(0.5 + span, 0, 1)
        smile = side[1][0] * left + side[-1][0] * (1 - left)
        frown = side[1][1] * left + side[-1][1] * (1 - left)
        reach = (0.205 + 0.065 * smile + 0.01 * frown) * (1 - 0.52 * pucker) * (1 - 0.10 * opening)
        x = span * reach
        corner = np.abs(span) ** 1.8
        middle = _MOUTH_Y + 0.25 * drop
        y = middle - corner * (0.105 * smile - 0.085 * frown) + 0.015 * (smile - frown)
        arch = np.clip(1 - np.abs(span) ** 2.4, 0, 1)
        gap_up = arch * (0.10 * drop + 0.028 * pucker * opening)
        gap_down = arch * (0.95 * drop)
        fullness = 0.030 * (1 - 0.75 * press) * (1 + 0.9 * pucker) * (1 - 0.25 * smile) + 0.004
        bow = 1 - 0.28 * np.exp(-((span / 0.16) ** 2))
        lip_top = np.stack([x, y - gap_up - fullness * arch * bow], axis=1)
        inner_top = np.stack([x, y - gap_up], axis=1)
        inner_low = np.stack([x, y + gap_down], axis=1)
        lip_low = np.stack([x, y + gap_down + 1.25 * fullness * arch], axis=1)
        lift = 1.0 + 0.06 * pucker
        self.fill(self._surface(np.vstack([lip_top, inner_top[::-1]]), lift), _LIP_DARK)
        self.fill(self._surface(np.vstack([inner_low, lip_low[::-1]]), lift), _LIP)
        inside = self._surface(np.vstack([inner_top, inner_low[::-1]]), lift)
        if drop > 0.004:
            self.inside(inside, lambda: self._mouth_inside(middle, drop, float(reach.mean())))
        self.line(self._surface(inner_top, lift), _LIP_DARK, 0.007)
        for sign in (1, -1):
            end = self._surface(np.array([[x[-1 if sign > 0 else 0], y[-1 if sign > 0 else 0]]]))
            self.fill(ellipse(end[0], (0.014, 0.014), 16), _LIP_DARK)

    def _mouth_inside(self, middle: float, drop: float, reach: float) -> None:
        whole = ellipse(np.array([0.0, middle]), (0.4, 0.5), 30)
        self.fill(self._surface(whole), _MOUTH)
        teeth = np.array([[-reach, -0.09], [reach, -0.09], [reach, 0.012], [-reach, 0.012]])
        teeth = teeth * [0.86, 1.0] + [0.0, middle]
        self.fill(self._surface(teeth), _TEETH)
        tongue = ellipse(np.array([0.0, middle + drop * 1.05]), (reach * 0.62, drop * 0.42), 30)
        self.fill(self._surface(tongue), _TONGUE)

    # Geometry: flat coordinates to the head's surface to the picture.

    def _surface(self, points: Points, lift: float = 1.0) -> Points:
        """Put flat face coordinates on the ellipsoid and turn them with the head."""
        ratio = np.clip((points / _RADII[:2]) ** 2, 0, 1).sum(axis=1)
        depth = -_RADII[2] * np.sqrt(np.clip(1 - ratio, 0.02, 1)) * lift
        return self._project(np.column_stack([points, depth]))

    def _project(self, points: Points) -> Points:
        turned = points @ self._rotation.T
        # A little perspective: 4 head heights away.
        nearer = 4.0 / (4.0 + turned[:, 2:3] + _RADII[2])
        projected: Points = turned[:, :2] * nearer + _CENTRE
        return projected

    def _flat(self, points: Points) -> Points:
        """Silhouettes do not turn with yaw and pitch, they lean with roll and shift a little."""
        roll = self._angle['head_roll']
        turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
        shift = np.array([0.05 * np.sin(self._angle['head_yaw']), 0.0])
        shift[1] = 0.05 * np.sin(self._angle['head_pitch'])
        moved: Points = points @ turn.T + _CENTRE + shift
        return moved


def _rotation(yaw: float, pitch: float, roll: float) -> Points:
    """Head angles to picture axes (x right, y down, z away from the viewer).

    Yaw > 0 turns the nose to the robot's left (picture right), pitch > 0 lowers it, roll > 0
    leans the top of the head to the robot's right (picture left).
    """
    cy, sy = np.cos(yaw), np.sin(yaw)
    cp, sp = np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    rotation: Points = about_z @ about_y @ about_x
    return rotation
