"""Why a frame was chosen: what its change consists of, and what the network saw it by.

The raw change behind a score, |blendshapes| + 2 |rotation| = <change, g> with g the gradient of
that size (Euler: the size is homogeneous of degree one), is linear in the change vector once g is
fixed. So any way to write the vector as a sum of parts splits the raw change exactly.

Two such splits are given:

- by what moved: the head (its rotation) and the face (blendshapes, and which of them);
- by what the network saw it by. It compares two things with the frame before: motion (FastFlowNet:
  flow and the differences of its pyramid; gradients) and appearance (what is read from one frame
  alone: eyes and mouth, ResNet-50's guess of the expression). Either is held still by giving it
  the current frame's own state as the state before. The network then answers for motion alone,
  for appearance alone and for neither, and the Shapley value of each (Shapley 1953: its gain,
  averaged over both orders of adding it) is its part of the change vector. What the network
  answers with both held is neither's: the still fraction.

The features of the current frame itself stay as they are in all of this: they tell the network
how to read a movement, they do not change between the answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kf_imitation.data_types import FloatArray
from kf_imitation.errors import ModelError
from kf_imitation.keyframe.scoring.pair_scorer import (
    BLENDSHAPES,
    CHANGE_NAMES,
    ROTATION_WEIGHT,
    Array,
    ScoredPair,
    StreamingModel,
    next_state,
    pictures,
    score_of_raw,
)

# The states of a model that belong to its appearance part; all others belong to motion.
_APPEARANCE = frozenset({'state_expression', 'state_readings', 'state_looks', 'state_places'})
_NAMED = 5


@dataclass(frozen=True, slots=True)
class ChangeSplit:
    """What moved.

    Attributes:
        head_share: part of the raw change that is the head's rotation, 0..1.
        score_without_head: the score that is left when the head's rotation is taken out, 0..1.
        strongest: the channels that changed most with their signed change (blendshapes 0..1,
            head angles rad, per 1/30 s), strongest first.
    """

    head_share: float
    score_without_head: float
    strongest: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a frame was chosen.

    The three fractions of what the network saw add up to 1. One may be below 0 or above 1: motion
    and appearance then contradict each other. All are 0 where nothing changed at all.

    Attributes:
        flow_share: part of the raw change that comes from motion.
        appearance_share: part that comes from appearance; 0 for a model without it.
        still_share: part that the model answers though nothing moves.
        split: what moved.
    """

    flow_share: float
    appearance_share: float
    still_share: float
    split: ChangeSplit


def explain_pair(pair: ScoredPair, change: FloatArray | None = None) -> Explanation:
    """Explain a scored pair: three more runs of its model, one for a model without appearance.

    Args:
        pair: what ChangeNetwork was given, and its answer.
        change: (54,) per 1/30 s, to be split by what moved: the smoothed vector that the score
            was made from. None takes the pair's own.

    Raises:
        ModelError: the model gives no change vector of 54.
    """
    appearance_states = frozenset(pair.before) & _APPEARANCE
    motion_states = frozenset(pair.before) - _APPEARANCE
    nothing: frozenset[str] = frozenset()
    answers = {nothing: _change(pair.model, pair.outputs)}
    for held in (appearance_states, motion_states, appearance_states | motion_states):
        if held not in answers:
            answers[held] = _answer(pair, held)
    both, neither = answers[nothing], answers[appearance_states | motion_states]
    motion_alone, appearance_alone = answers[appearance_states], answers[motion_states]
    motion = (motion_alone - neither + both - appearance_alone) / 2
    appearance = (appearance_alone - neither + both - motion_alone) / 2
    gradient = _gradient(both)
    raw = float(gradient @ both)
    scale = 1 / raw if raw > 0 else 0.0
    return Explanation(
        flow_share=float(gradient @ motion) * scale,
        appearance_share=float(gradient @ appearance) * scale,
        still_share=float(gradient @ neither) * scale,
        split=split_change(both if change is None else change),
    )


def split_change(change: FloatArray) -> ChangeSplit:
    """Return what moved.

    Args:
        change: (54,) per 1/30 s: 51 blendshapes, then the head's rotation vector [rad].
    """
    face = float(np.linalg.norm(change[:BLENDSHAPES]))
    head = ROTATION_WEIGHT * float(np.linalg.norm(change[BLENDSHAPES:]))
    weighted = np.abs(change)
    weighted[BLENDSHAPES:] *= ROTATION_WEIGHT
    order = np.argsort(-weighted, kind='stable')[:_NAMED]
    return ChangeSplit(
        head_share=head / (face + head) if face + head > 0 else 0.0,
        score_without_head=score_of_raw(face),
        strongest=tuple((CHANGE_NAMES[i], float(change[i])) for i in order),
    )


def _answer(pair: ScoredPair, held: frozenset[str]) -> FloatArray:
    """Return the change vector with some states held as if they had been so before."""
    before = {
        name: pair.outputs[next_state(name)] if name in held else state
        for name, state in pair.before.items()
    }
    model = pair.model
    return _change(model, model.run({**pictures(pair.crop, model.input_shapes), **before}))


def _change(model: StreamingModel, outputs: Mapping[str, Array]) -> FloatArray:
    change = outputs.get('change')
    if change is None or change.size != len(CHANGE_NAMES):
        raise ModelError(
            f'model {model.name}: has no output change of {len(CHANGE_NAMES)}, '
            'so its scores cannot be explained'
        )
    return change.reshape(-1).astype(np.float32)


def _gradient(change: FloatArray) -> FloatArray:
    """Return the gradient of |blendshapes| + 2 |rotation|; 0 in a part that is 0."""
    gradient = np.zeros_like(change)
    for part, weight in (
        (slice(None, BLENDSHAPES), 1.0),
        (slice(BLENDSHAPES, None), ROTATION_WEIGHT),
    ):
        length = float(np.linalg.norm(change[part]))
        if length > 0:
            gradient[part] = weight * change[part] / length
    return gradient
