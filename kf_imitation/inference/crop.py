"""Image helpers that several stages share."""

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FaceRegion, Image


def crop(bgr: Image, region: FaceRegion, size_px: int) -> Image:
    """Cut the square region out of an image and scale it.

    Args:
        bgr: (H, W, 3) uint8.
        region: may reach over the border; the border's pixels are repeated there.
        size_px: edge of the result [px].

    Returns:
        (size_px, size_px, 3) uint8. Shrinking averages over areas, so small movements do not
        alias; growing is bilinear.
    """
    scale = size_px / region.size
    # Pixel centres: output u sees input x + (u + 0.5) / scale - 0.5.
    offset = 0.5 / scale - 0.5
    matrix = np.array([[1 / scale, 0, region.x + offset], [0, 1 / scale, region.y + offset]])
    source = bgr
    if scale < 0.5:
        # warpAffine samples points; average first by a whole factor, then sample.
        factor = min(int(1 / scale), *bgr.shape[:2])
        source, shift = _shrink_around(bgr, region, factor)
        matrix = matrix / factor
        matrix[:, 2] = (
            np.array([region.x + offset, region.y + offset]) - shift + 0.5
        ) / factor - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(  # type: ignore[no-any-return]
        source, matrix, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def channel_mean(bgr: Image) -> NDArray[np.uint8]:
    """Return the (H, W) uint8 mean of the channels of a (H, W, 3) uint8 image."""
    return np.asarray(cv2.transform(bgr, np.full((1, 3), 1 / 3)), np.uint8)


def _shrink_around(
    bgr: Image, region: FaceRegion, factor: int
) -> tuple[Image, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Average blocks of factor x factor pixels around the region; return it and its origin."""
    height, width = bgr.shape[:2]
    left, columns = _blocks(region.x, region.size, width, factor)
    top, rows = _blocks(region.y, region.size, height, factor)
    part = bgr[top : top + rows * factor, left : left + columns * factor]
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    return small, np.array([left, top], np.float64)


def _blocks(start: float, size: float, limit: int, factor: int) -> tuple[int, int]:
    """Return the first pixel and the number of whole blocks that cover a span and its margin."""
    margin = 2 * factor
    low = min(max(0, int(start) - margin), limit - factor)
    high = min(limit, max(int(start + size) + margin, low + factor))
    return low, max(1, (high - low) // factor)
