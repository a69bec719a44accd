"""The change from frame to frame: which two are compared, and the network that compares them.

PairScorer crops both frames alike for any comparison; ChangeNetwork is the learned one, with a
streaming ONNX model, which is given one crop at a time and keeps its state for the next.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import BLENDSHAPES as ARKIT
from kf_imitation.data_types import FaceRegion, FloatArray, Frame, FrameScore, Image
from kf_imitation.errors import ModelError
from kf_imitation.inference import channel_mean, crop

Array = np.ndarray[Any, np.dtype[Any]]

PICTURES = ('crop', 'colour')
READINGS = 'state_readings'  # of eyes and mouth in one frame
EMBEDDINGS = 'state_looks'  # what they are made from
# score = 1 - exp(-raw / SOFTNESS), with raw the change per REFERENCE_S.
SOFTNESS = 0.2
REFERENCE_S = 1 / 30
# Entries of a change vector: blendshapes first, then the head's rotation vector [rad] in the axes
# of the labels.
CHANGE_NAMES = (*ARKIT, 'headPitch', 'headYaw', 'headRoll')
BLENDSHAPES = len(ARKIT)
CHANGE_SIZE = len(CHANGE_NAMES)
# A radian of head rotation counts as this much blendshape change.
ROTATION_WEIGHT = 2.0
# Keeps the logarithm finite: a score this close to 1 is as fast as a face can change.
_HIGHEST = 1 - 1e-6


class StreamingModel(Protocol):
    """What the scorer needs of a model; kf_imitation.inference.OnnxModel has it."""

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


# Frames further apart than this are no pair: too much happens between them.
LONGEST_PAIR_S = 0.25


@dataclass(frozen=True, slots=True)
class PairChange:
    """The change between two crops, as if they were 1/30 s apart.

    Attributes:
        score: 0..1.
        flow_px: RMS of the flow in crop pixels; 0 where the comparison estimates none.
        change: (K,) float32 signed change vector, or None.
        pair: what a network compared, for an explanation; None for a baseline.
    """

    score: float
    flow_px: float = 0.0
    change: FloatArray | None = None
    pair: ScoredPair | None = None


class Comparison(Protocol):
    """Compares each crop with the one before it: the network or a baseline."""

    @property
    def crop_px(self) -> int:
        """Edge of the crops [px]."""
        ...

    @property
    def reading(self) -> FloatArray | None:
        """What the newest crop alone shows, as FrameScore.reading."""
        ...

    @property
    def embeddings(self) -> FloatArray | None:
        """What the reading was made from, as FrameScore.embeddings."""
        ...

    def begin(self, image: Image) -> None:
        """Take a crop as the previous one without comparing it; everything before is forgotten."""
        ...

    def compare(self, image: Image) -> PairChange:
        """Compare a crop with the previous one; it is the previous one from then on."""
        ...


class PairScorer:
    """Scores each frame against the frame before it; both are cropped with the same region.

    Attributes:
        comparison: in use.
        pair: what a network compared for the newest frame, for an explanation; None where that
            frame got no score, and for baselines.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.reset()

    def reset(self) -> None:
        """Forget the previous frame; the next one gets no score."""
        self._frame: Frame | None = None
        self._region: FaceRegion | None = None
        self.pair: ScoredPair | None = None

    def go_over_to(self, comparison: Comparison) -> None:
        """Compare otherwise from the next frame on; no frame loses its score by that."""
        self.comparison = comparison
        self._region = None  # the previous frame is cropped again, for the new comparison

    def score(self, frame: Frame, region: FaceRegion | None) -> FrameScore:
        """Score one frame; call it with every frame in the order of capture.

        There is no score without a face, for the first frame of all, and after a time without
        frames (0.25 s); the note says which. When the region moved, or the face was not known yet
        in the previous frame (the tracker confirms a face before it follows one), the previous
        frame is cropped with the region of this one.

        Args:
            frame: the newest frame. It is kept until the next call.
            region: the face in it, or None.
        """
        previous, old_region = self._frame, self._region
        self._frame, self._region, self.pair = frame, region, None
        if region is None:
            return FrameScore(frame.index, frame.stamp_ns, None, note='no face')
        image = crop(frame.bgr, region, self.comparison.crop_px)
        if previous is None:
            return self._first(image, frame, region, 'first frame')
        dt_s = (frame.stamp_ns - previous.stamp_ns) * 1e-9
        if old_region is not None and old_region.track_id != region.track_id:
            return self._first(image, frame, region, 'another face')
        if not 0 < dt_s <= LONGEST_PAIR_S:
            return self._first(image, frame, region, f'{dt_s:.2f} s since the frame before')
        if old_region != region:
            self.comparison.begin(crop(previous.bgr, region, self.comparison.crop_px))
        found = self.comparison.compare(image)
        self.pair = found.pair
        return FrameScore(
            index=frame.index,
            stamp_ns=frame.stamp_ns,
            score=score_at_rate(found.score, dt_s),
            flow_px=found.flow_px,
            region=region,
            dt_s=dt_s,
            change=None if found.change is None else found.change * (REFERENCE_S / dt_s),
            reading=self.comparison.reading,
            embeddings=self.comparison.embeddings,
            model=found.pair.model.name if found.pair else '',
        )

    def _first(self, image: Image, frame: Frame, region: FaceRegion, note: str) -> FrameScore:
        self.comparison.begin(image)
        return FrameScore(
            frame.index,
            frame.stamp_ns,
            None,
            region=region,
            note=note,
            reading=self.comparison.reading,
            embeddings=self.comparison.embeddings,
        )


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

    @property
    def model_name(self) -> str:
        """The model's name in the manifest."""
        return self._model.name

    @property
    def reading(self) -> FloatArray | None:
        """What the newest crop alone shows; None for models without eyes and mouth."""
        seen = self._state.get(READINGS)
        return None if seen is None else seen.reshape(-1)[:BLENDSHAPES]

    @property
    def embeddings(self) -> FloatArray | None:
        """What the reading was made from; None for models without eyes and mouth."""
        seen = self._state.get(EMBEDDINGS)
        return None if seen is None else seen.reshape(-1)

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


def score_of_raw(raw: float) -> float:
    """Return the score 0..1 of a raw change per 1/30 s (0 or more)."""
    return float(-np.expm1(-raw / SOFTNESS))


def raw_of_score(score: float) -> float:
    """Return the raw change per 1/30 s of a score 0..1; scores above 1 - 1e-6 count as that."""
    return float(-SOFTNESS * np.log1p(-min(score, _HIGHEST)))


def score_of_change(change: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the scores 0..1 of change vectors.

    Args:
        change: (..., 54) per 1/30 s: 51 blendshapes, then 3 head rotations [rad].

    Returns:
        (...); of a single vector a float64.
    """
    scores: NDArray[np.float64] = -np.expm1(raw_of_change(change) / -SOFTNESS)
    return scores


def raw_of_change(change: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the sizes of change vectors, (..., 54) to (...): face and weighted head rotation."""
    squares = np.square(change, dtype=np.float64)
    face = np.sqrt(squares[..., :BLENDSHAPES].sum(axis=-1))
    head = np.sqrt(squares[..., BLENDSHAPES:].sum(axis=-1))
    sizes: NDArray[np.float64] = face + ROTATION_WEIGHT * head
    return sizes


def score_at_rate(score: float, dt_s: float) -> float:
    """Return the score of a pair that is dt_s apart, given its score as if 1/30 s apart.

    The raw change is divided by dt_s * 30; on the scale of the score that is a power.

    Args:
        score: 0..1.
        dt_s: time between the two frames [s], above 0.
    """
    return float(1 - (1 - min(max(score, 0.0), _HIGHEST)) ** (REFERENCE_S / dt_s))
