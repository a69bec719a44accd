"""Names for points of the teacher's mesh: 468 of the skin, two times five of the irises."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

INNER_LIPS = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178]
INNER_LIPS += [88, 95]
OUTER_LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269]
OUTER_LIPS += [270, 409]
RIGHT_LIDS = [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]
LEFT_LIDS = [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
RIGHT_IRIS, LEFT_IRIS = [468, 469, 470, 471, 472], [473, 474, 475, 476, 477]
RIGHT_BROW = [70, 63, 105, 66, 107, 55, 65, 52, 53, 46]
LEFT_BROW = [300, 293, 334, 296, 336, 285, 295, 282, 283, 276]
NOSE = [1, 4, 168, 6, 98, 327, 129, 358]
CHEEKS = [50, 280, 205, 425]
OUTLINE = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400]
OUTLINE += [377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67]
OUTLINE += [109]
OUTER_EYE_CORNERS = (33, 263)
NOSE_TIP = 4
# What moves with the skull: brow bone, bridge of the nose, eye corners, temples.
RIGID = [10, 151, 9, 8, 168, 6, 197, 195, 33, 133, 362, 263, 127, 356, 234, 454, 5, 4]
# Where motion of the skin shows.
MOTION_POINTS = np.array(
    INNER_LIPS
    + OUTER_LIPS
    + RIGHT_LIDS
    + LEFT_LIDS
    + RIGHT_IRIS[:1]
    + LEFT_IRIS[:1]
    + RIGHT_BROW
    + LEFT_BROW
    + NOSE
    + CHEEKS
    + OUTLINE
)


def eye_distance(points: np.ndarray) -> float:
    """Return the distance of the outer eye corners of (478, 3) points [px]."""
    return float(np.linalg.norm(points[OUTER_EYE_CORNERS[0]] - points[OUTER_EYE_CORNERS[1]]))


def mirror_order(points_px: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the (C,) order of the chosen points that exchanges left and right.

    Args:
        points_px: (N, 478, 2) landmarks of many faces, which show what belongs together.
        chosen: (C,) indices of points, both of each pair among them.

    Raises:
        ValueError: the faces do not show which points are pairs; too few look ahead.
    """
    plane = points_px[..., 0] + 1j * points_px[..., 1]
    first, second = (plane[:, i, None] for i in OUTER_EYE_CORNERS)
    # Eye corners at -0.5 and 0.5: turned, moved and scaled alike.
    upright = (plane - first) / (second - first) - 0.5
    # Only who looks ahead has the tip of the nose between the eyes.
    upright = upright[np.abs(upright[:, NOSE_TIP].real) < 0.05]
    if not len(upright):
        raise ValueError('none of the faces looks ahead: cannot distinguish left from right')
    mean = np.stack([np.median(upright.real, axis=0), np.median(upright.imag, axis=0)], axis=1)
    # Corners of the inner and outer lips nearly touch: assigned together, not one by one.
    order = linear_sum_assignment(cdist(mean[chosen] * [-1, 1], mean[chosen]))[1]
    if (order[order] != np.arange(len(chosen))).any():
        raise ValueError('left and right landmarks do not form pairs; are there faces enough?')
    return np.asarray(order)
