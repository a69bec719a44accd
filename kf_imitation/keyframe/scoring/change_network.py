"""The learned change: flow and features of a streaming ONNX model."""

from typing import Any

import numpy as np

from kf_imitation.data_types import Image
from kf_imitation.errors import ModelError
from kf_imitation.keyframe.scoring.pair_scorer import PairChange
from kf_imitation.keyframe.scoring.streaming_model import (
    ScoredPair,
    StreamingModel,
    next_state,
    pictures,
    states,
)

Array = np.ndarray[Any, np.dtype[Any]]


class ChangeNetwork:
    """Compares crops with a streaming model: what it computed for one is kept for the next.

    The model's inputs are `crop` (1, S, S, 3) uint8 BGR, or (1, S, S, 1), the mean of the three
    channels, with `colour` (1, s, s, 3), the crop at a smaller size, where colour is wanted too;
    and any number of `state_*`. Its outputs are `score` (1,), `flow` (1, 2, h, w) in crop pixels,
    `change` (1, K) and every state for the next frame, called `next_state_*` (in ONNX no output
    may be called like an input). The state depends on the crop alone. `flow` and `change` may be
    missing.

    A regression sees a little change where nothing moves, always the same for a face in a place.
    So each time a region begins, its first crop is also compared with itself, and that change is
    taken from all that follow: a photograph has change 0.

    Attributes:
        crop_px: edge of the crops [px].
    """

    def __init__(self, model: StreamingModel) -> None:
        """Take a loaded model.

        Args:
            model: with static input shapes.

        Raises:
            ModelError: the model lacks the promised inputs.
        """
        shape = model.input_shapes.get('crop', ())
        square = len(shape) == 4 and isinstance(shape[1], int) and shape[1] == shape[2]
        if not square or shape[0] != 1 or shape[3] not in (1, 3):
            raise ModelError(
                f'model {model.name}: input crop must be (1, S, S, 1 or 3), is {shape}'
            )
        self.crop_px = int(shape[1])
        self._model = model
        self._empty: dict[str, Array] = {}
        for name, state_shape in states(model.input_shapes).items():
            if not name.startswith('state_') or not all(isinstance(n, int) for n in state_shape):
                raise ModelError(
                    f'model {model.name}: input {name} {state_shape} must be a state_* '
                    'of fixed shape'
                )
            self._empty[name] = np.zeros(state_shape, np.float32)
        self._state = self._empty
        self._still: Array | float = 0.0

    def begin(self, image: Image) -> None:
        """Take a crop as the previous one, and measure the change that it has from itself."""
        self._state = self._empty
        if 'change' in self._step(image):
            self._still = self._step(image)['change']

    def compare(self, image: Image) -> PairChange:
        """Compare a crop with the previous one.

        Raises:
            ModelError: the model lacks the promised outputs.
        """
        before = self._state
        outputs = self._step(image)
        flow, change = outputs.get('flow'), outputs.get('change')
        if change is not None:
            change = (change - self._still).reshape(-1).astype(np.float32)
        return PairChange(
            score=float(outputs['score'].reshape(-1)[0]),
            flow_px=0.0 if flow is None else _rms_length(flow),
            change=change,
            pair=ScoredPair(self._model, image, before, outputs),
        )

    def _step(self, image: Image) -> dict[str, Array]:
        outputs = self._model.run({**pictures(image, self._model.input_shapes), **self._state})
        missing = [n for n in ('score', *map(next_state, self._empty)) if n not in outputs]
        if missing:
            raise ModelError(f'model {self._model.name} lacks the outputs {", ".join(missing)}')
        self._state = {name: outputs[next_state(name)] for name in self._empty}
        return outputs


def _rms_length(flow: Array) -> float:
    """Return the root mean square length of (1, 2, h, w) flow vectors."""
    return float(np.sqrt(np.mean(np.sum(np.square(flow, dtype=np.float32), axis=1))))
