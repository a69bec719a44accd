"""One detector for every mode."""

from collections.abc import Sequence
from typing import Protocol

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.selection.peak_detector import PeakDetector
from kf_imitation.keyframe.selection.settings import DetectorSettings
from kf_imitation.keyframe.selection.settle_detector import SettleDetector
from kf_imitation.keyframe.selection.travel_detector import TravelDetector


class KeyframeDetector(Protocol):
    """Pure and online: scores in, keyframes out.

    Attributes:
        settings: may be replaced at any time by settings of the same mode.
    """

    settings: DetectorSettings

    def push(self, score: FrameScore, ahead: Sequence[FrameScore] = ()) -> Keyframe | None:
        """Judge the next frame with what is known of the frames after it."""
        ...


def make_detector(settings: DetectorSettings) -> KeyframeDetector:
    """Return the detector of the settings' mode."""
    if settings.mode == 'peak':
        return PeakDetector(settings)
    if settings.mode == 'settle':
        return SettleDetector(settings)
    return TravelDetector(settings)
