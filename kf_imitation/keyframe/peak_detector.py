"""Online search for peaks of the score with a bounded commit delay."""

from collections import deque
from dataclasses import dataclass

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.detector_settings import DetectorSettings
from kf_imitation.keyframe.spacing import TOLERANCE_NS, Spacing

# At the end of its window a peak needs this part of the prominence on its right side: within a
# tenth of a second a score rarely falls as far as it rose. docs/keyframes.md has the study.
RIGHT_SHARE = 0.25


@dataclass(slots=True)
class _Candidate:
    """A frame that may be a peak.

    Attributes:
        score: of the frame.
        height: its score, 0..1.
        left_drop: height over the lowest score back to the last higher one.
        interval_ns: time since the frame before.
        right_drop: height over the lowest score since.
    """

    score: FrameScore
    height: float
    left_drop: float
    interval_ns: int
    right_drop: float = 0.0


class PeakDetector:
    """Finds local maxima of the score like scipy.signal.find_peaks, but with bounded delay.

    A frame c of a segment (frames with scores, without a gap between them) is a keyframe when

    1. its score is higher than that of the frame before it,
    2. it reaches the threshold,
    3. it exceeds the lowest score back to the last higher one (or the segment's start) by the
       prominence,
    4. no frame of its window is higher before its score has fallen by the prominence, and by
       the end of the window it has fallen by at least RIGHT_SHARE of it,
    5. the last keyframe is at least the spacing away.

    The window of c ends with the first frame after c when the next frame is expected more than
    the commit delay after c; the next frame is expected after the same time as this one took. The
    segment's end ends it too. c is committed as soon as its score has fallen by the prominence,
    at the latest at the end of its window.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings
        self._spacing = Spacing()
        self._previous: FrameScore | None = None
        self._seen_ns = 0
        self._candidates: deque[_Candidate] = deque()
        # Scores since the segment's start that no later one exceeds, each with the lowest score
        # since the one before it.
        self._hills: list[tuple[float, float]] = []

    def push(self, score: FrameScore, seen_ns: int | None = None) -> list[Keyframe]:
        """Take the next frame.

        Args:
            score: of the frame; without a score it ends the segment.
            seen_ns: stamp of the newest frame that is known, which is later than this one when
                scores are smoothed with a look-ahead; default this one's.

        Returns:
            What became certain, oldest first.
        """
        seen_ns = score.stamp_ns if seen_ns is None else seen_ns
        if score.score is None:
            self._seen_ns = seen_ns
            return self.flush()
        height, previous = score.score, self._previous
        self._seen_ns, self._previous = seen_ns, score
        if previous is None or previous.score is None:
            self._climb(height)
            return []
        interval_ns = score.stamp_ns - previous.stamp_ns
        keyframes = self._judge(height, seen_ns + interval_ns)
        left_drop = self._climb(height)
        if height > previous.score:
            self._candidates.append(_Candidate(score, height, left_drop, interval_ns))
        return keyframes

    def flush(self) -> list[Keyframe]:
        """End the segment; return the keyframes that only waited for their window."""
        keyframes = [k for c in self._candidates if (k := self._commit(c, RIGHT_SHARE))]
        self._candidates.clear()
        self._hills.clear()
        self._previous = None
        return keyframes

    def _judge(self, height: float, due_ns: int) -> list[Keyframe]:
        """Compare the candidates with the next score; the frame after that is due at due_ns."""
        delay_ns = round(self.settings.commit_delay_s * 1e9) + TOLERANCE_NS
        keyframes = []
        waiting: deque[_Candidate] = deque()
        for candidate in self._candidates:
            if height > candidate.height:
                continue
            candidate.right_drop = max(candidate.right_drop, candidate.height - height)
            ends = due_ns > candidate.score.stamp_ns + delay_ns
            if ends or candidate.right_drop >= self.settings.prominence:
                keyframe = self._commit(candidate, RIGHT_SHARE if ends else 1.0)
                keyframes += [keyframe] if keyframe else []
            else:
                waiting.append(candidate)
        self._candidates = waiting
        return keyframes

    def _commit(self, candidate: _Candidate, right_share: float) -> Keyframe | None:
        settings, stamp_ns = self.settings, candidate.score.stamp_ns
        if (
            candidate.left_drop < settings.prominence
            or candidate.right_drop <= 0
            or candidate.right_drop < settings.prominence * right_share
            or candidate.height < settings.threshold
            or not self._spacing.allows(stamp_ns, candidate.interval_ns, settings.spacing_s)
        ):
            return None
        self._spacing.take(stamp_ns)
        return Keyframe(
            index=candidate.score.index,
            stamp_ns=stamp_ns,
            score=candidate.height,
            prominence=min(candidate.left_drop, candidate.right_drop),
            threshold=settings.prominence,
            committed_stamp_ns=self._seen_ns,
            mode='peak',
        )

    def _climb(self, height: float) -> float:
        """Add a score to the hills; return its height over the valley on its left."""
        lowest = height
        while self._hills and self._hills[-1][0] <= height:
            lowest = min(lowest, self._hills.pop()[1])
        self._hills.append((height, lowest))
        return height - lowest
