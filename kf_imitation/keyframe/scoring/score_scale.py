"""The scale of the score: change per 1/30 s, squeezed into 0..1 (docs/keyframes.md)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.face_geometry.arkit import BLENDSHAPES as ARKIT

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


def score_of_raw(raw: float) -> float:
    """Return the score 0..1 of a raw change per 1/30 s (0 or more)."""
    return float(-np.expm1(-raw / SOFTNESS))


def raw_of_score(score: float) -> float:
    """Return the raw change per 1/30 s of a score 0..1; scores above 1 - 1e-6 count as that."""
    return float(-SOFTNESS * np.log1p(-min(score, _HIGHEST)))


def score_of_change(change: NDArray[np.floating[Any]]) -> float:
    """Return the score 0..1 of a change vector.

    Args:
        change: (54,) per 1/30 s: 51 blendshapes, then 3 head rotations [rad].
    """
    return score_of_raw(raw_of_change(change))


def raw_of_change(change: NDArray[np.floating[Any]]) -> float:
    """Return the size of a change vector, (54,): blendshapes and weighted head rotation."""
    rotation = float(np.linalg.norm(change[BLENDSHAPES:]))
    return float(np.linalg.norm(change[:BLENDSHAPES])) + ROTATION_WEIGHT * rotation


def score_at_rate(score: float, dt_s: float) -> float:
    """Return the score of a pair that is dt_s apart, given its score as if 1/30 s apart.

    The raw change is divided by dt_s * 30; on the scale of the score that is a power.

    Args:
        score: 0..1.
        dt_s: time between the two frames [s], above 0.
    """
    return float(1 - (1 - min(max(score, 0.0), _HIGHEST)) ** (REFERENCE_S / dt_s))
