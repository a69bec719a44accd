"""A drawn robot face that moves like one: channel values in, picture out.

The head is an ellipsoid that turns with the head channels; brows, lids, eyes and mouth are
curves on its surface (`face_shape.py`), so a turned head looks turned. The robot faces the
viewer: its left is on the right of the picture, as with a person in front of a camera.

Any robot file can be drawn: its joint positions become channels through the inverse of its
joint mapping. What a robot cannot move stays neutral in the picture.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS, HEAD_CHANNELS, UNIT_CHANNELS, FloatArray, Image
from kf_imitation.visualization import face_shape
from kf_imitation.visualization.canvas import (
    Canvas,
    Colour,
    Paint,
    Points,
    ellipse,
    lowered,
)
from kf_imitation.visualization.face_shape import SIDES, EyeShape, MouthShape
from kf_imitation.visualization.strokes import Strokes

# BGR.
_SHELL: Colour = (250, 250, 252)
_CREASE: Colour = (176, 168, 166)
_SHADOW: Colour = (128, 112, 108)
_DARK: Colour = (74, 62, 56)
_DARKER: Colour = (54, 44, 40)
_LID: Colour = (232, 224, 218)
_EYEBALL: Colour = (253, 253, 253)
_EYEBALL_SHADE: Colour = (226, 218, 212)
_IRIS: Colour = (196, 142, 30)
_IRIS_RIM: Colour = (120, 78, 14)
_IRIS_LIGHT: Colour = (226, 190, 84)
_PUPIL: Colour = (34, 24, 18)
_BROW: Colour = (72, 56, 50)
_LIP: Colour = (112, 100, 222)
_LIP_LIGHT: Colour = (140, 130, 236)
_MOUTH: Colour = (52, 28, 70)
_TEETH: Colour = (250, 252, 252)
_TONGUE: Colour = (128, 112, 232)
_BLUSH: Colour = (158, 150, 250)
_ACCENT: Colour = (214, 186, 60)
_CAP: Colour = (206, 184, 92)

# Radii of the head's ellipsoid and its place in the picture; the picture is 2 high.
_RADII = np.array([0.64, 0.72, 0.64])
_CENTRE = np.array([0.0, -0.06])
_SCALE = 1.09


def draw_face(values: FloatArray, size_px: int = 480) -> Image:
    """Draw the robot face.

    Args:
        values: (19,) float32 in CHANNELS order; 0..1, angles in rad. Values outside are clipped.
        size_px: edge of the picture [px].

    Returns:
        (size_px, size_px, 3) uint8, BGR.
    """
    canvas = Canvas(size_px)
    _Face(values, canvas).draw()
    return canvas.picture()


def face_strokes(values: FloatArray) -> tuple[list[list[Any]], bytes]:
    """Return the same face for a page that paints it itself; values as for `draw_face`.

    Returns:
        Strokes and their points, as in `Strokes`.
    """
    strokes = Strokes()
    _Face(values, strokes).draw()
    return strokes.strokes, strokes.points()


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


class _Face:
    """One picture in the making; coordinates are in half picture heights, y down."""

    def __init__(self, values: FloatArray, paint: Paint) -> None:
        self._paint = paint
        self._values = {
            name: min(max(float(value), 0.0 if name in UNIT_CHANNELS else -1.0), 1.0)
            for name, value in zip(CHANNELS, values, strict=True)
        }
        self._rotation = _rotation(*(self._values[name] for name in HEAD_CHANNELS))
        self._mouth = face_shape.mouth(self._values)

    def draw(self) -> None:
        eyes = {side: face_shape.eye(self._values, side) for side in SIDES}
        self._neck()
        # An ear that turns towards the viewer is in front of the shell.
        front = [sign for sign in SIDES.values() if sign * self._values['head_yaw'] < -0.15]
        for sign in SIDES.values():
            if sign not in front:
                self._ear(sign)
        self._shell()
        for sign in front:
            self._ear(sign)
        self._cheeks()
        self._nose()
        for side, shape in eyes.items():
            self._eye(shape)
            self._paint.fill(self._surface(face_shape.brow(self._values, side), 1.03), _BROW)
        self._lips(self._mouth)

    def _neck(self) -> None:
        lean = self._rotation @ np.array([0.0, 0.5, 0.0])
        top = _CENTRE + lean[:2]
        span = np.linspace(-1, 1, 40)
        shoulders = np.stack([0.80 * span, 0.86 + 0.26 * np.abs(span) ** 2.4], axis=1)
        self._paint.fill(np.vstack([shoulders, [[0.8, 1.4], [-0.8, 1.4]]]), _DARK)
        for ratio in np.linspace(1.0, 0.0, 7):
            middle = top * (1 - ratio) + np.array([0.0, 0.90]) * ratio
            ring = ellipse(middle, (0.20 + 0.03 * ratio, 0.070))
            self._paint.fill(ring, _DARK if round(ratio * 6) % 2 else _DARKER)

    def _ear(self, sign: float) -> None:
        angle = np.linspace(0, 2 * np.pi, 40)
        for radius, colour, depth in (
            (0.190, _DARK, 1.30),
            (0.150, _ACCENT, 1.345),
            (0.110, _DARK, 1.37),
        ):
            circle = np.stack([radius * np.sin(angle) + 0.02, radius * np.cos(angle)], axis=1)
            ends = [
                np.column_stack([np.full(40, sign * _RADII[0] * ratio), circle])
                for ratio in (0.85, depth)
            ]
            both = self._project(np.vstack(ends)).astype(np.float32)
            self._paint.fill(cv2.convexHull(both)[:, 0].astype(np.float64), colour)

    def _shell(self) -> None:
        angle = np.linspace(0, 2 * np.pi, 160)
        cosine, sine = np.cos(angle), np.sin(angle)
        # A superellipse reads as a moulded shell rather than an egg.
        outline = np.sign([cosine, sine]) * np.abs([cosine, sine]) ** 0.80
        outline = outline.T * _RADII[:2]
        low = np.clip(outline[:, 1] / _RADII[1], 0, 1)
        outline[:, 0] *= 1 - 0.12 * low**1.6  # the chin is narrower than the skull
        outline[:, 1] += self._mouth.drop * low**1.2
        shell = self._flat(outline)
        self._paint.lit(shell, _SHELL, _CENTRE, _RADII[:2] * 1.15)
        self._paint.inside(shell, self._cap)
        self._paint.line(shell, _CREASE, 0.008, closed=True)

    def _cap(self) -> None:
        span = np.linspace(-1, 1, 60)
        edge = np.stack([0.66 * span, -0.585 + 0.38 * span**2], axis=1)
        seam = self._surface(edge, 1.0)
        self._paint.lit(np.vstack([seam, [[1, -1], [-1, -1]]]), _CAP, _CENTRE, _RADII[:2] * 1.15)
        self._paint.line(seam, _CREASE, 0.010)

    def _cheeks(self) -> None:
        for side, sign in SIDES.items():
            smile = self._values[f'mouth_smile_{side}']
            middle = np.array([sign * 0.385, 0.175 - 0.035 * smile])
            cheek = self._surface(ellipse(middle, (0.095, 0.060)))
            self._paint.soft(cheek, _BLUSH, 0.22 + 0.50 * smile, 0.045)

    def _nose(self) -> None:
        self._paint.soft(
            self._surface(ellipse(np.array([0.0, 0.150]), (0.055, 0.022)), 1.10),
            _SHADOW,
            0.35,
            0.018,
        )
        self._paint.soft(
            self._surface(ellipse(np.array([-0.008, 0.100]), (0.028, 0.034)), 1.13),
            (255, 255, 255),
            0.8,
            0.016,
        )

    def _eye(self, shape: EyeShape) -> None:
        socket = self._surface(shape.socket)
        self._paint.soft(socket, _SHADOW, 0.30, 0.030)
        self._paint.fill(socket, _LID)
        self._paint.line(socket, _CREASE, 0.010, closed=True)
        upper, lower = self._surface(shape.upper), self._surface(shape.lower)
        if shape.opening > 0.004:
            opening = np.vstack([upper, lower[::-1]])
            self._paint.inside(opening, lambda: self._eyeball(shape))
            self._paint.line(lower, _CREASE, 0.012)
        self._paint.line(upper, _DARKER, 0.030)

    def _eyeball(self, shape: EyeShape) -> None:
        self._paint.fill(self._surface(shape.socket), _EYEBALL_SHADE)
        lit = np.vstack([lowered(shape.upper, 0.034), lowered(shape.upper[[-1, 0]], 0.5)])
        self._paint.fill(self._surface(lit), _EYEBALL)
        radius = face_shape.IRIS_RADIUS
        for share, colour, shift in (
            (1.00, _IRIS_RIM, 0.0),
            (0.88, _IRIS, 0.0),
            (0.60, _IRIS_LIGHT, 0.22),
            (0.48, _PUPIL, 0.0),
        ):
            middle = lowered(shape.iris, shift * radius)
            self._paint.fill(
                self._surface(ellipse(middle, (share * radius, share * radius))), colour
            )
        for place, share in (([-0.30, -0.34], 0.24), ([0.30, 0.34], 0.11)):
            glint = shape.iris + np.array(place) * radius
            self._paint.fill(
                self._surface(ellipse(glint, (share * radius, share * radius))), _EYEBALL
            )

    def _lips(self, shape: MouthShape) -> None:
        lift = 1.0 + 0.06 * self._values['mouth_pucker']
        upper, lower = (self._surface(edge, lift) for edge in (shape.upper, shape.lower))
        shadow = self._surface(lowered(shape.lower, 0.050 + shape.thickness), lift)
        self._paint.soft(np.vstack([shadow, lowered(shadow[::-1], 0.02)]), _SHADOW, 0.55, 0.020)
        opening = np.vstack([upper, lower[::-1]])
        if shape.opening > 0.004:
            self._paint.inside(opening, lambda: self._mouth_inside(shape))
        width = 2 * shape.thickness
        self._paint.line(opening, _LIP, width, closed=True)
        shine = self._surface(lowered(shape.lower[12:-12], 0.25 * shape.thickness), lift)
        self._paint.line(shine, _LIP_LIGHT, 0.5 * shape.thickness)

    def _mouth_inside(self, shape: MouthShape) -> None:
        left, right = shape.upper[0, 0], shape.upper[-1, 0]
        middle, bottom = shape.upper[:, 1].min(), shape.lower[:, 1].max()
        whole = np.array(
            [
                [left, middle - 0.2],
                [right, middle - 0.2],
                [right, bottom + 0.2],
                [left, bottom + 0.2],
            ]
        )
        self._paint.fill(self._surface(whole), _MOUTH)
        half = (right - left) / 2
        tongue = ellipse(np.array([0.0, bottom + 0.01]), (0.72 * half, 0.42 * shape.opening))
        self._paint.fill(self._surface(tongue), _TONGUE)
        depth = 0.024 + 0.055 * np.clip(shape.opening / 0.2, 0, 1)
        row = shape.upper[3:-3]
        bow = np.stack([row[:, 0] * 0.94, row[:, 1] + depth], axis=1)
        self._paint.fill(self._surface(np.vstack([row - [0, 0.05], bow[::-1]])), _TEETH)

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
        projected: Points = turned[:, :2] * nearer * _SCALE + _CENTRE
        return projected

    def _flat(self, points: Points) -> Points:
        """Silhouettes do not turn with yaw and pitch, they lean with roll and shift a little."""
        roll = self._values['head_roll']
        turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
        shift = np.array([np.sin(self._values['head_yaw']), np.sin(self._values['head_pitch'])])
        moved: Points = points @ turn.T * _SCALE + _CENTRE + 0.05 * shift
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
