"""A small network that says where in a crop the canonical region is, and whether there is a face.

It replaces detection while a face is followed: a window around the face is cut out of the frame,
and out of that one crop of 40 x 40 grey pixels (0.1 ms) for the network. Trained by
training/face/train_region.py.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FaceRegion, Image
from kf_imitation.face.detector import PATCH_PX, PATCH_REGION_PX
from kf_imitation.inference import OnnxModel

MODEL = 'face_region'
CROP_PX = 40
CROP_REGIONS = 1.4  # edge of the crop in edges of the supposed region


@dataclass(frozen=True, slots=True)
class Window:
    """A square of the frame, 1.6 regions wide; may reach over the border.

    Attributes:
        x: left edge [px].
        y: upper edge [px].
        edge: [px].
    """

    x: int
    y: int
    edge: int

    @staticmethod
    def around(region: FaceRegion) -> 'Window':
        """The window in whose copy the region has PATCH_REGION_PX, in the middle."""
        edge = max(8, round(region.size * PATCH_PX / PATCH_REGION_PX))
        half = region.size / 2
        return Window(round(region.x + half - edge / 2), round(region.y + half - edge / 2), edge)

    @property
    def scale(self) -> float:
        """Patch pixels per frame pixel."""
        return PATCH_PX / self.edge

    def cut(self, bgr: Image) -> NDArray[np.uint8]:
        """(96, 96) grey; the frame's border is continued outwards."""
        height, width = bgr.shape[:2]
        x0, y0 = max(self.x, 0), max(self.y, 0)
        x1, y1 = min(self.x + self.edge, width), min(self.y + self.edge, height)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return np.zeros((PATCH_PX, PATCH_PX), np.uint8)
        part = bgr[y0:y1, x0:x1]
        left, top = round((x0 - self.x) * self.scale), round((y0 - self.y) * self.scale)
        inner_w = min(PATCH_PX - left, max(1, round((x1 - x0) * self.scale)))
        inner_h = min(PATCH_PX - top, max(1, round((y1 - y0) * self.scale)))
        if self.edge > 2 * PATCH_PX:  # linear to twice the size, then mean: fast, little aliasing
            part = cv2.resize(part, (2 * inner_w, 2 * inner_h), interpolation=cv2.INTER_LINEAR)
        part = cv2.resize(part, (inner_w, inner_h), interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
        if inner_w < PATCH_PX or inner_h < PATCH_PX:
            right, bottom = PATCH_PX - left - inner_w, PATCH_PX - top - inner_h
            grey = cv2.copyMakeBorder(grey, top, bottom, left, right, cv2.BORDER_REPLICATE)
        return np.asarray(grey, np.uint8)

    def to_patch(self, region: FaceRegion) -> FaceRegion:
        """Frame to patch pixels; whole numbers are the centres of pixels in both."""
        k = self.scale
        shift = 0.5 * (k - 1)
        return FaceRegion(
            (region.x - self.x) * k + shift, (region.y - self.y) * k + shift, region.size * k
        )

    def to_frame(self, region: FaceRegion) -> FaceRegion:
        """Patch to frame pixels."""
        k = 1 / self.scale
        shift = 0.5 * (k - 1)
        return FaceRegion(
            region.x * k + shift + self.x, region.y * k + shift + self.y, region.size * k
        )


def net_crop(patch: NDArray[np.uint8], region: FaceRegion) -> NDArray[np.uint8]:
    """The crop that the region network is given.

    Args:
        patch: (96, 96) grey.
        region: in patch pixels.

    Returns:
        (40, 40) uint8, 1.4 regions wide.
    """
    scale = 2 * CROP_PX / (CROP_REGIONS * region.size)
    half = region.size / 2
    matrix = np.array(
        [
            [scale, 0.0, CROP_PX - scale * (region.x + half)],
            [0.0, scale, CROP_PX - scale * (region.y + half)],
        ]
    )
    double = cv2.warpAffine(
        patch, matrix, (2 * CROP_PX, 2 * CROP_PX), borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(
        cv2.resize(double, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA), np.uint8
    )


@dataclass(frozen=True, slots=True)
class Centring:
    """What the network sees in a crop.

    Attributes:
        x: centre of the canonical region minus centre of the crop, in units of the supposed size.
        y: the same, downwards.
        log_size: log of canonical size over supposed size.
        confidence: of a face somewhere near the middle, 0..1.
    """

    x: float
    y: float
    log_size: float
    confidence: float


class RegionNet:
    """The network on its runtime."""

    def __init__(self, model: OnnxModel | None = None) -> None:
        """Load the model.

        Args:
            model: None loads MODEL of the manifest.

        Raises:
            ModelError: it is missing or altered.
        """
        self._model = model or OnnxModel.load(MODEL, threads=1)

    def locate(self, crop: NDArray[np.uint8]) -> Centring:
        """Find the region.

        Args:
            crop: (40, 40) grey around the supposed region, 1.4 times its edge.
        """
        result = self._model.run({'crop': crop[None, None]})
        x, y, log_size = (float(v) for v in result['offset'][0])
        return Centring(x, y, log_size, float(result['confidence'][0, 0]))
