"""The part model: eyes and mouth predicted from grey patches of the face region.

These are the networks with which the keyframe model predicts them, on the same pixels
(training/keyframe/networks/eye_mouth_networks.py), but placed by the landmarks. Whether lips part
is better seen than computed from the places of few points.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FaceRegion, Image
from kf_imitation.face_geometry import wflw
from kf_imitation.inference.crop import channel_mean, crop

CROP_PX = 256  # edge of the face region whose pixels the patches are made of
EYE_BLENDSHAPES = (
    'eyeBlink', 'eyeWide', 'eyeSquint', 'eyeLookUp', 'eyeLookDown', 'eyeLookIn', 'eyeLookOut',
    'browDown', 'browOuterUp', 'browInnerUp',
)  # fmt: skip
# Of the two eyes' browInnerUp, which is one, the mean counts.
SIDES = ('Right', 'Left')


class Model(Protocol):
    """What is needed of OnnxModel."""

    entry: Any

    def run(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once."""
        ...


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
        self._mouth: tuple[str, ...] = tuple(model.entry['mouth'])

    def predict(
        self, bgr: Image, region: FaceRegion, points: NDArray[np.floating]
    ) -> Mapping[str, float]:
        """Predict the blendshapes of a face.

        Args:
            bgr: (H, W, 3) uint8.
            region: of the face, in pixels of this image.
            points: (98, 2) [px].

        Returns:
            Logit of each blendshape by its ARKit name.
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
        logits = dict(zip(self._mouth, found['mouth_readings'][0].tolist(), strict=True))
        both = found['eye_readings']
        for side, row in zip(SIDES, both, strict=True):
            logits |= {n + side: float(v) for n, v in zip(EYE_BLENDSHAPES, row, strict=True)}
        inner = [logits.pop(f'browInnerUp{side}') for side in SIDES]
        return {**logits, 'browInnerUp': sum(inner) / 2}
