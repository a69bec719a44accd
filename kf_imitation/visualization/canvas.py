"""Smooth filled shapes in a picture: what the drawn face is painted with."""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import Image

Points = NDArray[np.float64]
Colour = tuple[int, int, int]

# BGR.
_BACKGROUND_TOP: Colour = (58, 48, 40)
_BACKGROUND_BOTTOM: Colour = (34, 27, 22)
_SHIFT_BITS = 4


class Canvas:
    """A square picture; coordinates are in half picture heights, x right, y down, (0, 0) amidst.

    Attributes:
        image: (size_px, size_px, 3) uint8, BGR.
    """

    def __init__(self, size_px: int) -> None:
        self._size = size_px
        self.image: Image = _background(size_px).copy()

    def _pixels(self, points: Points) -> NDArray[np.int32]:
        scaled = (points + 1.0) * (self._size / 2) * (1 << _SHIFT_BITS)
        return np.round(scaled).astype(np.int32)

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill an outline, (n, 2)."""
        cv2.fillPoly(
            self.image, [self._pixels(points)], colour, lineType=cv2.LINE_AA, shift=_SHIFT_BITS
        )

    def line(self, points: Points, colour: Colour, width: float, closed: bool = False) -> None:
        """Draw a line through points, (n, 2)."""
        thickness = max(1, round(width * self._size / 2))
        cv2.polylines(
            self.image,
            [self._pixels(points)],
            closed,
            colour,
            thickness,
            lineType=cv2.LINE_AA,
            shift=_SHIFT_BITS,
        )

    def inside(self, outline: Points, paint: Callable[[], None]) -> None:
        """Paint inside an outline only."""
        x, y, width, height = self._box(outline)
        if not width or not height:
            return
        before = self.image[y : y + height, x : x + width].copy()
        paint()
        mask = np.zeros((height, width), np.uint8)
        pixels = self._pixels(outline) - np.array([x, y], np.int32) * (1 << _SHIFT_BITS)
        cv2.fillPoly(mask, [pixels], 255, lineType=cv2.LINE_AA, shift=_SHIFT_BITS)
        weight = mask[:, :, None].astype(np.float32) / 255
        part = self.image[y : y + height, x : x + width]
        part[:] = np.round(part * weight + before * (1 - weight)).astype(np.uint8)

    def _box(self, points: Points) -> tuple[int, int, int, int]:
        """The painted neighbourhood of an outline; wide enough for what `inside` paints."""
        pixels = self._pixels(points) >> _SHIFT_BITS
        margin = int(0.3 * self._size)
        low = np.clip(pixels.min(axis=0) - margin, 0, self._size)
        high = np.clip(pixels.max(axis=0) + margin, 0, self._size)
        return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])

    def shade(
        self, points: Points, colour: Colour, darkest: float, middle: Points, radii: Points
    ) -> None:
        """Fill as light from above falls on an ellipsoid.

        Args:
            points: outline.
            colour: where it is brightest.
            darkest: fraction of the colour at the lower end.
            middle: (2,) of the ellipsoid.
            radii: of the ellipsoid.
        """
        x, y, width, height = self._box(points)
        part = self.image[y : y + height, x : x + width]
        pixels = self._pixels(points)
        mask = np.zeros((height, width), np.uint8)
        moved = pixels - np.array([x, y], np.int32) * (1 << _SHIFT_BITS)
        cv2.fillPoly(mask, [moved], 255, lineType=cv2.LINE_AA, shift=_SHIFT_BITS)
        rows = (np.arange(y, y + height) / self._size * 2 - 1 - middle[1]) / radii[1]
        columns = (np.arange(x, x + width) / self._size * 2 - 1 - middle[0]) / radii[0]
        light = 1 - (1 - darkest) * np.clip((rows[:, None] + 0.7) / 1.7, 0, 1)
        light = light * (1 - 0.16 * np.clip(np.abs(columns[None, :]), 0, 1.1) ** 3)
        weight = mask.astype(np.float32) / 255
        tone = np.array(colour, np.float32) * light[:, :, None].astype(np.float32)
        part[:] = np.round(part * (1 - weight[:, :, None]) + tone * weight[:, :, None]).astype(
            np.uint8
        )


@lru_cache(maxsize=4)
def _background(size_px: int) -> Image:
    weight = np.linspace(0, 1, size_px, dtype=np.float32)[:, None, None]
    top, bottom = np.array(_BACKGROUND_TOP), np.array(_BACKGROUND_BOTTOM)
    column = top * (1 - weight) + bottom * weight
    picture: Image = np.repeat(np.round(column).astype(np.uint8), size_px, axis=1)
    return picture


def ellipse(centre: Points, radii: tuple[float, float], count: int) -> Points:
    """Return an ellipse of so many points, (count, 2)."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points: Points = np.stack(
        [centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], axis=1
    )
    return points


def inset(points: Points, scale: float) -> Points:
    """Return an outline shrunk by a scale about its mean."""
    middle = points.mean(axis=0)
    shrunk: Points = (points - middle) * scale + middle
    return shrunk


def smooth(points: Points, closed: bool, rounds: int = 3) -> Points:
    """Chaikin's corner cutting."""
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        cut = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], 1)
        if closed:
            points = cut.reshape(-1, 2)
        else:
            points = np.vstack([points[:1], cut[:-1].reshape(-1, 2), points[-1:]])
    return points
