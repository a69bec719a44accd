"""Keyframes evenly spaced along the way the expression travels."""

import math
from collections.abc import Sequence

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.detector_settings import DetectorSettings
from kf_imitation.keyframe.score_scale import REFERENCE_S, raw_of_score
from kf_imitation.keyframe.spacing import Spacing

# A still face never scores exactly 0; changes below this part of the prominence are noise.
STILL_SHARE = 0.5
# `combined`: what is left of a movement is a pose of its own from this share of the quantum on.
REST_SHARE = 0.3


class TravelDetector:
    """A keyframe each time the accumulated raw change passes the quantum; no commit delay.

    A frame adds -0.2 ln(1 - score) times its pair's duration in units of 1/30 s, unless its score
    is below STILL_SHARE of the prominence or below the threshold. When the sum since the
    last keyframe reaches the quantum and the spacing allows it, the frame is a keyframe and the
    sum starts at 0. The first frame that moves is a keyframe too, at the beginning and after
    frames without a score: whoever comes into view is imitated as soon as the face moves, and not
    only after a quantum. The noise of a dim picture can count as that (docs/keyframes.md).

    The mode `combined` adds the end of a movement: a frame whose score is below the prominence is
    a keyframe already when the sum reaches REST_SHARE of the quantum, so that a face at rest is
    not imitated with up to a quantum missing.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings
        self._spacing = Spacing()
        self._travelled = 0.0
        self._unseen = True  # this face has not been shown yet
        self._last_ns: int | None = None

    def push(self, score: FrameScore, ahead: Sequence[FrameScore] = ()) -> Keyframe | None:
        """Judge the next frame; see PeakDetector.push. What is ahead does not matter."""
        if score.score is None:
            self._travelled, self._unseen, self._last_ns = 0.0, True, None
            return None
        settings = self.settings
        interval_ns = 0 if self._last_ns is None else score.stamp_ns - self._last_ns
        self._last_ns = score.stamp_ns
        if score.score >= max(settings.threshold, STILL_SHARE * settings.prominence):
            self._travelled += raw_of_score(score.score) * score.dt_s / REFERENCE_S
            if self._unseen:
                self._travelled, self._unseen = math.inf, False
        if self._travelled < needed(settings, score.score) or not self._spacing.allows(
            score.stamp_ns, interval_ns, settings.spacing_s
        ):
            return None
        self._travelled = 0.0
        self._spacing.take(score.stamp_ns)
        return Keyframe(
            index=score.index,
            stamp_ns=score.stamp_ns,
            score=score.score,
            prominence=0.0,
            threshold=needed(settings, score.score),
            committed_stamp_ns=(ahead[-1] if ahead else score).stamp_ns,
            mode=settings.mode,
        )


def needed(settings: DetectorSettings, score: float) -> float:
    """The accumulated change that makes a frame with this score a keyframe."""
    ends = settings.mode == 'combined' and score < settings.prominence
    return settings.travel_quantum * (REST_SHARE if ends else 1.0)
