"""The models that look closer, at patches of the face: EyeModel and PartModel.

At the 112 px of the landmark model an open eye is five pixels high, and whether it is closed is a
matter of one. In the eye model's patch, cut from the picture as it came, it is twelve high or
more, if the picture has them. The patch is upright and in fixed proportion to the face's size, so
the model sees lids of a turned head as they are.

The part model predicts eyes and mouth from grey patches of the face region. Its networks are
those with which the keyframe model predicts them, on the same pixels
(training/keyframe/networks/eye_mouth_networks.py), but placed by the landmarks. Whether lips part
is better seen than computed from the places of few points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import BLENDSHAPES, FaceRegion, FloatArray, Image
from kf_imitation.face_geometry import wflw
from kf_imitation.face_geometry.head_pose import template
from kf_imitation.face_geometry.wflw import FLIP
from kf_imitation.inference import channel_mean, crop, cut, undo, upright_crop

PATCH_PX = (64, 40)  # width and height
# Patch pixels per edge of the upright face crop.
PX_PER_CROP = 268.0
_RIGHT = (60, 61, 62, 63, 64, 65, 66, 67, 96)
# A left eye is mirrored: its points in the order of a right eye.
EYE_POINTS: dict[str, tuple[int, ...]] = {
    'right': _RIGHT,
    'left': tuple(int(FLIP[i]) for i in _RIGHT),
}
_TEMPLATE = template()
PREDICTIONS = 7  # blink, wide, squint, look up, down, in and out, of the own side


class Model(Protocol):
    """What is needed of OnnxModel."""

    entry: Any

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
    linear = upright_crop(points, _TEMPLATE, 1)[:, :2] * PX_PER_CROP
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


# Eyes behind dark glasses or a flat thing: how bright they are at most, and how far brightness
# varies there, against the cheek below. The least of 1,006 frames of train clips: 0.51 and 0.11.
DARK, FLAT = 0.45, 0.07
_CHEEKS = ((wflw.RIGHT_EYE, wflw.OUTER_LIP[0]), (wflw.LEFT_EYE, wflw.OUTER_LIP[6]))


def eyes_are_hidden(bgr: Image, points: NDArray[np.floating]) -> bool:
    """Return whether neither eye is seen: both are dark, or both flat, against their cheeks.

    Args:
        bgr: (H, W, 3) uint8.
        points: (98, 2) [px].
    """
    brightest, varies = [], []
    for eye, corner in _CHEEKS:
        lids = points[list(eye)].astype(np.float64)
        middle = lids.mean(axis=0)
        width = max(float(np.ptp(lids[:, 0])), 4.0)
        around = _box(bgr, middle, 0.5 * width, 0.3 * width)
        cheek = _box(bgr, (middle + points[corner]) / 2, 0.25 * width, 0.25 * width)
        if not around.size or not cheek.size:
            return False
        level = float(np.median(cheek)) + 3.0
        brightest.append(float(np.percentile(around, 95)) / level)
        varies.append(float(around.std()) / level)
    return max(brightest) < DARK or max(varies) < FLAT


def _box(
    bgr: Image, middle: NDArray[np.floating], across: float, up: float
) -> NDArray[np.float32]:
    """Return the mean of the channels around a place, without what lies beyond the border."""
    x, y = middle.tolist()
    rows = slice(max(0, int(y - up)), max(0, int(y + up + 1)))
    columns = slice(max(0, int(x - across)), max(0, int(x + across + 1)))
    return np.asarray(bgr[rows, columns].mean(axis=2, dtype=np.float32))


CROP_PX = 256  # edge of the face region whose pixels the patches are made of
EYE_BLENDSHAPES = (
    'eyeBlink', 'eyeWide', 'eyeSquint', 'eyeLookUp', 'eyeLookDown', 'eyeLookIn', 'eyeLookOut',
    'browDown', 'browOuterUp', 'browInnerUp',
)  # fmt: skip
INNER_BROW = BLENDSHAPES.index('browInnerUp')


def both_sides(names: Sequence[str]) -> list[list[int]]:
    """Return the places of blendshapes without side in BLENDSHAPES: right side, left side."""
    return [[BLENDSHAPES.index(name + side) for name in names] for side in ('Right', 'Left')]


# Of the two eyes' browInnerUp, which is one, the mean counts.
_EYE_PLACES = both_sides(EYE_BLENDSHAPES[:-1])


@dataclass(frozen=True)
class Patch:
    """The piece of the face region that shows a part; its rows run along the face.

    Attributes:
        size_px: width and height.
        step: spacing of its pixels [px of the region at CROP_PX].
        up: how far its middle lies above that of the part [px of the same].
    """

    size_px: tuple[int, int]
    step: float
    up: float = 0.0

    def cut(
        self,
        grey: NDArray[np.uint8],
        centre: NDArray[np.floating],
        along: NDArray[np.floating],
        mirror: bool = False,
    ) -> NDArray[np.uint8]:
        """Sample the patch.

        Args:
            grey: (CROP_PX, CROP_PX) uint8.
            centre: (2,) of the part [px].
            along: (2,) unit vector from the right eye to the left.
            mirror: exchange left and right.

        Returns:
            (h, w) uint8; beyond the border its pixels are repeated.
        """
        width, height = self.size_px
        x = along * (-self.step if mirror else self.step)
        y = np.array([-along[1], along[0]])
        linear = np.stack([x, y * self.step], axis=1)
        origin = centre - linear @ [(width - 1) / 2, (height - 1) / 2] - y * self.up
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        matrix = np.column_stack([linear, origin])
        border = cv2.BORDER_REPLICATE
        found = cv2.warpAffine(grey, matrix, self.size_px, flags=flags, borderMode=border)
        return np.asarray(found, np.uint8)


# The eye's reaches up to the brow.
EYE = Patch((64, 56), 1.0, up=8.0)
MOUTH = Patch((80, 56), 1.4)


class PartModel:
    """Predicts blendshapes of eyes, brows and mouth."""

    def __init__(self, model: Model) -> None:
        """Take a loaded model.

        Args:
            model: with inputs `eyes` uint8 (2, 56, 64), right and mirrored left, and `mouth`
                uint8 (1, 56, 80); outputs `eye_readings` (2, 10) logits of EYE_BLENDSHAPES and
                `mouth_readings` (1, M) logits of what the manifest entry calls `mouth`.
        """
        self._model = model
        self._mouth = [BLENDSHAPES.index(name) for name in model.entry['mouth']]

    def predict(
        self, bgr: Image, region: FaceRegion, points: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Predict the blendshapes of a face.

        Args:
            bgr: (H, W, 3) uint8.
            region: of the face, in pixels of this image.
            points: (98, 2) [px].

        Returns:
            (51,) logits of BLENDSHAPES; NaN for those that it does not predict.
        """
        grey = channel_mean(crop(bgr, region, CROP_PX))
        corner = np.array([region.x, region.y])
        places = (points + 0.5 - corner) * (CROP_PX / region.size) - 0.5
        right = places[[wflw.RIGHT_EYE_OUTER, wflw.RIGHT_EYE_INNER]].mean(axis=0)
        left = places[[wflw.LEFT_EYE_INNER, wflw.LEFT_EYE_OUTER]].mean(axis=0)
        mouth = places[[wflw.OUTER_LIP[0], wflw.OUTER_LIP[6]]].mean(axis=0)
        along = (left - right) / max(float(np.linalg.norm(left - right)), 1e-6)
        eyes = [EYE.cut(grey, right, along), EYE.cut(grey, left, along, mirror=True)]
        lips = MOUTH.cut(grey, mouth, along)
        found = self._model.run({'eyes': np.stack(eyes), 'mouth': lips[np.newaxis]})
        eyes_found = found['eye_readings']
        logits = np.full(len(BLENDSHAPES), np.nan)
        logits[self._mouth] = found['mouth_readings'][0]
        logits[_EYE_PLACES] = eyes_found[:, :-1]
        logits[INNER_BROW] = eyes_found[:, -1].mean(dtype=np.float64)
        return logits
