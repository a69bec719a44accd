"""A drawn face that moves, for machines without a camera."""

import math

import cv2
import numpy as np

from kf_imitation.camera.frame_source import UNKNOWN_CAMERA, camera_model
from kf_imitation.camera.left_out import LeftOut
from kf_imitation.data_types import CameraModel, Frame, Image
from kf_imitation.parameters.settings import SourceSettings

WIDTH, HEIGHT = 640, 480
DEFAULT_FPS = 30.0
# Twice the resolution and then halved: smooth edges at little cost.
SUPERSAMPLE = 2


class TestPattern:
    """A face drawn in grey and skin tones: the head sways, lids blink, brows and mouth move.

    Deterministic: frame n depends on n and the settings alone. Endless unless a length is given.
    """

    is_live = False
    __test__ = False  # the name is no test to pytest

    def __init__(self, settings: SourceSettings, length_s: float | None = None) -> None:
        """Nothing to open.

        Args:
            settings: width and height (0: 640 x 480), fps (0: 30), focal_px and start_ns matter.
            length_s: None never ends.
        """
        self.name = 'test-pattern'
        self.fps = settings.fps or DEFAULT_FPS
        self.camera: CameraModel = UNKNOWN_CAMERA
        self.frame_count = None if length_s is None else max(1, round(length_s * self.fps))
        self.left_out = LeftOut(self.name)
        self._settings = settings
        self._width = settings.width or WIDTH
        self._height = settings.height or HEIGHT
        self._index = 0
        self._open = False

    def open(self) -> None:
        """See FrameSource."""
        self._index = 0
        self._open = True
        self.camera = camera_model(self._width, self._height, self._settings.focal_px)

    def read(self) -> Frame | None:
        """See FrameSource."""
        if not self._open or self._index == self.frame_count:
            return None
        time_s = self._index / self.fps
        stamp_ns = self._settings.start_ns + round(time_s * 1e9)
        frame = Frame(self._index, stamp_ns, draw_face(time_s, self._width, self._height))
        self._index += 1
        return frame

    def close(self) -> None:
        """See FrameSource."""
        self._open = False


def draw_face(time_s: float, width: int, height: int) -> Image:
    """Draw the face at a time.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    canvas_width, canvas_height = width * SUPERSAMPLE, height * SUPERSAMPLE
    rows = np.linspace(70, 130, canvas_height, dtype=np.float32)[:, None, None]
    image = np.empty((canvas_height, canvas_width, 3), np.uint8)
    image[:] = rows * np.array([1.0, 0.85, 0.75], np.float32)
    radius = 0.27 * min(canvas_width, canvas_height)
    centre_x = canvas_width / 2 + 0.25 * radius * math.sin(2 * math.pi * time_s / 7)
    centre_y = canvas_height / 2 + 0.1 * radius * math.sin(2 * math.pi * time_s / 5)
    roll_deg = 6 * math.sin(2 * math.pi * time_s / 6)
    pen = _Pen(image, centre_x, centre_y, radius, roll_deg)
    _draw_head(pen, *_expression(time_s))
    if SUPERSAMPLE > 1:
        image = np.asarray(
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    return image


def _expression(time_s: float) -> tuple[float, float, float, float]:
    """Blink, brow raise, jaw opening and smile, 0..1, at a time."""

    def pulse(period_s: float, at_s: float, width_s: float) -> float:
        distance = (time_s - at_s + period_s / 2) % period_s - period_s / 2
        return math.exp(-0.5 * (distance / width_s) ** 2)

    return pulse(2.5, 1.0, 0.06), pulse(6, 2.0, 0.3), pulse(4, 3.0, 0.2), pulse(6, 4.5, 0.4)


class _Pen:
    """Draws ellipses in head coordinates: unit = half the head's width, y down, rolled."""

    def __init__(
        self, image: Image, centre_x: float, centre_y: float, radius: float, roll_deg: float
    ) -> None:
        self._image = image
        self._centre = (centre_x, centre_y)
        self._radius = radius
        self._roll_deg = roll_deg

    def ellipse(
        self, x: float, y: float, half_width: float, half_height: float, grey: float
    ) -> None:
        self.arc(x, y, half_width, half_height, grey, 0, 360, -1)

    def arc(
        self,
        x: float,
        y: float,
        half_width: float,
        half_height: float,
        grey: float,
        start_deg: float,
        end_deg: float,
        thickness: float,
    ) -> None:
        angle = math.radians(self._roll_deg)
        cosine, sine = math.cos(angle), math.sin(angle)
        centre = (
            round(self._centre[0] + self._radius * (x * cosine - y * sine)),
            round(self._centre[1] + self._radius * (x * sine + y * cosine)),
        )
        axes = (
            max(1, round(half_width * self._radius)),
            max(1, round(half_height * self._radius)),
        )
        colour = (grey * 0.75, grey * 0.87, grey)
        line = -1 if thickness < 0 else max(1, round(thickness * self._radius))
        cv2.ellipse(
            self._image,
            centre,
            axes,
            self._roll_deg,
            start_deg,
            end_deg,
            colour,
            line,
            cv2.LINE_AA,
        )


def _draw_head(pen: _Pen, blink: float, brow: float, jaw: float, smile: float) -> None:
    pen.ellipse(0, -0.25, 1.12, 1.25, 40)  # hair
    pen.ellipse(0, 0.05 + 0.06 * jaw, 0.98, 1.22 + 0.06 * jaw, 185)  # face
    pen.ellipse(0, -0.45, 0.75, 0.42, 200)  # lit forehead
    for side in (-1, 1):
        x = 0.4 * side
        pen.ellipse(x, -0.16, 0.3, 0.17, 135)  # eye socket
        pen.ellipse(x, -0.12, 0.2, 0.11, 235)  # eyeball
        pen.ellipse(x, -0.12, 0.095, 0.11, 35)  # iris
        if blink > 0.1:
            pen.ellipse(x, -0.12 - 0.11 * (1 - blink), 0.22, 0.12 * blink, 150)
        pen.arc(x, -0.2 - 0.13 * brow, 0.3, 0.16, 60, 200, 340, 0.09)  # brow
        pen.ellipse(0.58 * side, 0.32, 0.2, 0.16, 196)  # cheek
    pen.ellipse(0, 0.12, 0.1, 0.28, 205)  # bridge of the nose
    pen.arc(0, 0.33, 0.17, 0.09, 110, 20, 160, 0.06)  # nostrils
    mouth = 0.66 + 0.1 * jaw
    pen.ellipse(0, mouth, 0.34 + 0.1 * smile, 0.09 + 0.02 * smile + 0.2 * jaw, 120)
    pen.ellipse(0, mouth, 0.28 + 0.1 * smile, 0.015 + 0.16 * jaw, 45)
    pen.arc(0, mouth - 0.25 * smile, 0.4, 0.22 * smile + 0.02, 90, 20, 160, 0.04)
