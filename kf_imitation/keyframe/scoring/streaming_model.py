"""A model that is given one frame at a time and keeps its state for the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from kf_imitation.data_types import Image
from kf_imitation.inference.crop import channel_mean

Array = np.ndarray[Any, np.dtype[Any]]

PICTURES = ('crop', 'colour')


class StreamingModel(Protocol):
    """What the scorer needs of a model; kf_imitation.inference.onnx_model.OnnxModel has it."""

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
        model: that answered.
        crop: (S, S, 3) uint8 BGR, of the current frame.
        before: state of the frame before by input name.
        outputs: of the model, the state of the current frame among them.
    """

    model: StreamingModel
    crop: Image
    before: Mapping[str, Array]
    outputs: Mapping[str, Array]


def pictures(crop: Image, shapes: Mapping[str, tuple[Any, ...]]) -> dict[str, Array]:
    """Return what a model is given of a crop.

    Args:
        crop: (S, S, 3) uint8 BGR.
        shapes: of the model's inputs. Of `crop` the last number is 3 or, for the mean of the
            channels, 1; `colour`, where there is one, is the crop shrunk to that size.

    Returns:
        (1, height, width, channels) uint8 by name.
    """
    found = {'crop': crop[np.newaxis]}
    if shapes['crop'][3] == 1:
        found['crop'] = channel_mean(crop)[np.newaxis, ..., np.newaxis]
    if 'colour' in shapes:
        _, height, width, _ = shapes['colour']
        small = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
        found['colour'] = np.asarray(small, np.uint8)[np.newaxis]
    return found


def states(shapes: Mapping[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Return the shapes of the inputs that are no pictures."""
    return {name: shape for name, shape in shapes.items() if name not in PICTURES}


def next_state(state: str) -> str:
    """Return the name of the output that holds an input's next value."""
    return f'next_{state}'
