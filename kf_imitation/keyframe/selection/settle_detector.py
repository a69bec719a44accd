"""The frames where movements end."""

from collections.abc import Sequence
from enum import Enum

from kf_imitation.data_types import FrameScore
from kf_imitation.parameters.settings import DetectorSettings

# A movement that ends softly has its minimum long after it looks still: scores that are lower by
# less than this part of the prominence do not count as lower.
LEVEL_FRACTION = 0.2


class _Phase(Enum):
    REST = 'no movement since the last valley'
    MOVE = 'the score has risen by the prominence'
    END = 'the score has fallen by the prominence'


class SettleDetector:
    """Finds the score's minimum between a peak and the next: the frame where a movement ends.

    A movement begins when the score is higher than the lowest score of the rest before it by the
    prominence (and reaches the threshold), and ends when it is lower than the highest score of
    the movement by the prominence. The first frame from there on whose look-ahead has no score
    lower by more than LEVEL_FRACTION of the prominence before one higher by the prominence is the
    keyframe, unless the last keyframe is closer than the spacing; the face rests from that frame
    on. Frames without a score end the segment.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings
        self._phase = _Phase.REST
        self._extreme: float | None = None  # highest score of a movement, lowest of a rest

    def push(
        self, score: FrameScore, ahead: Sequence[FrameScore], spacing_ns: float, free: bool
    ) -> float | None:
        """Judge the next frame; see PeakDetector.push."""
        if score.score is None:
            self._phase, self._extreme = _Phase.REST, None
            return None
        height, extreme, settings = score.score, self._extreme, self.settings
        if extreme is None:
            self._extreme = height
            return None
        if self._phase is _Phase.MOVE:
            if height < extreme and extreme - height >= settings.prominence:
                self._phase = _Phase.END
            else:
                self._extreme = max(extreme, height)
        elif self._phase is _Phase.REST:
            risen = height - extreme
            if risen > 0 and risen >= settings.prominence and height >= settings.threshold:
                self._phase, self._extreme = _Phase.MOVE, height
            else:
                self._extreme = min(extreme, height)
        if self._phase is not _Phase.END or not self._is_level(height, ahead):
            return None
        self._phase, self._extreme = _Phase.REST, height
        return 0.0 if free else None

    def _is_level(self, height: float, ahead: Sequence[FrameScore]) -> bool:
        """Tell whether the score is as low as it gets before the next movement."""
        for other in ahead:
            risen = (other.score or 0.0) - height
            if risen > 0 and risen >= self.settings.prominence:
                return True
            if risen < -LEVEL_FRACTION * self.settings.prominence:
                return False
        return True
