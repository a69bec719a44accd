"""Peaks of the score, judged with a short look-ahead."""

from collections.abc import Sequence

from kf_imitation.data_types import FrameScore
from kf_imitation.parameters.settings import DetectorSettings

# Within the look-ahead a score rarely falls as far as it rose, so a peak needs only this part of
# the prominence on its right side. docs/keyframes.md has the study.
RIGHT_FRACTION = 0.5


class PeakDetector:
    """Finds local maxima of the score like scipy.signal.find_peaks, with bounded delay.

    Each frame is judged once, with the scores of the frames after it that are known by then (its
    look-ahead). A frame is a keyframe when

    1. its score is higher than that of the frame before it, or that frame would have been one
       but for a higher provisional score ahead (4), which proved too high: then it takes over,
    2. it reaches the threshold,
    3. it exceeds the lowest score back to the last higher one (or the segment's start) by the
       prominence,
    4. the look-ahead has no higher score before the score has fallen by the prominence, and the
       next peak that is higher is the spacing away or more; where the look-ahead ends before that
       peak, its last score stands for it,
    5. in the look-ahead, up to such a peak, the score falls by at least RIGHT_FRACTION of the
       prominence,
    6. the last keyframe is at least the spacing away.

    Frames without a score end the segment.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings
        self._previous: FrameScore | None = None
        self._handed_on: float | None = None
        # Scores since the segment's start that no later one exceeds, each with the lowest score
        # since the one before it.
        self._hills: list[tuple[float, float]] = []

    def push(
        self, score: FrameScore, ahead: Sequence[FrameScore], spacing_ns: float, free: bool
    ) -> float | None:
        """Judge the next frame.

        Args:
            score: final score of the frame.
            ahead: provisional scores of the frames after it, oldest first.
            spacing_ns: time that keyframes are to be apart, half a frame taken off.
            free: the last keyframe is that far away.

        Returns:
            Its prominence if it is a keyframe (0 in the other modes), else None.
        """
        previous, self._previous = self._previous, score
        handed_on, self._handed_on = self._handed_on, None
        if score.score is None:
            self._previous = None
            self._hills.clear()
            return None
        left_drop = self._climb(score.score)
        if previous is None or previous.score is None:
            return None
        if score.score <= previous.score:
            if handed_on is None:
                return None
            left_drop = handed_on - (previous.score - score.score)
        settings = self.settings
        right_drop = self._right_drop(score, score.score, spacing_ns, ahead)
        if right_drop is None:
            self._handed_on = left_drop
            return None
        if left_drop < settings.prominence or score.score < settings.threshold:
            return None
        if right_drop <= 0 or right_drop < RIGHT_FRACTION * settings.prominence:
            return None
        return min(left_drop, right_drop) if free else None

    def _climb(self, height: float) -> float:
        """Add a score to the hills; return its height over the valley on its left."""
        lowest = height
        while self._hills and self._hills[-1][0] <= height:
            lowest = min(lowest, self._hills.pop()[1])
        self._hills.append((height, lowest))
        return height - lowest

    def _right_drop(
        self, score: FrameScore, height: float, spacing_ns: float, ahead: Sequence[FrameScore]
    ) -> float | None:
        """Return how far the score falls in the look-ahead, None when it gives way to a higher."""
        drop, rival = 0.0, score  # the rival is a higher score that may still rise
        for other in ahead:
            other_height = other.score or 0.0
            if rival is not score and other_height < (rival.score or 0.0):
                break
            if other_height > height:
                if drop < self.settings.prominence:
                    return None
                rival = other
            drop = max(drop, height - other_height)
        is_far = rival is score or rival.stamp_ns - score.stamp_ns >= spacing_ns
        return drop if is_far else None
