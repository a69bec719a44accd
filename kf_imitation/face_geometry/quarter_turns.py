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


def turned_again(turn_deg: int, mirrored: bool, more_deg: int) -> int:
    """Return the turn that does at once what a turn, a mirror image and another turn do.

    Args:
        turn_deg: by which images were turned clockwise.
        mirrored: whether left and right were swapped after that; they stay so.
        more_deg: clockwise turn of what came of it.

    Returns:
        0, 90, 180 or 270, to be made in place of turn_deg, before the mirror image.
    """
    return (turn_deg + (-more_deg if mirrored else more_deg)) % 360
