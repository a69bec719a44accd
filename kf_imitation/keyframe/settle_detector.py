"""Online search for the frames where movements end."""

from enum import Enum

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.detector_settings import DetectorSettings
from kf_imitation.keyframe.peak_detector import TOLERANCE_NS, Spacing


class _Phase(Enum):
    REST = 'no movement since the last valley'
    MOVE = 'the score has risen by the prominence'
    END = 'the score has fallen by the prominence'


class SettleDetector:
    """Finds the score's minimum between a peak and the next: the frame where a movement ends.

    A movement begins when the score is higher than the lowest score of the rest before it by the
    prominence (and reaches the threshold), and ends when it is lower than the highest score of
    the movement by the prominence. The first frame from there on that has no lower one in its
    window is the keyframe, unless the last keyframe is closer than the spacing. The window ends
    as in PeakDetector, or with the first score that is higher by the prominence: then the next
    movement begins. Frames without a score end the segment; the lowest frame of a movement that
    was ending is the keyframe then.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings
        self._spacing = Spacing()
        self._phase = _Phase.REST
        self._extreme: FrameScore | None = None  # lowest of a rest or end, highest of a movement
        self._interval_ns = 0  # before the extreme
        self._last_ns = 0
        self._seen_ns = 0

    def push(self, score: FrameScore, seen_ns: int | None = None) -> list[Keyframe]:
        """Take the next frame; see PeakDetector.push."""
        seen_ns = score.stamp_ns if seen_ns is None else seen_ns
        if score.score is None:
            self._seen_ns = seen_ns
            return self.flush()
        extreme, interval_ns = self._extreme, score.stamp_ns - self._last_ns
        self._seen_ns, self._last_ns = seen_ns, score.stamp_ns
        if extreme is None or extreme.score is None:
            self._set(_Phase.REST, score, 0)
            return []
        height, settings = score.score, self.settings
        if self._phase is _Phase.MOVE:
            if height > extreme.score:
                self._set(_Phase.MOVE, score, interval_ns)
            elif extreme.score > height and extreme.score - height >= settings.prominence:
                self._set(_Phase.END, score, interval_ns)
            return []
        if height < extreme.score:
            self._set(self._phase, score, interval_ns)
            return []
        keyframes = []
        rises = (
            height > extreme.score
            and height - extreme.score >= settings.prominence
            and height >= settings.threshold
        )
        if self._phase is _Phase.END:
            delay_ns = round(settings.commit_delay_s * 1e9) + TOLERANCE_NS
            if rises or seen_ns + interval_ns > extreme.stamp_ns + delay_ns:
                keyframes = self._commit(extreme)
                self._phase = _Phase.REST
        if rises:
            self._set(_Phase.MOVE, score, interval_ns)
        return keyframes

    def flush(self) -> list[Keyframe]:
        """End the segment; return the end of the movement that was ending, if there is one."""
        ending = self._extreme if self._phase is _Phase.END else None
        self._phase, self._extreme = _Phase.REST, None
        return self._commit(ending) if ending else []

    def _set(self, phase: _Phase, extreme: FrameScore, interval_ns: int) -> None:
        self._phase, self._extreme, self._interval_ns = phase, extreme, interval_ns

    def _commit(self, score: FrameScore) -> list[Keyframe]:
        settings = self.settings
        if not self._spacing.allows(score.stamp_ns, self._interval_ns, settings.spacing_s):
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
