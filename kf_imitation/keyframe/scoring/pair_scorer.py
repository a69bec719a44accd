"""What every scorer has in common: which two frames are compared, and how they are cropped."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from kf_imitation.data_types import FaceRegion, FloatArray, Frame, FrameScore, Image
from kf_imitation.inference.crop import crop
from kf_imitation.keyframe.scoring.score_scale import REFERENCE_S, score_at_rate

# Frames further apart than this are no pair: too much happens between them.
LONGEST_PAIR_S = 0.25


@dataclass(frozen=True, slots=True)
class PairChange:
    """What a scorer sees between two crops, as if they were 1/30 s apart.

    Attributes:
        score: 0..1.
        flow_px: RMS of the flow in crop pixels; 0 where the scorer estimates none.
        change: (K,) float32 signed change vector, or None.
    """

    score: float
    flow_px: float = 0.0
    change: FloatArray | None = None


class PairScorer(ABC):
    """Scores each frame against the frame before it; both are cropped with the same region.

    Attributes:
        crop_px: edge of the crop [px].
    """

    def __init__(self, crop_px: int) -> None:
        self.crop_px = crop_px
        self._frame: Frame | None = None
        self._region: FaceRegion | None = None

    def reset(self) -> None:
        """Forget the previous frame; the next one gets no score."""
        self._frame = None
        self._region = None

    def score(self, frame: Frame, region: FaceRegion | None) -> FrameScore:
        """Score one frame; call it with every frame in the order of capture.

        There is no score without a face, for the first frame of all, and after a time without
        frames (0.25 s); the note says which. When the region moved, or the face was not known yet
        in the previous frame (the tracker looks twice before it follows one), the previous frame
        is cropped with the region of this one.

        Args:
            frame: the newest frame. It is kept until the next call.
            region: the face in it, or None.
        """
        previous, old_region = self._frame, self._region
        self._frame, self._region = frame, region
        if region is None:
            return _unscored(frame, None, 'no face')
        image = crop(frame.bgr, region, self.crop_px)
        if previous is None:
            self._begin(image)
            return _unscored(frame, region, 'first frame')
        dt_s = (frame.stamp_ns - previous.stamp_ns) * 1e-9
        if old_region is not None and old_region.track_id != region.track_id:
            self._begin(image)
            return _unscored(frame, region, 'another face')
        if not 0 < dt_s <= LONGEST_PAIR_S:
            self._begin(image)
            return _unscored(frame, region, f'{dt_s:.2f} s since the frame before')
        if old_region != region:
            self._begin(crop(previous.bgr, region, self.crop_px))
        pair = self._compare(image)
        return FrameScore(
            index=frame.index,
            stamp_ns=frame.stamp_ns,
            score=score_at_rate(pair.score, dt_s),
            flow_px=pair.flow_px,
            region=region,
            dt_s=dt_s,
            change=None if pair.change is None else pair.change * (REFERENCE_S / dt_s),
        )

    @abstractmethod
    def _begin(self, image: Image) -> None:
        """Take a crop as the previous one without comparing it."""

    @abstractmethod
    def _compare(self, image: Image) -> PairChange:
        """Compare a crop with the previous one; it is the previous one from then on."""


def _unscored(frame: Frame, region: FaceRegion | None, note: str) -> FrameScore:
    return FrameScore(frame.index, frame.stamp_ns, None, region=region, note=note)
