"""Faces turned upright: the crop of the second pass and the patches of the eyes."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import WFLW_POINTS, Image


def similarity(points: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The turn, size and shift that bring points nearest to others (least squares).

    Args:
        points: (P, 2).
        target: (P, 2).

    Returns:
        (2, 3).
    """
    source, goal = points - points.mean(axis=0), target - target.mean(axis=0)
    norm = max(float((source * source).sum()), 1e-9)
    cosine = float((source * goal).sum()) / norm
    sine = float((source[:, 0] * goal[:, 1] - source[:, 1] * goal[:, 0]).sum()) / norm
    linear = np.array([[cosine, -sine], [sine, cosine]])
    shift = target.mean(axis=0) - linear @ points.mean(axis=0)
    return np.hstack([linear, shift[:, None]])


def upright_crop(
    points: NDArray[np.floating], target: NDArray[np.float32], crop_px: int
) -> NDArray[np.float64]:
    """The similarity that brings a face upright into a crop.

    Args:
        points: (98, 2) [px].
        target: (98, 2) in crop edges.
        crop_px: edge of the crop.

    Returns:
        (2, 3) from image pixels to crop pixels, integers being pixel centres in both.
    """
    assert len(points) == WFLW_POINTS
    return similarity(points, target * crop_px - 0.5)


def undo(matrix: NDArray[np.floating], points: NDArray[Any]) -> NDArray[Any]:
    """Bring (..., 2) points of a crop back into what a (2, 3) matrix cut it from."""
    return np.asarray((points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T)


def cut(bgr: Image, matrix: NDArray[np.float64], size_px: tuple[int, int]) -> Image:
    """Sample a crop by a similarity; average first where it shrinks by more than two.

    Args:
        bgr: (H, W, 3) uint8.
        matrix: (2, 3) from image pixels to crop pixels.
        size_px: width and height of the crop.

    Returns:
        (height, width, 3) uint8; beyond the border its pixels are repeated.
    """
    scale = float(np.hypot(*matrix[:, 0]))
    if scale < 0.5:
        factor = int(1 / scale)
        size = max(1, bgr.shape[1] // factor), max(1, bgr.shape[0] // factor)
        ratio = np.array([bgr.shape[1], bgr.shape[0]], np.float64) / size
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        matrix = matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ (ratio / 2 - 0.5)
        matrix[:, :2] *= ratio
    return np.asarray(
        cv2.warpAffine(
            bgr,
            matrix,
            size_px,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
