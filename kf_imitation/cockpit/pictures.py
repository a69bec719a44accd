"""Pictures for the page: JPEG, no larger than it shows them."""

import cv2

from kf_imitation.data_types import Image

_QUALITY = 80


def jpeg(bgr: Image, longest_px: int) -> bytes:
    """Return a picture as JPEG.

    Args:
        bgr: (H, W, 3) uint8.
        longest_px: a longer edge is reduced to this.
    """
    height, width = bgr.shape[:2]
    scale = longest_px / max(height, width)
    if scale < 1.0:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA).astype(bgr.dtype)
    _, encoded = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()
