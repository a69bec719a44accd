"""From raw scores to keyframes: smoothing, detection, and the delay of both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.selection.peak_detector import PeakDetector
from kf_imitation.keyframe.selection.settle_detector import SettleDetector
from kf_imitation.keyframe.selection.smoother import Estimate, ScoreSmoother, Smoothing
from kf_imitation.keyframe.selection.travel_detector import TravelDetector, needed
from kf_imitation.parameters.settings import DetectorSettings

CAUSAL = ('travel', 'combined')  # modes without look-ahead and commit delay
# Times are whole nanoseconds rounded from fractions.
_TOLERANCE_NS = 1_000


class ModeDetector(Protocol):
    """Pure and online: tells which frames are keyframes.

    Attributes:
        settings: may be replaced at any time by settings of the same mode.
    """

    settings: DetectorSettings

    def push(
        self, score: FrameScore, ahead: Sequence[FrameScore], spacing_ns: float, free: bool
    ) -> float | None:
        """Judge the next frame with what is known of the frames after it."""
        ...


_DETECTORS: dict[str, Callable[[DetectorSettings], ModeDetector]] = {
    'peak': PeakDetector,
    'settle': SettleDetector,
    'travel': TravelDetector,
    'combined': TravelDetector,
}


class KeyframeDetector:
    """The detector of a mode, and what all modes share: the spacing of keyframes."""

    def __init__(self, settings: DetectorSettings) -> None:
        self._detector = _DETECTORS[settings.mode](settings)
        self._frame_ns: int | None = None
        self._keyframe_ns: int | None = None

    def configure(self, settings: DetectorSettings) -> None:
        """Take other settings of the same mode."""
        self._detector.settings = settings

    def push(self, score: FrameScore, ahead: Sequence[FrameScore] = ()) -> Keyframe | None:
        """Judge the next frame.

        Args:
            score: final score of the frame; a stamp before the last keyframe's means a new
                recording.
            ahead: provisional scores of the frames after it, oldest first.

        Returns:
            The keyframe, committed with the last frame of the look-ahead, or None.
        """
        settings, stamp_ns, last_ns = self._detector.settings, score.stamp_ns, self._keyframe_ns
        interval_ns = 0 if self._frame_ns is None else stamp_ns - self._frame_ns
        self._frame_ns = None if score.score is None else stamp_ns
        spacing_ns = settings.spacing_s * 1e9 - interval_ns // 2 - _TOLERANCE_NS
        free = last_ns is None or stamp_ns < last_ns or stamp_ns - last_ns >= spacing_ns
        prominence = self._detector.push(score, ahead, spacing_ns, free)
        if prominence is None or score.score is None:
            return None
        self._keyframe_ns = stamp_ns
        causal = settings.mode in CAUSAL
        return Keyframe(
            index=score.index,
            stamp_ns=stamp_ns,
            score=score.score,
            prominence=prominence,
            threshold=needed(settings, score.score) if causal else settings.prominence,
            committed_stamp_ns=(ahead[-1] if ahead else score).stamp_ns,
            mode=settings.mode,
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """What one more frame made certain.

    Attributes:
        scores: smoothed scores, oldest first; every frame comes exactly once and in order.
        keyframes: oldest first, each of a frame whose score came before or comes now.
    """

    scores: list[FrameScore]
    keyframes: list[Keyframe]


class KeyframeSelector:
    """Smooths the scores and finds keyframes among them; one for nodes and replays alike.

    A score is final, and its frame is judged, as late as the commit delay allows: with more
    frames after it there is less noise, and fewer higher peaks are missed. The modes
    `travel` and `combined` do not look ahead; their keyframes have no delay.
    """

    def __init__(self, settings: DetectorSettings, smoothing: Smoothing | None = None) -> None:
        self._settings = settings
        self._smoothing = smoothing or Smoothing()
        self._newest_ns = 0
        self.reset()

    @property
    def settings(self) -> DetectorSettings:
        """The settings in force."""
        return self._settings

    @property
    def smoothing(self) -> Smoothing:
        """How the scores are smoothed; `travel` and `combined` carry the newest change on."""
        return self._smoothing

    def configure(self, settings: DetectorSettings) -> Selection:
        """Change the settings while running.

        A new mode or commit delay ends the segment: what was waiting is decided at once.

        Returns:
            What that made certain.
        """
        old, self._settings = self._settings, settings
        if (old.mode, old.commit_delay_s) == (settings.mode, settings.commit_delay_s):
            self._detector.configure(settings)
            return Selection([], [])
        rest = self.flush()
        self.reset()
        return rest

    def reset(self) -> None:
        """Forget everything: the next frame is the first of another source."""
        if self._settings.mode in CAUSAL:
            self._smoother = ScoreSmoother(0.0, self._smoothing.at_once(), wait_for_next=False)
        else:
            self._smoother = ScoreSmoother(self._settings.commit_delay_s, self._smoothing)
        self._detector = KeyframeDetector(self._settings)
        self._last_score: float | None = None

    def push(self, score: FrameScore) -> Selection:
        """Take the raw score of the newest frame."""
        self._newest_ns = score.stamp_ns
        return self._select(self._smoother.push(score))

    def flush(self) -> Selection:
        """End the segment; return all that was waiting."""
        rest = self._select(self._smoother.flush())
        self._detector.push(FrameScore(-1, self._newest_ns, None))
        return rest

    def _select(self, estimates: list[Estimate]) -> Selection:
        keyframes = []
        for estimate in estimates:
            score, ahead = estimate.score, estimate.ahead
            keyframe = self._detector.push(score, ahead)
            if keyframe is not None:
                keyframes.append(
                    replace(
                        keyframe,
                        committed_stamp_ns=self._newest_ns,
                        score_before=self._last_score,
                        score_after=ahead[0].score if ahead else None,
                    )
                )
            self._last_score = score.score
        return Selection([estimate.score for estimate in estimates], keyframes)
