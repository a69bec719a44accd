"""Whether a frame alone shows that the eyes of a face are seen, before a keyframe has looked.

Behind dark glasses the readings of frames are half shut lids. A regression on the embeddings
(training/landmarks/fit/hidden_eyes.py) tells eyes that are surely seen; of the others some are
hidden.
"""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.expression.clear_expressions import parts_of
from kf_imitation.model_files import load_table

_TABLE = load_table('hidden_eyes')
_WEIGHTS = np.array(_TABLE['weights'])


def eyes_are_seen(embeddings: NDArray[np.floating]) -> bool:
    """Return whether eyes are surely seen.

    Args:
        embeddings: as FrameScore.embeddings.
    """
    return bool(parts_of(embeddings)[1] @ _WEIGHTS + _TABLE['bias'] < _TABLE['seen'])
