"""The scores to beat: frame difference and classical optical flow, no learning."""

import cv2
import numpy as np

from kf_imitation.data_types import FloatArray, Image
from kf_imitation.keyframe.scoring.pair_scorer import SOFTNESS, PairChange, score_of_raw

CROP_PX = 96
# Raw values that map to the same score as a label's raw change of SOFTNESS; only the scale of
# the score depends on them, not its order. About the 80th percentile on data/clips/train.
_DIFFERENCE_SCALE = 6.0  # grey levels, mean absolute difference
_FLOW_SCALE = 1.2  # crop pixels, RMS


def _grey(image: Image) -> Image:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # type: ignore[no-any-return]


class FrameDifference:
    """Mean absolute grey difference of the two crops."""

    crop_px = CROP_PX
    reading = embeddings = None

    def __init__(self) -> None:
        self._previous: Image | None = None

    def begin(self, image: Image) -> None:
        """Take a crop as the previous one."""
        self._previous = _grey(image)

    def compare(self, image: Image) -> PairChange:
        """Compare a crop with the previous one."""
        assert self._previous is not None  # begin comes first
        grey = _grey(image)
        mean = float(np.mean(cv2.absdiff(grey, self._previous)))
        self._previous = grey
        return PairChange(score_of_raw(mean / _DIFFERENCE_SCALE * SOFTNESS))


class DisFlow:
    """Root mean square length of OpenCV's DIS flow between the two crops."""

    crop_px = CROP_PX
    reading = embeddings = None

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._previous: Image | None = None

    def begin(self, image: Image) -> None:
        """Take a crop as the previous one."""
        self._previous = _grey(image)

    def compare(self, image: Image) -> PairChange:
        """Compare a crop with the previous one."""
        assert self._previous is not None  # begin comes first
        grey = _grey(image)
        flow: FloatArray = self._flow.calc(self._previous, grey, None)
        self._previous = grey
        length = float(np.sqrt(np.mean(np.sum(flow * flow, axis=2))))
        return PairChange(score_of_raw(length / _FLOW_SCALE * SOFTNESS), flow_px=length)
