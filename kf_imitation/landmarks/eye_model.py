"""The eye model: both eyes in patches of their own, cut from the picture as it came.

At the 112 px of the landmark model an open eye is five pixels high, and whether it is closed is a
matter of one. In a patch it is twelve high or more, if the picture has them. The patch is upright
and in fixed proportion to the face's size, so the model sees lids of a turned head as they are.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FloatArray, Image
from kf_imitation.face_geometry.alignment import cut, undo, upright_crop
from kf_imitation.face_geometry.mean_face import template
from kf_imitation.face_geometry.wflw import FLIP

PATCH_PX = (64, 40)  # width and height
# Patch pixels per edge of the upright face crop.
PX_PER_CROP = 268.0
_RIGHT = (60, 61, 62, 63, 64, 65, 66, 67, 96)
# A left eye is mirrored: its points in the order of a right eye.
EYE_POINTS: dict[str, tuple[int, ...]] = {
    'right': _RIGHT,
    'left': tuple(int(FLIP[i]) for i in _RIGHT),
}
PREDICTIONS = 7  # blink, wide, squint, look up, down, in and out, of the own side


class Model(Protocol):
    """What is needed of OnnxModel."""

    def run(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once."""
        ...


def eye_matrix(
    points: NDArray[np.floating], side: str, size_px: tuple[int, int] = PATCH_PX
) -> NDArray[np.float64]:
    """Where the patch of an eye lies.

    Args:
        points: (98, 2) [px].
        side: 'right' or 'left', the person's own.
        size_px: of the patch; a larger one has the same scale and middle.

    Returns:
        (2, 3) from image pixels to patch pixels (before mirroring a left eye).
    """
    matrix = upright_crop(points, template(), 1)
    linear = matrix[:, :2] * PX_PER_CROP
    corners = points[[EYE_POINTS[side][0], EYE_POINTS[side][4]]].astype(np.float64)
    middle = (np.array(size_px) - 1) / 2
    return np.hstack([linear, (middle - linear @ corners.mean(axis=0))[:, None]])


def mirrored_points(points: NDArray[np.floating], width_px: int) -> NDArray[np.floating]:
    """Pixel positions in a mirrored image, integers being pixel centres."""
    return np.asarray(points * (-1, 1) + (width_px - 1, 0))


class EyeModel:
    """Finds lids and pupils again, larger, and predicts how far lids close and where eyes look."""

    def __init__(self, model: Model) -> None:
        """Take a loaded model.

        Args:
            model: with input `patches` uint8 (2, 40, 64, 3) BGR (right eye, mirrored left eye),
                outputs `points` (2, 9, 2) [patch px] and `readings` (2, 7) logits.
        """
        self._model = model

    def refine(self, bgr: Image, points: NDArray[np.floating]) -> tuple[FloatArray, FloatArray]:
        """Refine lids and pupils of both eyes.

        Args:
            bgr: (H, W, 3) uint8.
            points: (98, 2) [px], as the landmark model found them.

        Returns:
            The points with lids and pupils refined (98, 2), and the predictions (2, 7), right eye
            first.
        """
        matrices = [eye_matrix(points, side) for side in EYE_POINTS]
        right, left = (cut(bgr, matrix, PATCH_PX) for matrix in matrices)
        patches = np.stack([right, left[:, ::-1]])
        outputs = self._model.run({'patches': patches})
        refined = np.array(points, np.float32)
        for row, (side, matrix) in enumerate(zip(EYE_POINTS, matrices, strict=True)):
            found = outputs['points'][row]
            if side == 'left':
                found = mirrored_points(found, PATCH_PX[0])
            refined[list(EYE_POINTS[side])] = undo(matrix, found)
        return refined, outputs['readings'].astype(np.float32)
