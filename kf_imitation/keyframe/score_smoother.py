"""Takes the noise out of the scores, by time stamps, with a fixed and small look-ahead."""

from collections import deque
from dataclasses import replace

import numpy as np

from kf_imitation.data_types import FloatArray, FrameScore
from kf_imitation.keyframe.score_scale import score_of_change

# The labels' own smoothing (Gaussian), so that a perfect change vector gives the target score.
SIGMA_S = 0.05
LOOK_AHEAD_S = 0.1
# Stamps are rounded; a frame this much beyond a limit still counts as on it.
TOLERANCE_NS = 500_000


class ScoreSmoother:
    """Gaussian mean over time of change vectors, or of scores where there are no vectors.

    A frame's result is the mean over the frames at most `look_back_s` before and `look_ahead_s`
    after it, each weighted by a Gaussian of the time between them and by the time its pair
    covers. With vectors the score is computed anew from the smoothed vector: noise, which points
    anywhere, cancels, while movement adds up. A frame without a score ends a segment; nothing is
    mixed across it.

    A result comes as soon as no further frame is expected within its look-ahead, the next frame
    being expected after the same time as the last one took.
    """

    def __init__(
        self,
        look_ahead_s: float = LOOK_AHEAD_S,
        look_back_s: float | None = None,
        sigma_s: float = SIGMA_S,
    ) -> None:
        """Set the window.

        Args:
            look_ahead_s: part of the commit delay [s]; 0 makes the mean causal.
            look_back_s: default as far as the look-ahead, which leaves peaks where they are.
            sigma_s: of the Gaussian [s].
        """
        self._ahead_ns = round(look_ahead_s * 1e9)
        self._back_ns = self._ahead_ns if look_back_s is None else round(look_back_s * 1e9)
        self._sigma_ns = sigma_s * 1e9
        self._segment: deque[FrameScore] = deque()
        self._finished = 0  # frames at the left of the segment whose result is out

    def push(self, score: FrameScore) -> list[FrameScore]:
        """Take the newest frame; return the frames whose result is complete, oldest first."""
        if score.score is None:
            return [*self.flush(), score]
        # The interval to the frame before, of this segment or not, tells when the next is due.
        due_ns = score.stamp_ns + round(score.dt_s * 1e9)
        self._segment.append(score)
        results = []
        while self._finished < len(self._segment):
            frame = self._segment[self._finished]
            if due_ns <= frame.stamp_ns + self._ahead_ns + TOLERANCE_NS:
                break
            results.append(self._finish(frame))
        return results

    def flush(self) -> list[FrameScore]:
        """End the segment; return the frames that still waited for their look-ahead."""
        results = []
        while self._finished < len(self._segment):
            results.append(self._finish(self._segment[self._finished]))
        self._segment.clear()
        self._finished = 0
        return results

    def _finish(self, frame: FrameScore) -> FrameScore:
        oldest_ns = frame.stamp_ns - self._back_ns - TOLERANCE_NS
        while self._segment[0].stamp_ns < oldest_ns:
            self._segment.popleft()
            self._finished -= 1
        newest_ns = frame.stamp_ns + self._ahead_ns + TOLERANCE_NS
        window = [other for other in self._segment if other.stamp_ns <= newest_ns]
        self._finished += 1
        distances = [(_middle_ns(o) - _middle_ns(frame)) / self._sigma_ns for o in window]
        weights = np.exp(-0.5 * np.square(distances)) * [max(o.dt_s, 1e-6) for o in window]
        weights /= weights.sum()
        vectors = [other.change for other in window if other.change is not None]
        if len(vectors) == len(window):
            change: FloatArray = (weights @ np.stack(vectors)).astype(np.float32)
            return replace(frame, score=score_of_change(change), change=change)
        return replace(frame, score=float(weights @ [other.score or 0.0 for other in window]))


def _middle_ns(score: FrameScore) -> float:
    """Return the middle of the time that a frame's pair covers."""
    return score.stamp_ns - score.dt_s * 0.5e9
