"""What frames clearly show though labels hardly know it, as renders taught."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS
from kf_imitation.expression.channels import Levels
from kf_imitation.expression.hidden_parts import Seen
from kf_imitation.model_files import load_table

CLEAR_CHANNELS = {
    'mouth': (('mouth_frown_left', 'mouth_frown_right'), ('lip_press',), ('mouth_pucker',)),
    'eyes': (('brow_lower',), ('eye_wide_left', 'eye_wide_right')),
}
EMBEDDING = 96  # values of a part
_OWN_EVERY_NS = 190_000_000  # between two looks at what a person mostly shows …
_OWN_KEPT = 100  # … of which so many count, 20 s
_OWN_HALF = 10.0  # looks after which half of it is believed
CLEAR_NS = 110_000_000  # for so long an expression must be there: talk comes and goes sooner
LEAK = 0.1  # of the hidden layer, below 0


class ClearExpressions:
    """Frowns, pressed and rounded lips, lowered brows and wide eyes that frames show clearly.

    The labels hardly know them, so the readings hardly have them. A small network, trained on
    rendered people whose faces are known and on the labels of real ones
    (training/landmarks/fit/clear.py), is given how the embeddings of a frame differ from what they
    mostly are for this person. Below what people who just talk reach, its answers are nothing.
    """

    def __init__(self) -> None:
        self._parts = clear_parts()
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._usual = [UsualLook() for _ in self._parts]
        self._past: deque[tuple[int, Levels]] = deque()

    def push(self, stamp_ns: int, parts: NDArray[np.floating], seen: Seen) -> Levels:
        """Take the next frame.

        Args:
            stamp_ns: later than the one before.
            parts: (2, 96) of parts_of.
            seen: what is not covered; the rest is not taken for the person's own.

        Returns:
            (19,) channels that the person shows at least, 0..1; 0 for those that are not read.
        """
        shown = np.zeros(len(CHANNELS))
        for k, (part, usual) in enumerate(zip(self._parts, self._usual, strict=True)):
            if seen[k]:
                usual.push(stamp_ns, parts[k])
            if usual.middle is not None:
                values = part.values(parts[k] - usual.middle)[part.rows]
                shown[part.columns] = usual.belief * values
        while self._past and self._past[0][0] < stamp_ns - CLEAR_NS:
            self._past.popleft()
        self._past.append((stamp_ns, shown))
        return np.asarray(np.min([row for _, row in self._past], axis=0))


class UsualLook:
    """What a part of a person's face mostly looks like, where it was seen.

    Attributes:
        middle: (96,) median of its embeddings; None before the first.
    """

    def __init__(self) -> None:
        self.middle: NDArray[np.floating] | None = None
        self._own: deque[NDArray[np.floating]] = deque(maxlen=_OWN_KEPT)
        self._looked_ns = 0

    @property
    def belief(self) -> float:
        """How far it is believed, 0..1."""
        return len(self._own) / (len(self._own) + _OWN_HALF)

    def push(self, stamp_ns: int, part: NDArray[np.floating]) -> None:
        """Take a look (96,), unless there was one just before."""
        if self.middle is None or stamp_ns - self._looked_ns >= _OWN_EVERY_NS:
            self._own.append(part)
            self._looked_ns = stamp_ns
            self.middle = np.median(self._own, axis=0)


@dataclass(frozen=True)
class ClearPart:
    """The network of one part of the face.

    Attributes:
        columns: places in CHANNELS that it answers for.
        rows: which of its answers each of them is.
        layers: weights and bias of the hidden layer, then of the answers.
        least: answers that people who just talk reach; they count as 0.
        full: answers to full expressions; they count as 1.
    """

    columns: list[int]
    rows: list[int]
    layers: tuple[Levels, Levels, Levels, Levels]
    least: Levels
    full: Levels

    def values(self, moved: NDArray[np.floating]) -> Levels:
        """Return what the answers to moved embeddings (..., 96) are worth, (..., A) 0..1."""
        found = clear_answers(self.layers, moved)
        return np.clip((found - self.least) / (self.full - self.least), 0.0, 1.0)


def clear_answers(layers: Sequence[Levels], moved: NDArray[np.floating]) -> Levels:
    """Return the answers of a network.

    Args:
        layers: as ClearPart.layers.
        moved: (..., 96) what the embedding of the part differs from what it usually is.

    Returns:
        (..., A).
    """
    weights, bias, last, last_bias = layers
    hidden = moved @ weights + bias
    return np.asarray(np.maximum(hidden, LEAK * hidden) @ last + last_bias)


def parts_of(embeddings: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the mean of the eyes and the mouth of embeddings (..., 288): (..., 2, 96)."""
    right, left, mouth = np.split(embeddings, 3, axis=-1)
    return np.stack([mouth, (right + left) / 2], axis=-2)


@cache
def clear_parts() -> tuple[ClearPart, ...]:
    """Return the networks of the parts, in the order of parts_of."""
    found = []
    for name, answers in CLEAR_CHANNELS.items():
        table = load_table('clear_expressions')[name]
        # A line of text is read ten times as fast as its numbers one by one.
        rows = [np.array(line.split(), float) for line in table['weights']]
        weights = np.array(rows) * table['weights_scale']
        layers = weights, np.array(table['bias']), np.array(table['last']), table['last_bias']
        columns = [CHANNELS.index(channel) for one in answers for channel in one]
        places = [row for row, one in enumerate(answers) for _ in one]
        bounds = np.array(table['least']), np.array(table['full'])
        found.append(ClearPart(columns, places, layers, *bounds))
    return tuple(found)
