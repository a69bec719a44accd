"""The canonical face region: what training crops and the tracker both aim at.

With b the bounding box of all face landmarks (the 478 points of the labels), the region is the
square around the centre of b with edge 1.25 * max(width, height) of b.
"""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import WFLW_POINTS, FaceRegion

MARGIN = 1.25

# WFLW: 0..32 jaw line from ear to ear (16 the chin), 33..50 brows.
_CHIN = 16
_BROWS = slice(33, 51)
_EAR_RIGHT, _EAR_LEFT = 0, 32
# The 98 points end at the brows, the 478 reach the hair line. This is how far, in
# units of the way from the chin to the brows, and the half width there in units of the ears'
# distance. Fitted by training/face/fit_region.py on the train clips.
FOREHEAD_RISE = 0.25
FOREHEAD_HALF_WIDTH = 0.2


def canonical_region(points_px: NDArray[np.floating], track_id: int = 0) -> FaceRegion:
    """The canonical region of face landmarks.

    Args:
        points_px: (N, 2) or more columns, pixels; 98 points are taken as WFLW and get a forehead,
            any other number is taken to cover the whole face.
        track_id: for the result.
    """
    points = np.asarray(points_px, np.float64)[:, :2]
    if len(points) == WFLW_POINTS:
        points = np.concatenate([points, forehead(points)])
    low, high = points.min(axis=0), points.max(axis=0)
    size = MARGIN * float((high - low).max())
    x, y = (low + high) / 2 - size / 2
    return FaceRegion(float(x), float(y), size, track_id)


def forehead(points_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate three points of the hair line from WFLW points.

    Args:
        points_px: (98, 2).

    Returns:
        (3, 2): above the right brow, the middle and above the left brow.
    """
    brows = points_px[_BROWS].mean(axis=0)
    up = brows - points_px[_CHIN]
    side = (points_px[_EAR_LEFT] - points_px[_EAR_RIGHT]) * FOREHEAD_HALF_WIDTH
    top = brows + FOREHEAD_RISE * up
    return np.stack([top - side, top, top + side])


def overlap(a: FaceRegion, b: FaceRegion) -> float:
    """Intersection over union of two regions, 0..1."""
    width = min(a.x + a.size, b.x + b.size) - max(a.x, b.x)
    height = min(a.y + a.size, b.y + b.size) - max(a.y, b.y)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a.size**2 + b.size**2 - shared)
