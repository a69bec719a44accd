"""Images on their side or upside down, because the camera hangs so or the face lies so."""

import cv2
import numpy as np

from kf_imitation.data_types import Image

QUARTER_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def quarter_turned(bgr: Image, clockwise_deg: int) -> Image:
    """Return an image turned by one of QUARTER_TURNS."""
    return np.asarray(cv2.rotate(bgr, QUARTER_TURNS[clockwise_deg]), np.uint8)
