"""Landmarks, face region and score drawn on frames."""

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FaceImage, FaceRegion, FloatArray, Image, Landmarks

Colour = tuple[int, int, int]

# BGR; the same hues mean the same things in every picture of the project.
KEYFRAME: Colour = (48, 104, 244)
SCORE: Colour = (208, 160, 60)
REGION: Colour = (230, 230, 230)
TEXT: Colour = (240, 240, 240)

# Lines of the WFLW-98 layout: first point, last point, closed, colour.
_PARTS: tuple[tuple[int, int, bool, Colour], ...] = (
    (0, 32, False, (210, 200, 180)),  # contour
    (33, 41, True, (120, 220, 120)),  # the person's right brow
    (42, 50, True, (120, 220, 120)),
    (51, 54, False, (200, 180, 240)),  # nose bridge
    (55, 59, False, (200, 180, 240)),
    (60, 67, True, (240, 210, 90)),  # eyes
    (68, 75, True, (240, 210, 90)),
    (76, 87, True, (110, 120, 250)),  # lips
    (88, 95, True, (110, 120, 250)),
)
_PUPILS = (96, 97)
_SHIFT = 4


def draw_points(bgr: Image, points_px: FloatArray, thickness: int = 1) -> None:
    """Draw the lines of 98 WFLW points into an image.

    Args:
        bgr: (H, W, 3) uint8, changed.
        points_px: (98, 2) in pixels of this image.
        thickness: of the lines [px].
    """
    fixed: NDArray[np.int32] = np.round(points_px * (1 << _SHIFT)).astype(np.int32)
    for first, last, closed, colour in _PARTS:
        line = fixed[first : last + 1].reshape(-1, 1, 2)
        cv2.polylines(bgr, [line], closed, colour, thickness, cv2.LINE_AA, _SHIFT)
    radius = max(1, thickness) * (1 << _SHIFT)
    for index in _PUPILS:
        centre = int(fixed[index, 0]), int(fixed[index, 1])
        cv2.circle(bgr, centre, radius, (240, 210, 90), -1, cv2.LINE_AA, _SHIFT)


def draw_region(bgr: Image, region: FaceRegion, colour: Colour = REGION) -> None:
    """Draw the corners of the face region into an image."""
    left, top = region.x, region.y
    right, bottom = left + region.size, top + region.size
    arm = region.size * 0.12
    width = max(1, round(max(bgr.shape[:2]) / 500))
    for x, y, to_x, to_y in (
        (left, top, 1, 1),
        (right, top, -1, 1),
        (left, bottom, 1, -1),
        (right, bottom, -1, -1),
    ):
        corner = round(x), round(y)
        cv2.line(bgr, corner, (round(x + to_x * arm), round(y)), colour, width, cv2.LINE_AA)
        cv2.line(bgr, corner, (round(x), round(y + to_y * arm)), colour, width, cv2.LINE_AA)


def face_thumbnail(face: FaceImage, landmarks: Landmarks | None, size_px: int) -> Image:
    """Return a square picture of a face, with its landmarks if given.

    Args:
        face: cut out of the frame; what lies beyond the frame's border is dark.
        landmarks: in pixels of the full image.
        size_px: edge of the picture [px].
    """
    scale = size_px / max(face.width, face.height)
    width, height = max(1, round(face.width * scale)), max(1, round(face.height * scale))
    method = cv2.INTER_AREA if width < face.bgr.shape[1] else cv2.INTER_CUBIC
    picture = np.full((size_px, size_px, 3), 32, np.uint8)
    left, top = (size_px - width) // 2, (size_px - height) // 2
    part = picture[top : top + height, left : left + width]
    part[:] = cv2.resize(face.bgr, (width, height), interpolation=method)
    if landmarks is not None:
        points = (landmarks.points_px - (face.x, face.y)) * scale + (left, top)
        draw_points(picture, points.astype(np.float32), max(1, round(size_px / 200)))
    return picture


def cut_thumbnail(
    bgr: Image, region: FaceRegion, landmarks: Landmarks | None, size_px: int
) -> Image:
    """Return a square picture of the face in a frame, with its landmarks if given.

    Args:
        bgr: (H, W, 3) uint8, the full image.
        region: of the face in it; may reach over the border.
        landmarks: in pixels of the full image.
        size_px: edge of the picture [px].
    """
    height, width = bgr.shape[:2]
    left, top = min(max(0, round(region.x)), width - 1), min(max(0, round(region.y)), height - 1)
    right = min(max(left + 1, round(region.x + region.size)), width)
    bottom = min(max(top + 1, round(region.y + region.size)), height)
    part = bgr[top:bottom, left:right]
    face = FaceImage(0, part, left, top, right - left, bottom - top)
    return face_thumbnail(face, landmarks, size_px)


def label(
    bgr: Image, text: str, place: tuple[int, int], colour: Colour = TEXT, scale: float = 0.5
) -> None:
    """Write text with a dark rim, readable on any background; place is its lower left corner."""
    thickness = max(1, round(scale * 2))
    font = cv2.FONT_HERSHEY_SIMPLEX
    # A thicker rim of the same text would not do: some OpenCV versions widen it.
    for x, y in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        rim = place[0] + x, place[1] + y
        cv2.putText(bgr, text, rim, font, scale, (20, 20, 20), thickness, cv2.LINE_AA)
    cv2.putText(bgr, text, place, font, scale, colour, thickness, cv2.LINE_AA)
