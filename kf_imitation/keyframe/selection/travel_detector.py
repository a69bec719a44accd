"""Keyframes evenly spaced along the way the expression travels."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FrameScore
from kf_imitation.keyframe.scoring.pair_scorer import REFERENCE_S, raw_of_change, raw_of_score
from kf_imitation.parameters.settings import DetectorSettings

# A still face never scores exactly 0; changes below this part of the prominence are noise.
STILL_FRACTION = 0.5
# `combined`: what is left of a movement is a pose of its own from this fraction of the
# threshold on.
REST_FRACTION = 0.3
# A face that went to and fro and is nearer than this to the one shown last needs no pose.
NEAR_FRACTION = 0.5
# A face that came into view is shown when it is this fraction of the threshold away from how it
# came, and this fraction of its way led there: noise goes to and fro, movement goes somewhere. One
# that is no longer near to how it came is shown in any case.
FIRST_FRACTION = 0.1
STRAIGHT_FRACTION = 0.3
# Way and distance fade away, so that neither noise nor a small bias of the network adds up [s].
MEMORY_S = 3.0


class TravelDetector:
    """A keyframe each time the accumulated raw change passes `travel_threshold`; no commit delay.

    A frame adds -0.2 ln(1 - score) times its pair's duration in units of 1/30 s to the way, unless
    its score is below STILL_FRACTION of the prominence or below the setting `threshold`, and its
    change vector to the distance from the last keyframe's face. When the way since then reaches
    the travel threshold, the distance NEAR_FRACTION of it, and the spacing allows it, the frame is
    a keyframe and both start at 0. Scorers without change vectors do not know where a face went:
    its way counts as its distance.

    The first keyframe, at the beginning and after frames without a score, does not wait for
    that: whoever comes into view is imitated as soon as the face moves (FIRST_FRACTION and
    STRAIGHT_FRACTION).

    The mode `combined` adds the end of a movement: a frame whose score is below the prominence is
    a keyframe already when the way reaches REST_FRACTION of the travel threshold, so that a face
    at rest is not imitated with up to that much missing.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings
        self._travelled = 0.0
        self._moved: NDArray[np.float64] | float = 0.0
        self._unseen = True  # this face has not been shown yet
        self._last_ns: int | None = None

    def push(
        self, score: FrameScore, ahead: Sequence[FrameScore], spacing_ns: float, free: bool
    ) -> float | None:
        """Judge the next frame; see PeakDetector.push. What is ahead does not matter."""
        if score.score is None:
            self._travelled, self._moved, self._unseen, self._last_ns = 0.0, 0.0, True, None
            return None
        interval_ns = 0 if self._last_ns is None else score.stamp_ns - self._last_ns
        self._last_ns = score.stamp_ns
        if not self._is_far(score, score.score, interval_ns) or not free:
            return None
        self._travelled, self._moved, self._unseen = 0.0, 0.0, False
        return 0.0

    def _is_far(self, score: FrameScore, height: float, interval_ns: int) -> bool:
        """Go on by a frame; return whether it is far enough from the last keyframe."""
        settings = self.settings
        kept, duration = math.exp(-interval_ns * 1e-9 / MEMORY_S), score.dt_s / REFERENCE_S
        self._travelled *= kept
        if height >= max(settings.threshold, STILL_FRACTION * settings.prominence):
            self._travelled += raw_of_score(height) * duration
        distance = self._travelled
        if score.change is not None:
            moved = self._moved * kept + score.change.astype(np.float64) * duration
            self._moved, distance = moved, float(raw_of_change(moved))
        near = NEAR_FRACTION * settings.travel_threshold
        if self._unseen:
            first = FIRST_FRACTION * settings.travel_threshold
            return distance >= min(max(first, STRAIGHT_FRACTION * self._travelled), near)
        way = needed(settings, height)
        return self._travelled >= way and distance >= min(way, near)


def needed(settings: DetectorSettings, score: float) -> float:
    """The accumulated change that makes a frame with this score a keyframe."""
    ends = settings.mode == 'combined' and score < settings.prominence
    return settings.travel_threshold * (REST_FRACTION if ends else 1.0)
