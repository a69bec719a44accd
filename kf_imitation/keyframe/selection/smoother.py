"""Takes the noise out of the scores, by time stamps, with a fixed and small look-ahead."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import erfc, exp, inf, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FloatArray, FrameScore
from kf_imitation.keyframe.scoring.pair_scorer import score_of_change

Times = NDArray[np.float64]

# Stamps are rounded; a frame this much beyond a limit still counts as on it.
TOLERANCE_NS = 500_000
# Of the Gaussian, in sigmas: beyond lies a thousandth of it.
REACH = 3.0


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How scores are smoothed.

    Attributes:
        sigma_s: of the Gaussian [s]; the labels' own by default.
        forecast_s: time in which a change dies away, on average [s]: what the frames that are not
            known yet are taken for. The default is the best linear forecast of the labels
            (docs/keyframes.md); infinite carries the newest change on.
        vectors: use change vectors where the scorer has them; false smooths the scores.
    """

    sigma_s: float = 0.05
    forecast_s: float = 0.012
    vectors: bool = True

    def at_once(self) -> 'Smoothing':
        """Return the smoothing for who waits for nothing: a movement is taken to go on."""
        return replace(self, forecast_s=inf)

    @classmethod
    def of_model(cls, entry: Mapping[str, Any]) -> 'Smoothing':
        """Return what the manifest's section of a model says under `smoothing`, else defaults."""
        return cls(**entry.get('smoothing', {}))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A frame's final score, and what was known of the frames after it at that time.

    Attributes:
        score: of the frame; the same values as the raw score but for score and change.
        ahead: provisional scores of the frames after it within its look-ahead, oldest first.
    """

    score: FrameScore
    ahead: tuple[FrameScore, ...] = ()


class ScoreSmoother:
    """Gaussian mean over time of change vectors, or of scores where there are no vectors.

    Each pair of frames weighs as much as the Gaussian, centred on the frame's own pair, has over
    the time the pair covers; so frame rates and dropped frames make no difference. What lies in
    the future counts as the newest vector, dying away with `forecast_s`. With vectors the score is
    computed anew from the smoothed vector: noise, which points anywhere, cancels, while movement
    adds up; vectors before a segment count as 0. Scores without vectors are divided by the sum of
    their weights, and the newest is carried on into the future. A frame without a score ends a
    segment; nothing is mixed across it.

    A result is final as soon as no further frame is expected within its look-ahead, the next one
    being expected after the same time as the last one took, but not before the frame after it.
    """

    def __init__(
        self,
        look_ahead_s: float,
        smoothing: Smoothing | None = None,
        wait_for_next: bool = True,
    ) -> None:
        """Set the window.

        Args:
            look_ahead_s: time a result waits for more frames [s]; part of the commit delay.
            smoothing: default Smoothing().
            wait_for_next: false lets a look-ahead of 0 give a result with the frame itself.
        """
        self._ahead_ns = round(look_ahead_s * 1e9)
        self._smoothing = smoothing or Smoothing()
        self._wait = wait_for_next
        self._segment: deque[FrameScore] = deque()
        self._finished = 0  # frames at the left of the segment whose result is out

    def push(self, score: FrameScore) -> list[Estimate]:
        """Take the newest frame; return the frames whose result is final, oldest first."""
        if score.score is None:
            return [*self.flush(), Estimate(score)]
        self._segment.append(score)
        due_ns = score.stamp_ns + round(score.dt_s * 1e9)
        waiting = list(self._segment)[self._finished :]
        ready = sum(
            due_ns > frame.stamp_ns + self._ahead_ns + TOLERANCE_NS
            and not (self._wait and frame is score)
            for frame in waiting
        )
        return self._finish(ready)

    def flush(self) -> list[Estimate]:
        """End the segment; return the frames that still waited for their look-ahead."""
        results = self._finish(len(self._segment) - self._finished)
        self._segment.clear()
        self._finished = 0
        return results

    def _finish(self, ready: int) -> list[Estimate]:
        if ready == 0:
            return []
        known = list(self._segment)
        scores = smoothed_at(known, range(self._finished, len(known)), self._smoothing)
        self._finished += ready
        self._forget()
        return [
            Estimate(
                score,
                tuple(
                    s
                    for s in scores[i + 1 :]
                    if s.stamp_ns <= score.stamp_ns + self._ahead_ns + TOLERANCE_NS
                )
                # The frame that was waited for counts even when it came late.
                or tuple(scores[i + 1 : i + 2]),
            )
            for i, score in enumerate(scores[:ready])
        ]

    def _forget(self) -> None:
        """Drop the frames that no future result needs."""
        # The middle of the next pair lies after the last finished frame.
        reach_ns = REACH * self._smoothing.sigma_s * 1e9 + TOLERANCE_NS
        while self._finished > 1 and (
            self._segment[0].stamp_ns < self._segment[self._finished - 1].stamp_ns - reach_ns
        ):
            self._segment.popleft()
            self._finished -= 1


def smoothed(known: Sequence[FrameScore], place: int, smoothing: Smoothing) -> FrameScore:
    """Return the best estimate of a frame's score from all that is known of its segment.

    Args:
        known: consecutive frames with scores, up to the newest.
        place: of the frame among them.
        smoothing: how.
    """
    return smoothed_at(known, [place], smoothing)[0]


def smoothed_at(
    known: Sequence[FrameScore], places: Sequence[int], smoothing: Smoothing
) -> list[FrameScore]:
    """Return the estimates of several frames at once, which takes hardly longer than one.

    Args:
        known: as for smoothed().
        places: of the frames among them.
        smoothing: how.
    """
    newest = known[-1]
    # Relative to the newest: a float holds no wall clock to the nanosecond.
    ends = np.array([float(frame.stamp_ns - newest.stamp_ns) for frame in known])
    spans = np.array([frame.dt_s * 1e9 for frame in known])
    sigma_ns = smoothing.sigma_s * 1e9
    centres = (ends - 0.5 * spans)[list(places), None]
    reach_ns = REACH * sigma_ns
    inside = (ends > centres - reach_ns) & (ends - spans < centres + reach_ns)
    weights = _weights(ends, spans, centres, sigma_ns) * inside
    vectors = [frame.change for frame in known]
    lacking = np.array([vector is None for vector in vectors])
    # A score has no sign, so it does not die away: it is carried on.
    use_vectors = [smoothing.vectors and not missing for missing in (inside & lacking).any(axis=1)]
    for row, centre in enumerate(centres[:, 0]):
        if inside[row, -1]:
            decay_ns = smoothing.forecast_s * 1e9 if use_vectors[row] else inf
            weights[row, -1] += future(-float(centre) / sigma_ns, sigma_ns / decay_ns)
    # Each of what it sees alone: with zeros in between sums would round otherwise.
    counts = inside.sum(axis=1)
    seen = [slice(i, i + count) for i, count in zip(inside.argmax(axis=1), counts, strict=True)]
    if not all(use_vectors):
        raw = np.array([frame.score or 0.0 for frame in known])
    if any(use_vectors):
        size = next(vector.shape for vector in vectors if vector is not None)
        none = np.zeros(size, np.float32)
        stacked = np.array([none if vector is None else vector for vector in vectors])
        changes: FloatArray = np.array(
            [row[part] @ stacked[part] for row, part in zip(weights, seen, strict=True)],
            np.float32,
        )
        from_changes = score_of_change(changes)
    results = []
    for row, (place, part) in enumerate(zip(places, seen, strict=True)):
        if use_vectors[row]:
            change, score = changes[row], float(from_changes[row])
            results.append(replace(known[place], score=score, change=change))
        else:
            mean = weights[row, part] @ raw[part] / weights[row, part].sum()
            results.append(replace(known[place], score=float(mean)))
    return results


def _weights(ends: Times, spans: Times, centres: Times, sigma_ns: float) -> Times:
    """Return the part of Gaussians that belongs to frames: density times the pair's time.

    Like the labels' filter this takes samples; an integral over the pair would blur once more.

    Args:
        ends: (n,) stamps of the frames [ns].
        spans: (n,) durations of their pairs [ns].
        centres: (p, 1) of the Gaussians [ns].
        sigma_ns: of the Gaussians.

    Returns:
        (p, n) weights.
    """
    distance = (ends - 0.5 * spans - centres) / sigma_ns
    density = np.exp(-0.5 * distance * distance) / sqrt(2 * pi)
    return np.asarray(np.maximum(spans, 1.0) / sigma_ns * density)


def future(begin: float, decay: float) -> float:
    """Integrate the standard normal density times exp(-decay * (x - begin)) from begin on."""
    # A half of exp(-begin * begin / 2) * erfcx((begin + decay) / sqrt(2)), but scipy.special takes
    # a quarter of a second to import.
    x = (begin + decay) / sqrt(2)
    if x < 25.0:
        return 0.5 * exp(decay * (begin + decay / 2)) * erfc(x)
    series = (1 - 0.5 / x**2 + 0.75 / x**4 - 1.875 / x**6) / (x * sqrt(pi))  # exp overflows
    return 0.5 * exp(-0.5 * begin * begin) * series
