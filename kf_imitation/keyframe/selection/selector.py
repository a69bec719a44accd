"""From raw scores to keyframes: smoothing, detection, and the delay of both."""

from dataclasses import dataclass, replace

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.selection.detector import CAUSAL, make_detector
from kf_imitation.keyframe.selection.smoother import Estimate, ScoreSmoother, Smoothing
from kf_imitation.parameters.settings import DetectorSettings


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
            self._detector.settings = settings
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
        self._detector = make_detector(self._settings)
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
