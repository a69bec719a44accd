"""A photograph of a face as a mesh with its own texture, drawn with moved landmarks."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import Delaunay

from face_renderer.rasteriser import interpolate_corners, rasterise
from training.data.face_mesh import (
    LEFT_IRIS,
    LEFT_LIDS,
    OUTLINE,
    RIGHT_IRIS,
    RIGHT_LIDS,
)
from training.data.mouth_paint import MouthAppearance, paint_mouth

CANVAS_PX = 192
EYES = ([*RIGHT_LIDS, *RIGHT_IRIS], [*LEFT_LIDS, *LEFT_IRIS])


@dataclass(frozen=True)
class Face:
    """One face image on the canvas.

    Attributes:
        image: (S, S, 3) uint8 BGR.
        points: (478, 3) landmarks [px], z grows away from the viewer.
        rotation: (3, 3) of the head in image axes.
        blendshapes: (52,) of the expression.
    """

    image: np.ndarray
    points: np.ndarray
    rotation: np.ndarray
    blendshapes: np.ndarray


class Mesh:
    """The triangles of one face image: landmarks, two rings around the face, the canvas edge."""

    def __init__(self, face: Face) -> None:
        self._image = face.image
        source = self._extend(face.points, face.points)
        self._source = source[:, :2].astype(np.float32)
        triangles = Delaunay(self._source).simplices.astype(np.int32)
        self._triangles = triangles
        corners = self._source[triangles]
        self._corners = np.ascontiguousarray(corners, np.float32)
        # Eyeballs are drawn behind the lids, so that lids close over them.
        self._bias = np.ones(len(triangles), np.float32)
        for eye in EYES:
            self._bias[np.isin(triangles, eye).all(axis=1)] = 0.5
        self._points = face.points

    def _extend(self, points: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Add the rings and the canvas edge to (478, 3) landmarks."""
        middle = first[OUTLINE].mean(axis=0)
        rings = []
        for reach, fraction in ((1.3, 0.6), (1.7, 0.15)):
            home = middle + (first[OUTLINE] - middle) * reach
            home[:, 2] = first[OUTLINE, 2].max() + 10 * reach
            moved = fraction * (points[OUTLINE] - first[OUTLINE])
            moved[:, 2] = 0
            rings.append(home + moved)
        far = np.linspace(-0.6, 1.6, 7) * CANVAS_PX
        low, high = np.full_like(far, far[0]), np.full_like(far, far[-1])
        edge = np.concatenate(
            [np.stack(pair, 1) for pair in ((far, low), (far, high), (low, far), (high, far))]
        )
        edge = np.concatenate([edge, np.full((len(edge), 1), 150.0)], axis=1)
        return np.concatenate([points, *rings, np.unique(edge, axis=0)])

    def draw(self, points: np.ndarray, mouth: MouthAppearance) -> np.ndarray:
        """Draw the face with moved landmarks.

        Args:
            points: (478, 3) landmarks [px].
            mouth: what opening lips show.

        Returns:
            (S, S, 3) uint8 BGR.
        """
        place = self._extend(points, self._points)
        # Sample (i, j) of the rasteriser lies at (j + 0.5, i + 0.5); pixel centres here at (j, i).
        screen = np.ascontiguousarray(place[:, :2] + 0.5, np.float32)
        depth = (1 / (1000 + place[:, 2])).astype(np.float32)
        both = np.ones(len(self._triangles), np.bool_)
        ids, _ = rasterise(screen, depth, self._triangles, both, self._bias, CANVAS_PX, CANVAS_PX)
        source = interpolate_corners(ids, screen, self._triangles, self._corners)
        image = cv2.remap(
            self._image, source[..., 0], source[..., 1], cv2.INTER_CUBIC, None,
            cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return paint_mouth(image, self._points, points, mouth)
