"""How well keyframes are found: the definitions of docs/keyframes.md, to the letter."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment
from scipy.signal import find_peaks
from scipy.spatial.transform import Rotation
from scipy.stats import spearmanr

from kf_imitation.evaluation.labels import Labels

_SIGMA_S = 0.05
_ROTATION_WEIGHT = 2.0
_SOFTNESS = 0.2
_PROMINENCE = 0.1
_DISTANCE_S = 0.2
# Clips with fewer ground-truth keyframes say little; the means leave them out.
FEWEST_KEYFRAMES = 3

Indices = Sequence[int] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Target:
    """Ground truth of one clip.

    Attributes:
        scores: (N,) float64 0..1, the first 0.
        keyframes: sorted frame indices.
        fps: of the clip [Hz].
    """

    scores: NDArray[np.float64]
    keyframes: NDArray[np.int64]
    fps: float


@dataclass(frozen=True, slots=True)
class ClipMetrics:
    """Measures of one clip; what cannot be computed is None.

    Attributes:
        e_n: difference of the numbers of keyframes.
        e_l: mean distance of paired keyframes [frames]; None without a pair.
        f1: F1@2; None when neither side has a keyframe.
        rho: Spearman correlation of the scores; None when one of them is constant.
        delay_median_s: from a keyframe to its commitment [s]; None without a keyframe.
        delay_worst_s: the longest of them [s].
        truth: number of ground-truth keyframes.
        found: number of predicted keyframes.
        paired: number of pairs within 0.2 s.
        frames: of the clip.
    """

    e_n: float
    e_l: float | None
    f1: float | None
    rho: float | None
    delay_median_s: float | None
    delay_worst_s: float | None
    truth: int
    found: int
    paired: int
    frames: int


def smoothed_motion(
    labels: Labels,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the labels' blendshapes (N, 51) and head rotation vectors (N, 3) [rad], smoothed."""
    sigma = _SIGMA_S * labels.fps
    vectors = Rotation.from_matrix(labels.head_pose[:, :3, :3].astype(np.float64)).as_rotvec()
    return (
        gaussian_filter1d(
            labels.blendshapes[:, 1:].astype(np.float64), sigma, axis=0, mode='nearest'
        ),
        gaussian_filter1d(unwrapped(vectors), sigma, axis=0, mode='nearest'),
    )


def unwrapped(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rotation vectors (N, 3) without jumps of a full turn between neighbours."""
    result: NDArray[np.float64] = vectors.copy()
    for i in range(1, len(result)):
        angle = float(np.linalg.norm(result[i]))
        if angle < 1e-9:
            continue
        # The same rotation has vectors a full turn longer or shorter along the same axis.
        turns = result[i] / angle * 2 * np.pi * np.array([[-1], [0], [1]])
        choices = result[i] + turns
        result[i] = choices[np.argmin(np.linalg.norm(choices - result[i - 1], axis=1))]
    return result


def label_target(labels: Labels) -> Target:
    """Return target scores and ground-truth keyframes of a labelled clip."""
    shapes, rotation = smoothed_motion(labels)
    rate = labels.fps / 30
    raw = rate * (
        np.linalg.norm(np.diff(shapes, axis=0), axis=1)
        + _ROTATION_WEIGHT * np.linalg.norm(np.diff(rotation, axis=0), axis=1)
    )
    scores = np.concatenate([[0.0], 1 - np.exp(-raw / _SOFTNESS)])
    peaks, _ = find_peaks(
        scores, prominence=_PROMINENCE, distance=max(1, round(_DISTANCE_S * labels.fps))
    )
    return Target(scores, peaks.astype(np.int64), labels.fps)


def pair(truth: Indices, found: Indices, reach: int) -> list[tuple[int, int]]:
    """Pair frame indices one to one: first as many pairs as possible, then the least distance.

    Args:
        truth: frame indices.
        found: frame indices.
        reach: longest distance of a pair [frames].

    Returns:
        (truth, found) pairs, in order.
    """
    if len(truth) == 0 or len(found) == 0:
        return []
    distance = np.abs(np.subtract.outer(np.asarray(truth), np.asarray(found)))
    # One pair less always costs more than all distances together can save.
    forbidden = reach * min(distance.shape) + 1
    rows, columns = linear_sum_assignment(np.where(distance <= reach, distance, forbidden))
    return [
        (int(truth[i]), int(found[j]))
        for i, j in zip(rows, columns, strict=True)
        if distance[i, j] <= reach
    ]


def clip_metrics(
    target: Target,
    scores: Sequence[float | None],
    keyframes: Indices,
    delays_s: Sequence[float] = (),
) -> ClipMetrics:
    """Measure one clip.

    Args:
        target: the ground truth.
        scores: predicted score of every frame; frames without one count as 0.
        keyframes: predicted frame indices, sorted.
        delays_s: commit delay of every predicted keyframe [s].

    Raises:
        ValueError: the numbers of frames differ.
    """
    if len(scores) != len(target.scores):
        raise ValueError(f'{len(scores)} scores for {len(target.scores)} labelled frames')
    truth = target.keyframes
    near = pair(truth, keyframes, round(_DISTANCE_S * target.fps))
    hits = pair(truth, keyframes, max(1, round(2 * target.fps / 30)))
    total = len(truth) + len(keyframes)
    return ClipMetrics(
        e_n=float(abs(len(keyframes) - len(truth))),
        e_l=fmean(abs(p - g) for g, p in near) if near else None,
        f1=2 * len(hits) / total if total else None,
        rho=_spearman(np.array([s or 0.0 for s in scores]), target.scores),
        delay_median_s=median(delays_s) if delays_s else None,
        delay_worst_s=max(delays_s) if delays_s else None,
        truth=len(truth),
        found=len(keyframes),
        paired=len(near),
        frames=len(scores),
    )


def mean_metrics(clips: Iterable[ClipMetrics]) -> dict[str, float | int | None]:
    """Return the means over clips with at least FEWEST_KEYFRAMES ground-truth keyframes.

    The worst delay is the worst of all clips, not a mean. `clips` tells how many were used.
    """
    used = [asdict(clip) for clip in clips if clip.truth >= FEWEST_KEYFRAMES]
    means: dict[str, float | int | None] = {'clips': len(used)}
    for key in ('e_n', 'e_l', 'f1', 'rho', 'delay_median_s', 'truth', 'found'):
        values = [clip[key] for clip in used if clip[key] is not None]
        means[key] = fmean(values) if values else None
    worst = [clip['delay_worst_s'] for clip in used if clip['delay_worst_s'] is not None]
    means['delay_worst_s'] = max(worst) if worst else None
    return means


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(spearmanr(a, b).statistic)
