"""How well keyframes are found: the definitions of docs/keyframes.md, to the letter."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment
from scipy.signal import find_peaks
from scipy.stats import spearmanr

from kf_imitation.evaluation.labels import Labels
from kf_imitation.keyframe.scoring.pair_scorer import REFERENCE_S, score_of_change

SIGMA_S = 0.05  # smoothing of labels over time
_PROMINENCE = 0.1
DISTANCE_S = 0.2
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
        counted: (N,) bool, frames that count: they and those before them show a face.
    """

    scores: NDArray[np.float64]
    keyframes: NDArray[np.int64]
    fps: float
    counted: NDArray[np.bool_]

    def first(self, count: int) -> 'Target':
        """Return the ground truth of the first frames."""
        keyframes = self.keyframes[self.keyframes < count]
        return Target(self.scores[:count], keyframes, self.fps, self.counted[:count])


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


def label_target(labels: Labels) -> Target:
    """Return target scores and ground-truth keyframes of a labelled clip.

    Raises:
        SourceError: no frame has a face.
    """
    return target_of(np.hstack(labels.motion()), labels.valid, labels.fps)


def target_of(motion: NDArray[np.floating], valid: NDArray[np.bool_], fps: float) -> Target:
    """Return the target of a face's motion.

    Args:
        motion: (N, 54) blendshapes and unwrapped head rotation vector [rad] of every frame.
        valid: (N,) bool, the frames that show a face; motion is filled in at the others.
        fps: of the clip [Hz].
    """
    smooth = gaussian_filter1d(motion.astype(np.float64), SIGMA_S * fps, axis=0, mode='nearest')
    changes = np.diff(smooth, axis=0) * (fps * REFERENCE_S)
    scores = np.append(0.0, score_of_change(changes))
    peaks, _ = find_peaks(scores, prominence=_PROMINENCE, distance=max(1, round(DISTANCE_S * fps)))
    counted = valid & np.append(valid[0], valid[:-1])
    return Target(scores, peaks[counted[peaks]].astype(np.int64), fps, counted)


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
        keyframes: predicted frame indices, sorted; those at frames that do not count are left out.
        delays_s: commit delay of every predicted keyframe [s], or nothing.

    Raises:
        ValueError: the numbers of frames differ.
    """
    if len(scores) != len(target.scores):
        raise ValueError(f'{len(scores)} scores for {len(target.scores)} labelled frames')
    truth = target.keyframes
    kept = target.counted[np.asarray(keyframes, np.int64)]
    keyframes = np.asarray(keyframes, np.int64)[kept]
    delays_s = [delay_s for delay_s, keep in zip(delays_s, kept, strict=False) if keep]
    near = pair(truth, keyframes, round(DISTANCE_S * target.fps))
    hits = pair(truth, keyframes, max(1, round(2 * target.fps / 30)))
    total = len(truth) + len(keyframes)
    return ClipMetrics(
        e_n=float(abs(len(keyframes) - len(truth))),
        e_l=fmean(abs(p - g) for g, p in near) if near else None,
        f1=2 * len(hits) / total if total else None,
        rho=_spearman(
            np.array([s or 0.0 for s in scores])[target.counted], target.scores[target.counted]
        ),
        delay_median_s=median(delays_s) if delays_s else None,
        delay_worst_s=max(delays_s) if delays_s else None,
        truth=len(truth),
        found=len(keyframes),
        paired=len(near),
        frames=len(scores),
    )


def mean_metrics(clips: Iterable[ClipMetrics]) -> dict[str, float | int | None]:
    """Return the means over clips with at least FEWEST_KEYFRAMES ground-truth keyframes.

    The worst delay is the worst of all clips, not a mean. `clips` says how many were used.
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
