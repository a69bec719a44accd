"""Smooth filled shapes in a picture: what the drawn face is painted with."""

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FloatArray, Image

Points = NDArray[np.float64]
Colour = tuple[int, int, int]

# BGR.
BACKGROUND_TOP: Colour = (74, 60, 48)
BACKGROUND_BOTTOM: Colour = (36, 28, 22)
_SHIFT_BITS = 4
_FINER = 2  # painted so much larger, for smooth edges
_COARSER = 4  # what is blurred is painted so much smaller


class Paint(Protocol):
    """What a drawing is painted on: pixels here, or strokes for a page (`strokes.py`).

    Coordinates are in half picture heights, x right, y down, (0, 0) amidst.
    """

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill an outline, (n, 2)."""

    def line(self, points: Points, colour: Colour, width: float, closed: bool = False) -> None:
        """Draw a line with round ends through points, (n, 2)."""

    def inside(self, outline: Points, paint: Callable[[], None]) -> None:
        """Paint inside an outline only."""

    def lit(self, outline: Points, colour: Colour, middle: Points, radii: Points) -> None:
        """Fill as light from above falls on an ellipsoid of (2,) radii about its (2,) middle."""

    def soft(self, outline: Points, colour: Colour, strength: float, blur: float) -> None:
        """Tint the blurred inside of an outline.

        Args:
            outline: (n, 2).
            colour: to mix in.
            strength: its share where it is strongest, 0..1.
            blur: standard deviation of the edge.
        """


class Canvas:
    """A square picture, which is a Paint."""

    def __init__(self, size_px: int) -> None:
        self._size_px = size_px
        self._size = size_px * _FINER
        self._image = _background(self._size).copy()

    def picture(self) -> Image:
        """Return what was painted, (size_px, size_px, 3) uint8, BGR."""
        size = self._size_px, self._size_px
        small: Image = cv2.resize(self._image, size, interpolation=cv2.INTER_AREA)
        return small

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill an outline, (n, 2)."""
        cv2.fillPoly(self._image, [self._pixels(points)], colour, cv2.LINE_AA, _SHIFT_BITS)

    def line(self, points: Points, colour: Colour, width: float, closed: bool = False) -> None:
        """Draw a line with round ends through points, (n, 2)."""
        pixels, thick = [self._pixels(points)], max(1, round(width * self._size / 2))
        cv2.polylines(self._image, pixels, closed, colour, thick, cv2.LINE_AA, _SHIFT_BITS)

    def inside(self, outline: Points, paint: Callable[[], None]) -> None:
        """Paint inside an outline only."""
        before = self._image
        self._image = before.copy()
        paint()
        self._image = cv2.copyTo(self._image, self._mask(outline), before)

    def lit(self, outline: Points, colour: Colour, middle: Points, radii: Points) -> None:
        """Fill as light from above falls on an ellipsoid of (2,) radii about its (2,) middle."""
        tone = _lit(self._size, colour, tuple(middle), tuple(radii))
        cv2.copyTo(tone, self._mask(outline), self._image)

    def soft(self, outline: Points, colour: Colour, strength: float, blur: float) -> None:
        """Tint the blurred inside of an outline."""
        if strength <= 0:
            return
        scale = self._size / 2
        margin = 2.5 * blur
        low = (outline.min(axis=0) - margin + 1) * scale
        high = (outline.max(axis=0) + margin + 1) * scale
        left, top = np.clip(low, 0, self._size).astype(int)
        right, bottom = np.clip(high, 0, self._size).astype(int)
        if left >= right or top >= bottom:
            return
        part = self._image[top:bottom, left:right]
        small = (bottom - top) // _COARSER + 1, (right - left) // _COARSER + 1
        mask = np.zeros(small, np.float32)
        place = ((outline + 1) * scale - (left, top)) / _COARSER * (1 << _SHIFT_BITS)
        cv2.fillPoly(mask, [np.round(place).astype(np.int32)], 1.0, cv2.LINE_AA, _SHIFT_BITS)
        mask = cv2.GaussianBlur(mask, (0, 0), max(0.3, blur * scale / _COARSER))
        share = cv2.resize(mask, (right - left, bottom - top))[:, :, None] * strength
        part[:] = np.round(part + (np.array(colour, np.float32) - part) * share).astype(np.uint8)

    def _pixels(self, points: Points) -> NDArray[np.int32]:
        scaled = (points + 1.0) * (self._size / 2) * (1 << _SHIFT_BITS)
        return np.round(scaled).astype(np.int32)

    def _mask(self, outline: Points) -> Image:
        mask = np.zeros((self._size, self._size), np.uint8)
        cv2.fillPoly(mask, [self._pixels(outline)], 255, cv2.LINE_8, _SHIFT_BITS)
        return mask


@lru_cache(maxsize=4)
def _background(size: int) -> Image:
    weight = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    top, bottom = np.array(BACKGROUND_TOP), np.array(BACKGROUND_BOTTOM)
    column = top * (1 - weight) + bottom * weight
    picture: Image = np.repeat(np.round(column).astype(np.uint8), size, axis=1)
    return picture


@lru_cache(maxsize=16)
def _lit(
    size: int, colour: Colour, middle: tuple[float, float], radii: tuple[float, float]
) -> Image:
    """A whole picture in the tones of an ellipsoid."""
    place = np.linspace(-1, 1, size, dtype=np.float32)
    x = np.clip((place[None, :] - middle[0]) / radii[0], -1, 1)
    y = np.clip((place[:, None] - middle[1]) / radii[1], -1, 1)
    tone: Image = np.round(np.array(colour, np.float32) * light(x, y)[..., None]).astype(np.uint8)
    return tone


def light(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return how brightly an ellipsoid is lit, 0.7..1, at places in its radii from its middle."""
    z = np.sqrt(np.clip(1 - (x**2 + y**2) * 0.92, 0.0, 1))
    facing = np.clip(-0.25 * x - 0.50 * y + 0.83 * z, 0, 1)
    lit: FloatArray = 0.70 + 0.30 * facing**0.8
    return lit


def ellipse(centre: Points, radii: tuple[float, float], count: int = 48) -> Points:
    """Return an ellipse of so many points, (count, 2)."""
    return centre + _circle(count) * radii


@lru_cache(maxsize=4)
def _circle(count: int) -> Points:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def lowered(points: Points, by: float) -> Points:
    """Return points, (n, 2) or (2,), further down."""
    moved: Points = points + np.array([0.0, by])
    return moved


def capsule(middle: Points, half: Points) -> Points:
    """Return the outline of a bar with round ends.

    Args:
        middle: (n, 2) line through it.
        half: (n,) half its thickness there.
    """
    along = np.gradient(middle, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = along[:, ::-1] * [-1, 1]
    angle = np.linspace(0, np.pi, 9)[1:-1, None]

    def cap(end: int, sign: float) -> Points:
        turn = np.cos(angle) * across[end] * sign + np.sin(angle) * along[end] * sign
        points: Points = middle[end] + turn * half[end]
        return points

    sides = across * half[:, None]
    return np.vstack([middle + sides, cap(-1, 1.0), (middle - sides)[::-1], cap(0, -1.0)])
