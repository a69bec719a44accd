"""A drawing as data: what a page paints itself, stroke by stroke (media/cockpit/drawn.js)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from kf_imitation.visualization.canvas import (
    BACKGROUND_BOTTOM,
    BACKGROUND_TOP,
    Colour,
    Points,
    light,
)

_STEPS = 10_000  # of a coordinate; 16 bits hold what lies a little beyond the picture, too
_STOPS = 9
# From the brightest place of a lit ellipsoid to the darkest edge, in its radii.
_BRIGHTEST = np.array([-0.27, -0.54])
_FALL = 1.6


class Strokes:
    """A Paint that keeps what is painted.

    Attributes:
        strokes: each a kind, its number of points, and colours and figures: `background` from top
            to bottom; `fill`; `line` with width and whether it is closed; `inside` an outline up
            to `outside`; `lit` with middle, radius and tones; `soft` with strength and blur.
    """

    def __init__(self) -> None:
        self.strokes: list[list[Any]] = [
            ['background', 0, _css(BACKGROUND_TOP), _css(BACKGROUND_BOTTOM)]
        ]
        self._points: list[Points] = []

    def points(self) -> bytes:
        """Return x and y of all points in turn, int16 in ten thousandths, little-endian."""
        steps = np.rint(np.concatenate(self._points) * _STEPS)
        return np.clip(steps, -(2**15), 2**15 - 1).astype('<i2').tobytes()

    def fill(self, points: Points, colour: Colour) -> None:
        """See Paint."""
        self._add('fill', points, _css(colour))

    def line(self, points: Points, colour: Colour, width: float, closed: bool = False) -> None:
        """See Paint."""
        self._add('line', points, _css(colour), round(width, 4), closed)

    def inside(self, outline: Points, paint: Callable[[], None]) -> None:
        """See Paint."""
        self._add('inside', outline)
        paint()
        self.strokes.append(['outside', 0])

    def lit(self, outline: Points, colour: Colour, middle: Points, radii: Points) -> None:
        """See Paint; here the tones lie in rings around the brightest place."""
        x, y = middle + _BRIGHTEST * radii
        radius = float(_FALL * radii.mean())
        self._add('lit', outline, [float(x), float(y), radius], _tones(colour))

    def soft(self, outline: Points, colour: Colour, strength: float, blur: float) -> None:
        """See Paint."""
        self._add('soft', outline, _css(colour), round(strength, 3), blur)

    def _add(self, kind: str, points: Points, *about: Any) -> None:
        self.strokes.append([kind, len(points), *about])
        self._points.append(points)


@lru_cache(maxsize=64)
def _css(colour: Colour) -> str:
    blue, green, red = colour
    return f'#{red:02x}{green:02x}{blue:02x}'


@lru_cache(maxsize=16)
def _tones(colour: Colour) -> list[str]:
    """Return colours from the brightest place of an ellipsoid to its darkest edge."""
    way = -_BRIGHTEST / np.linalg.norm(_BRIGHTEST) * _FALL
    places = _BRIGHTEST + np.linspace(0, 1, _STOPS)[:, None] * way
    rows = np.outer(light(places[:, 0], places[:, 1]), colour)
    return [_css((b, g, r)) for b, g, r in np.rint(rows).astype(int).tolist()]
