"""The 98 points of WFLW: which is which, which pairs mirror each other.

The order is that of Wu et al., "Look at Boundary" (CVPR 2018). Image left is the person's right.
Every name here says left and right as the person does.
"""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import WFLW_POINTS

CONTOUR = tuple(range(33))  # from the right temple over the chin (16) to the left temple
RIGHT_BROW = tuple(range(33, 42))  # upper edge from outside to inside (33-37), lower edge back
LEFT_BROW = tuple(range(42, 51))  # upper edge from inside to outside (42-46), lower edge back
NOSE = tuple(range(51, 60))  # bridge from above to the tip (51-54), nostrils right to left
RIGHT_EYE = tuple(range(60, 68))  # outer corner, upper lid, inner corner (64), lower lid
LEFT_EYE = tuple(range(68, 76))  # inner corner, upper lid, outer corner (72), lower lid
OUTER_LIP = tuple(range(76, 88))  # right corner, upper edge, left corner (82), lower edge
INNER_LIP = tuple(range(88, 96))  # right corner, upper lip, left corner (92), lower lip
RIGHT_PUPIL, LEFT_PUPIL = 96, 97
RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER = 60, 64, 68, 72

_MIRRORED_PAIRS = (
    *((i, 32 - i) for i in range(17)),
    *((33 + i, 46 - i) for i in range(5)),
    *((38 + i, 50 - i) for i in range(4)),
    *((i, i) for i in range(51, 55)),
    *((55 + i, 59 - i) for i in range(3)),
    *((60 + i, 72 - i) for i in range(5)),
    *((65 + i, 75 - i) for i in range(3)),
    *((76 + i, 82 - i) for i in range(4)),
    *((83 + i, 87 - i) for i in range(3)),
    *((88 + i, 92 - i) for i in range(3)),
    *((93 + i, 95 - i) for i in range(2)),
    (96, 97),
)


def _flip_table() -> NDArray[np.int64]:
    table = np.full(WFLW_POINTS, -1, np.int64)
    for a, b in _MIRRORED_PAIRS:
        table[a], table[b] = b, a
    return table


# Mirrored image: point i of the mirrored face is point FLIP[i] of the original, x mirrored.
FLIP = _flip_table()

# Points of iBUG-68 as weighted WFLW points.
IBUG68 = (
    *(((2 * i, 1.0),) for i in range(17)),
    *(((i, 1.0),) for i in range(33, 38)),
    *(((i, 1.0),) for i in range(42, 47)),
    *(((i, 1.0),) for i in range(51, 60)),
    ((60, 1.0),),
    ((61, 2 / 3), (62, 1 / 3)),
    ((62, 1 / 3), (63, 2 / 3)),
    ((64, 1.0),),
    ((65, 2 / 3), (66, 1 / 3)),
    ((66, 1 / 3), (67, 2 / 3)),
    ((68, 1.0),),
    ((69, 2 / 3), (70, 1 / 3)),
    ((70, 1 / 3), (71, 2 / 3)),
    ((72, 1.0),),
    ((73, 2 / 3), (74, 1 / 3)),
    ((74, 1 / 3), (75, 2 / 3)),
    *(((i, 1.0),) for i in range(76, 96)),
)
IBUG68_INNER = tuple(range(17, 68))


def weight_matrix(
    rows: tuple[tuple[tuple[int, float], ...], ...], width: int
) -> NDArray[np.float32]:
    """Turn weighted indices into a matrix.

    Args:
        rows: for each output point its (input point, weight) pairs; weights of a row sum to 1.
        width: number of input points.

    Returns:
        (len(rows), width) float32; multiply it with (width, 2) points.
    """
    matrix = np.zeros((len(rows), width), np.float32)
    for row, pairs in enumerate(rows):
        for index, weight in pairs:
            matrix[row, index] += weight
    return matrix


def inter_ocular(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of the outer eye corners.

    Args:
        points: (..., 98, 2).

    Returns:
        (...,) in the unit of the points.
    """
    span = points[..., RIGHT_EYE_OUTER, :] - points[..., LEFT_EYE_OUTER, :]
    return np.asarray(np.linalg.norm(span, axis=-1), np.float32)
