"""Whether a frame alone shows that mouth and eyes of a face are seen.

Behind dark glasses the readings of frames are half shut lids, and what a covered mouth looks like
is not the person's own. Regressions on the embeddings (training/landmarks/fit/hidden_parts.py)
tell parts that are surely seen; of the others some are hidden.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kf_imitation.model_files import load_table

PARTS = ('mouth', 'eyes')  # in the order of clear_expressions.parts_of


class Seen(NamedTuple):
    """What a frame shows.

    Attributes:
        mouth: is not covered as far as one can tell.
        eyes: are not covered as far as one can tell.
        eyes_surely: are not covered.
    """

    mouth: bool
    eyes: bool
    eyes_surely: bool


ALL_SEEN = Seen(True, True, True)


def parts_seen(parts: NDArray[np.floating]) -> Seen:
    """Return what is seen of a face.

    Args:
        parts: (2, 96), of clear_expressions.parts_of.
    """
    mouth, eyes = _regressions()
    eyes_answer = parts[1] @ eyes.weights + eyes.bias
    return Seen(
        bool(parts[0] @ mouth.weights + mouth.bias < mouth.own),
        bool(eyes_answer < eyes.own),
        bool(eyes_answer < eyes.seen),
    )


class _Regression(NamedTuple):
    weights: NDArray[np.float64]
    bias: float
    own: float
    seen: float


@cache
def _regressions() -> list[_Regression]:
    tables = [load_table('hidden_parts')[name] for name in PARTS]
    return [
        _Regression(np.array(t['weights']), t['bias'], t['own'], t.get('seen', t['own']))
        for t in tables
    ]
