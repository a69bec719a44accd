"""From raw scores to keyframes: smoothing, detection, and the delay of both."""

from dataclasses import dataclass, replace

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.detector import make_detector
from kf_imitation.keyframe.detector_settings import DetectorSettings
from kf_imitation.keyframe.score_smoother import LOOK_AHEAD_S, ScoreSmoother


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
    """Smooths the scores and finds keyframes among them; one for nodes and offline use alike.

    The mode `travel` smooths with the past only, so that its keyframes need no delay; the others
    look ahead, and their commit delay includes it.
    """

    def __init__(self, settings: DetectorSettings, look_ahead_s: float = LOOK_AHEAD_S) -> None:
        """Start.

        Args:
            settings: of the detector.
            look_ahead_s: of the smoothing [s], at most the commit delay is used.
        """
        self._look_ahead_s = look_ahead_s
        self._settings = settings
        self._smoother = self._make_smoother()
        self._detector = make_detector(settings)
        self._newest_ns = 0

    @property
    def settings(self) -> DetectorSettings:
        """The settings in force."""
        return self._settings

    def configure(self, settings: DetectorSettings) -> Selection:
        """Change the settings while running.

        A new mode or commit delay ends the segment: what was waiting is decided at once.

        Returns:
            What that made certain.
        """
        old = self._settings
        self._settings = settings
        if (old.mode, old.commit_delay_s) == (settings.mode, settings.commit_delay_s):
            self._detector.settings = settings
            return Selection([], [])
        rest = self.flush()
        self._smoother = self._make_smoother()
        self._detector = make_detector(settings)
        return rest

    def reset(self) -> None:
        """Forget everything: the next frame is the first of another source."""
        self._smoother = self._make_smoother()
        self._detector = make_detector(self._settings)

    def push(self, score: FrameScore) -> Selection:
        """Take the raw score of the newest frame."""
        if score.score is not None:
            self._newest_ns = score.stamp_ns
        smoothed = self._smoother.push(score)
        return self._select(smoothed, score.stamp_ns)

    def flush(self) -> Selection:
        """End the segment; return all that was waiting."""
        rest = self._select(self._smoother.flush(), self._newest_ns)
        rest.keyframes.extend(self._stamp(self._detector.flush(), self._newest_ns))
        return rest

    def _select(self, smoothed: list[FrameScore], now_ns: int) -> Selection:
        keyframes: list[Keyframe] = []
        for score in smoothed:
            keyframes += self._detector.push(score, self._newest_ns)
        return Selection(smoothed, self._stamp(keyframes, now_ns))

    @staticmethod
    def _stamp(keyframes: list[Keyframe], now_ns: int) -> list[Keyframe]:
        """Write the stamp of the frame that arrived last into the keyframes."""
        return [replace(keyframe, committed_stamp_ns=now_ns) for keyframe in keyframes]

    def _make_smoother(self) -> ScoreSmoother:
        if self._settings.mode == 'travel':
            return ScoreSmoother(0.0, look_back_s=self._look_ahead_s)
        return ScoreSmoother(min(self._look_ahead_s, self._settings.commit_delay_s))
