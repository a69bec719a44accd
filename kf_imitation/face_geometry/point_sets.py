"""Adapters: landmarks of other models in the order of WFLW-98.

`mediapipe478` follows the mesh of the MediaPipe face landmarker with irises; the table is our
own, its inner points agree with the automatic 68 points of the face images within about 5 % of
the distance of the outer eye corners (docs/landmarks.md). `ibug68` fills what 68 points do not
hold; filled points get the confidence 0 because nobody saw them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kf_imitation.face_geometry import wflw

Rows = tuple[tuple[tuple[int, float], ...], ...]


def _one(*indices: int) -> Rows:
    return tuple(((index, 1.0),) for index in indices)


def _between(*pairs: tuple[int, int, float]) -> Rows:
    """Points on a line: first index, second index, weight of the second."""
    return tuple(((a, 1.0 - w), (b, w)) if w else ((a, 1.0),) for a, b, w in pairs)


# Equal steps of arc length along the oval of the mean face, from the right temple to the chin.
_CONTOUR_RIGHT = _between(
    (127, 234, 0.0),
    (127, 234, 0.62),
    (234, 93, 0.23),
    (234, 93, 0.83),
    (93, 132, 0.40),
    (93, 132, 0.97),
    (132, 58, 0.49),
    (58, 172, 0.0),
    (58, 172, 0.62),
    (172, 136, 0.30),
    (136, 150, 0.06),
    (136, 150, 0.80),
    (150, 149, 0.68),
    (149, 176, 0.61),
    (176, 148, 0.50),
    (148, 152, 0.30),
)
_CONTOUR_LEFT = _between(
    (152, 377, 0.70),
    (377, 400, 0.50),
    (400, 378, 0.39),
    (378, 379, 0.32),
    (379, 365, 0.20),
    (379, 365, 0.94),
    (365, 397, 0.70),
    (397, 288, 0.38),
    (288, 361, 0.0),
    (288, 361, 0.51),
    (361, 323, 0.03),
    (361, 323, 0.60),
    (323, 454, 0.17),
    (323, 454, 0.77),
    (454, 356, 0.38),
    (356, 356, 0.0),
)

MEDIAPIPE478: Rows = (
    *_CONTOUR_RIGHT,
    *_one(152),
    *_CONTOUR_LEFT,
    *_one(70, 63, 105, 66, 107, 55, 65, 52, 53),
    *_one(336, 296, 334, 293, 300, 283, 282, 295, 285),
    *_one(6, 197, 5, 1, 98, 97, 2, 326, 327),
    *_one(33),
    *_between((161, 160, 0.8), (159, 158, 0.25), (158, 157, 0.75)),
    *_one(133),
    *_between((154, 153, 0.5), (145, 145, 0.0), (144, 163, 0.5)),
    *_one(362),
    *_between((385, 384, 0.75), (386, 385, 0.25), (388, 387, 0.8)),
    *_one(263),
    *_between((373, 390, 0.5), (374, 374, 0.0), (381, 380, 0.5)),
    *_one(61),
    *_between((39, 40, 0.5)),
    *_one(37, 0, 267),
    *_between((269, 270, 0.5)),
    *_one(291),
    *_between((405, 321, 0.5)),
    *_one(314, 17, 84),
    *_between((181, 91, 0.5)),
    *_one(78, 82, 13, 312, 308, 317, 14, 87),
    *_one(468, 473),
)


def _ibug68_rows() -> Rows:
    rows: list[tuple[tuple[int, float], ...]] = []
    for i in range(33):  # every second contour point is between two of iBUG's
        rows.append(((i // 2, 1.0),) if i % 2 == 0 else ((i // 2, 0.5), (i // 2 + 1, 0.5)))
    # The lower brow edge is not in iBUG: it lies a seventh of the way to the upper lid below.
    right = [17, 18, 19, 20, 21]
    left = [22, 23, 24, 25, 26]
    rows += [((i, 1.0),) for i in right]
    rows += [((b, 0.86), (e, 0.14)) for b, e in ((21, 39), (20, 38), (19, 37), (18, 36))]
    rows += [((i, 1.0),) for i in left]
    rows += [((b, 0.86), (e, 0.14)) for b, e in ((25, 45), (24, 44), (23, 43), (22, 42))]
    rows += [((i, 1.0),) for i in range(27, 36)]
    for a, b, c, d, e, f in ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47)):
        rows += [((a, 1.0),), ((a, 0.25), (b, 0.75)), ((b, 0.5), (c, 0.5)), ((c, 0.75), (d, 0.25))]
        rows += [((d, 1.0),), ((d, 0.25), (e, 0.75)), ((e, 0.5), (f, 0.5)), ((f, 0.75), (a, 0.25))]
    rows += [((i, 1.0),) for i in range(48, 68)]
    rows += [((37, 0.25), (38, 0.25), (40, 0.25), (41, 0.25))]
    rows += [((43, 0.25), (44, 0.25), (46, 0.25), (47, 0.25))]
    return tuple(rows)


class Layout(NamedTuple):
    """How a model orders its points.

    Attributes:
        name: as in `landmarks` entries of models/manifest.yaml.
        points: how many points the model gives.
        matrix: (98, points) float32.
        seen: (98,) float32, 0 where the layout does not hold the point and it is filled in.
    """

    name: str
    points: int
    matrix: NDArray[np.float32]
    seen: NDArray[np.float32]

    def to_wflw(
        self, points: NDArray[np.float32], confidence: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Bring points into the order of WFLW-98.

        Args:
            points: (..., points, 2).
            confidence: (..., points), 0..1.

        Returns:
            points (..., 98, 2) and confidence (..., 98), both float32.
        """
        moved = np.einsum('wp,...pc->...wc', self.matrix, points)
        sure = np.einsum('wp,...p->...w', self.matrix, confidence) * self.seen
        return np.asarray(moved, np.float32), np.asarray(sure, np.float32)


def _layouts() -> dict[str, Layout]:
    ones = np.ones(98, np.float32)
    filled = np.ones(98, np.float32)
    filled[[38, 39, 40, 41, 47, 48, 49, 50, 96, 97]] = 0.0
    return {
        'wflw98': Layout('wflw98', 98, np.eye(98, dtype=np.float32), ones),
        'ibug68': Layout('ibug68', 68, wflw.weight_matrix(_ibug68_rows(), 68), filled),
        'mediapipe478': Layout(
            'mediapipe478', 478, wflw.weight_matrix(MEDIAPIPE478, 478), ones.copy()
        ),
    }


LAYOUTS = _layouts()
