"""Which two frames are compared, and how they are cropped, for any way to compare them."""

from dataclasses import dataclass
from typing import Protocol

from kf_imitation.data_types import FaceRegion, FloatArray, Frame, FrameScore, Image
from kf_imitation.inference.crop import crop
from kf_imitation.keyframe.scoring.score_scale import REFERENCE_S, score_at_rate
from kf_imitation.keyframe.scoring.streaming_model import ScoredPair

# Frames further apart than this are no pair: too much happens between them.
LONGEST_PAIR_S = 0.25


@dataclass(frozen=True, slots=True)
class PairChange:
    """The change between two crops, as if they were 1/30 s apart.

    Attributes:
        score: 0..1.
        flow_px: RMS of the flow in crop pixels; 0 where the comparison estimates none.
        change: (K,) float32 signed change vector, or None.
        pair: what a network compared, for an explanation; None for a baseline.
    """

    score: float
    flow_px: float = 0.0
    change: FloatArray | None = None
    pair: ScoredPair | None = None


class Comparison(Protocol):
    """Compares each crop with the one before it: the network or a baseline."""

    @property
    def crop_px(self) -> int:
        """Edge of the crops [px]."""
        ...

    def begin(self, image: Image) -> None:
        """Take a crop as the previous one without comparing it; everything before is forgotten."""
        ...

    def compare(self, image: Image) -> PairChange:
        """Compare a crop with the previous one; it is the previous one from then on."""
        ...


class PairScorer:
    """Scores each frame against the frame before it; both are cropped with the same region.

    Attributes:
        pair: what a network compared for the newest frame, for an explanation; None where that
            frame got no score, and for baselines.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self.reset()

    def reset(self) -> None:
        """Forget the previous frame; the next one gets no score."""
        self._frame: Frame | None = None
        self._region: FaceRegion | None = None
        self.pair: ScoredPair | None = None

    def score(self, frame: Frame, region: FaceRegion | None) -> FrameScore:
        """Score one frame; call it with every frame in the order of capture.

        There is no score without a face, for the first frame of all, and after a time without
        frames (0.25 s); the note says which. When the region moved, or the face was not known yet
        in the previous frame (the tracker confirms a face before it follows one), the previous
        frame is cropped with the region of this one.

        Args:
            frame: the newest frame. It is kept until the next call.
            region: the face in it, or None.
        """
        previous, old_region = self._frame, self._region
        self._frame, self._region, self.pair = frame, region, None
        if region is None:
            return FrameScore(frame.index, frame.stamp_ns, None, note='no face')
        image = crop(frame.bgr, region, self._comparison.crop_px)
        if previous is None:
            return self._first(image, frame, region, 'first frame')
        dt_s = (frame.stamp_ns - previous.stamp_ns) * 1e-9
        if old_region is not None and old_region.track_id != region.track_id:
            return self._first(image, frame, region, 'another face')
        if not 0 < dt_s <= LONGEST_PAIR_S:
            return self._first(image, frame, region, f'{dt_s:.2f} s since the frame before')
        if old_region != region:
            self._comparison.begin(crop(previous.bgr, region, self._comparison.crop_px))
        found = self._comparison.compare(image)
        self.pair = found.pair
        return FrameScore(
            index=frame.index,
            stamp_ns=frame.stamp_ns,
            score=score_at_rate(found.score, dt_s),
            flow_px=found.flow_px,
            region=region,
            dt_s=dt_s,
            change=None if found.change is None else found.change * (REFERENCE_S / dt_s),
        )

    def _first(self, image: Image, frame: Frame, region: FaceRegion, note: str) -> FrameScore:
        self._comparison.begin(image)
        return FrameScore(frame.index, frame.stamp_ns, None, region=region, note=note)
