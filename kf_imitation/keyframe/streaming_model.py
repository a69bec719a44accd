"""A model that sees one frame at a time, and what it saw of a pair."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from kf_imitation.data_types import Image

Array = np.ndarray[Any, np.dtype[Any]]


class StreamingModel(Protocol):
    """What the scorer needs of a model; kf_imitation.onnx_model.OnnxModel has it."""

    @property
    def name(self) -> str:
        """The model's name, for messages."""
        ...

    @property
    def input_shapes(self) -> Mapping[str, tuple[Any, ...]]:
        """Shape by input name."""
        ...

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return arrays by output name."""
        ...


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """What a model was given for a pair of frames, and its answer.

    Attributes:
        crop: (S, S, 3) uint8 BGR, of the current frame.
        before: state of the frame before by input name.
        outputs: of the model, the state of the current frame among them.
    """

    crop: Image
    before: Mapping[str, Array]
    outputs: Mapping[str, Array]


def crop_feed(crop: Image, channels: int) -> Array:
    """Return what a model is given of a crop.

    Args:
        crop: (S, S, 3) uint8 BGR.
        channels: 3, or 1 for models that see the mean of the three.

    Returns:
        (1, S, S, channels) uint8.
    """
    if channels == 3:
        return crop[np.newaxis]
    mean = cv2.transform(crop, np.full((1, 3), 1 / 3))
    return np.asarray(mean, np.uint8).reshape(1, *crop.shape[:2], 1)


def next_state(state: str) -> str:
    """Return the name of the output that holds an input's next value."""
    return f'next_{state}'
