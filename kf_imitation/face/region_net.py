"""A small network that says where in a crop the canonical region is, and whether there is a face.

It replaces detection while a face is followed: one crop of 40 x 40 grey pixels, 0.1 ms.
Trained by training/face/train_region.py.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kf_imitation.onnx_model import OnnxModel

MODEL = 'face_region'
CROP_PX = 40
CROP_REGIONS = 1.4  # edge of the crop in edges of the supposed region


@dataclass(frozen=True, slots=True)
class Centring:
    """What the network sees in a crop.

    Attributes:
        x: centre of the canonical region minus centre of the crop, shares of the supposed size.
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

    def look(self, crop: NDArray[np.uint8]) -> Centring:
        """Find the region.

        Args:
            crop: (40, 40) grey around the supposed region, 1.4 times its edge.
        """
        result = self._model.run({'crop': crop[None, None]})
        x, y, log_size = (float(v) for v in result['offset'][0])
        return Centring(x, y, log_size, float(result['confidence'][0, 0]))
