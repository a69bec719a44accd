"""Online search for the frames where movements end."""

from enum import Enum

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.detector_settings import DetectorSettings
from kf_imitation.keyframe.spacing import TOLERANCE_NS, Spacing

# A movement that ends softly has its minimum long after it looks still: scores that are lower by
# less than this part of the prominence do not count as lower.
LEVEL_SHARE = 0.2


class _Phase(Enum):
    REST = 'no movement since the last valley'
    MOVE = 'the score has risen by the prominence'
    END = 'the score has fallen by the prominence'


class SettleDetector:
    """Finds the score's minimum between a peak and the next: the frame where a movement ends.

    A movement begins when the score is higher than the lowest score of the rest before it by the
    prominence (and reaches the threshold), and ends when it is lower than the highest score of
    the movement by the prominence. The first frame from there on whose window has none that is
    lower by more than LEVEL_SHARE of the prominence is the keyframe, unless the last keyframe is
    closer than the spacing. The window ends as in PeakDetector, or with the first score that is
    higher than the lowest since that frame by the prominence: then the next movement begins.
    Frames without a score end the segment; the candidate of a movement that was ending is the
    keyframe then.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings
        self._spacing = Spacing()
        self._phase = _Phase.REST
        self._extreme: float | None = None  # highest score of a movement, else the lowest
        self._candidate: FrameScore | None = None  # while a movement is ending
        self._candidate_interval_ns = 0
        self._last_ns = 0
        self._seen_ns = 0

    def push(self, score: FrameScore, seen_ns: int | None = None) -> list[Keyframe]:
        """Take the next frame; see PeakDetector.push."""
        self._seen_ns = score.stamp_ns if seen_ns is None else seen_ns
        if score.score is None:
            return self.flush()
        height, extreme = score.score, self._extreme
        interval_ns, self._last_ns = score.stamp_ns - self._last_ns, score.stamp_ns
        if extreme is None:
            self._extreme = height
            return []
        if self._phase is _Phase.MOVE:
            if height < extreme and extreme - height >= self.settings.prominence:
                self._approach(score, interval_ns)
            else:
                self._extreme = max(extreme, height)
            return []
        self._extreme = lowest = min(extreme, height)
        rises = height > lowest and height - lowest >= self.settings.prominence
        rises = rises and height >= self.settings.threshold
        keyframes = self._judge(score, interval_ns, rises) if self._candidate else []
        if rises:
            self._phase, self._extreme = _Phase.MOVE, height
        return keyframes

    def flush(self) -> list[Keyframe]:
        """End the segment; return the end of the movement that was ending, if there is one."""
        keyframes = self._commit()
        self._phase, self._extreme = _Phase.REST, None
        return keyframes

    def _approach(self, score: FrameScore, interval_ns: int) -> None:
        """Make a frame the candidate for the end of the movement."""
        self._phase, self._extreme = _Phase.END, score.score
        self._candidate, self._candidate_interval_ns = score, interval_ns

    def _judge(self, score: FrameScore, interval_ns: int, rises: bool) -> list[Keyframe]:
        candidate = self._candidate
        assert candidate is not None and candidate.score is not None
        level = LEVEL_SHARE * self.settings.prominence
        if candidate.score - (score.score or 0.0) > level:
            self._approach(score, interval_ns)
            return []
        delay_ns = round(self.settings.commit_delay_s * 1e9) + TOLERANCE_NS
        if rises or self._seen_ns + interval_ns > candidate.stamp_ns + delay_ns:
            self._phase = _Phase.REST
            return self._commit()
        return []

    def _commit(self) -> list[Keyframe]:
        score, self._candidate = self._candidate, None
        settings, interval_ns = self.settings, self._candidate_interval_ns
        if score is None or not self._spacing.allows(
            score.stamp_ns, interval_ns, settings.spacing_s
        ):
            return []
        self._spacing.take(score.stamp_ns)
        return [
            Keyframe(
                index=score.index,
                stamp_ns=score.stamp_ns,
                score=score.score or 0.0,
                prominence=0.0,
                threshold=settings.prominence,
                committed_stamp_ns=self._seen_ns,
                mode='settle',
            )
        ]
