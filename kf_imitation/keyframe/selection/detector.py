"""One detector for every mode."""

from collections.abc import Callable, Sequence
from typing import Protocol

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.selection.peak_detector import PeakDetector
from kf_imitation.keyframe.selection.settle_detector import SettleDetector
from kf_imitation.keyframe.selection.travel_detector import TravelDetector
from kf_imitation.parameters.settings import DetectorSettings

CAUSAL = ('travel', 'combined')  # modes without look-ahead and commit delay


class KeyframeDetector(Protocol):
    """Pure and online: scores in, keyframes out.

    Attributes:
        settings: may be replaced at any time by settings of the same mode.
    """

    settings: DetectorSettings

    def push(self, score: FrameScore, ahead: Sequence[FrameScore] = ()) -> Keyframe | None:
        """Judge the next frame with what is known of the frames after it."""
        ...


_DETECTORS: dict[str, Callable[[DetectorSettings], KeyframeDetector]] = {
    'peak': PeakDetector,
    'settle': SettleDetector,
    'travel': TravelDetector,
    'combined': TravelDetector,
}


def make_detector(settings: DetectorSettings) -> KeyframeDetector:
    """Return the detector of the settings' mode."""
    return _DETECTORS[settings.mode](settings)
