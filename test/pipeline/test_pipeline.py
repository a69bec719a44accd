import numpy as np
import pytest

from kf_imitation.data_types import (
    CameraModel,
    FaceRegion,
    Frame,
    FrameScore,
    Keyframe,
    Landmarks,
)
from kf_imitation.keyframe.scoring.baselines import FrameDifference
from kf_imitation.keyframe.scoring.pair_scorer import PairScorer
from kf_imitation.keyframe.selection.selector import KeyframeSelector, Selection
from kf_imitation.parameters.modes import MODES
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.pipeline import face_pipeline
from kf_imitation.pipeline.face_pipeline import (
    ExpressionPipeline,
    FacePipeline,
    cut_face,
    face_square,
)
from kf_imitation.pipeline.statistics import FAR_APART, Ledger


def picture(width=200, height=100):
    x = np.arange(width)[None, :].repeat(height, 0)
    y = np.arange(height)[:, None].repeat(width, 1)
    return np.stack([x, y, x], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ('region', 'roi'),
    [
        (FaceRegion(20, 10, 50), (20, 10, 50, 50)),
        (FaceRegion(-10, 10, 50), (0, 10, 40, 50)),
        (FaceRegion(170, 70, 50), (170, 70, 30, 30)),
    ],
)
def test_a_face_is_cut_at_the_border_and_its_square_is_known_again(region, roi):
    face = cut_face(Frame(0, 5, picture()), region, 256)
    assert (face.x, face.y, face.width, face.height) == roi
    assert face.bgr[0, 0].tolist()[:2] == [roi[0], roi[1]]
    square = face_square(face)
    if max(roi[2:]) == 50:
        assert (square.x + face.x, square.y + face.y, square.size) == (region.x, region.y, 50)


def test_a_large_face_is_shrunk_and_a_small_one_kept():
    assert cut_face(Frame(0, 0, picture()), FaceRegion(0, 0, 100), 50).bgr.shape == (50, 50, 3)
    assert cut_face(Frame(0, 0, picture()), FaceRegion(0, 0, 30), 50).bgr.shape == (30, 30, 3)


class OnePoint:
    """In place of a landmark model: every point in the middle."""

    def predict(self, bgr, square, stamp_ns):
        return Landmarks(stamp_ns, np.ones((98, 2), np.float32), np.ones(98, np.float32))


class Learned:
    """In place of an estimator: how many faces it has seen since it last forgot."""

    def __init__(self):
        self.faces = 0

    def update(self, landmarks, pose):
        self.faces += 1
        return self.faces

    def reset(self):
        self.faces = 0


def test_a_face_of_another_person_is_read_with_nothing_learned(monkeypatch):
    monkeypatch.setattr(face_pipeline, 'solve_head_pose', lambda landmarks, camera: None)
    reader = ExpressionPipeline(OnePoint(), Learned(), Ledger())
    seen = []
    for track_id in (0, 4, 4, 0, 4, 5, 5, 4):  # 0: a node that was not told yet
        face = cut_face(Frame(0, 0, picture()), FaceRegion(0, 0, 50, track_id), 50)
        assert face.track_id == track_id
        seen.append(reader.run(face, CameraModel(200, 100, 200.0)).expression)
    assert seen == [1, 2, 3, 4, 5, 1, 2, 1]


class StillTracker:
    state = 'following'
    settings = None

    def update(self, frame):
        return FaceRegion(frame.index, 0, 50)

    def reset(self):
        pass


class Scorer:
    pair = None

    def score(self, frame, region):
        return FrameScore(frame.index, frame.stamp_ns, 0.5 if frame.index else None)

    def reset(self):
        pass


class LateSelector:
    """Holds scores back by three frames; every fifth frame is a keyframe."""

    settings = DetectorSettings()

    def __init__(self):
        self.waiting = []

    def push(self, score):
        self.waiting.append(score)
        return self.select([self.waiting.pop(0)] if len(self.waiting) > 3 else [])

    def flush(self):
        rest, self.waiting = self.waiting, []
        return self.select(rest)

    def select(self, scores):
        return Selection(scores, [self.keyframe(s) for s in scores if s.index % 5 == 0])

    def keyframe(self, score):
        return Keyframe(score.index, score.stamp_ns, 0.5, 0, 0, score.stamp_ns + 10**8, 'peak')


@pytest.fixture
def pipeline():
    return FacePipeline(StillTracker(), Scorer(), LateSelector(), 64, Ledger())


def test_every_frame_gets_one_score_and_a_keyframe_brings_the_crop_of_its_own_frame(pipeline):
    frames = [Frame(i, i * 33_000_000, picture()) for i in range(12)]
    steps = [pipeline.push(frame) for frame in frames] + [pipeline.flush()]
    assert [s.index for step in steps for s in step.scores] == list(range(12))
    chosen = [c for step in steps for c in step.chosen]
    assert [c.keyframe.index for c in chosen] == [0, 5, 10]
    assert [c.face.x for c in chosen] == [0, 5, 10]
    assert [c.face.stamp_ns for c in chosen] == [c.keyframe.stamp_ns for c in chosen]


@pytest.mark.parametrize(('held_bytes', 'crops'), [(60_000, 3), (59_999, 12)])
def test_crops_are_cut_of_keyframes_only_unless_frames_are_too_large_to_keep(
    monkeypatch, held_bytes, crops
):
    monkeypatch.setattr(face_pipeline, '_HELD_BYTES', held_bytes)
    ledger = Ledger()
    pipeline = FacePipeline(StillTracker(), Scorer(), LateSelector(), 64, ledger)
    steps = [pipeline.push(Frame(i, i * 33_000_000, picture())) for i in range(12)]
    chosen = [c for step in [*steps, pipeline.flush()] for c in step.chosen]
    assert [c.face.x for c in chosen] == [0, 5, 10]
    assert ledger.times()['crop'].count == crops


def test_frames_too_far_apart_to_be_compared_are_counted():
    ledger = Ledger()
    scorer = PairScorer(FrameDifference())
    selector = KeyframeSelector(DetectorSettings())
    pipeline = FacePipeline(StillTracker(), scorer, selector, 64, ledger)
    for index, stamp_s in enumerate((0, 1, 2, 2.25, 3.25)):
        pipeline.push(Frame(index, int(stamp_s * 1e9), picture()))
    assert ledger.count('unscored') == 4 and ledger.count(FAR_APART) == 3


class UnrestScorer:
    """A face that moves twice a second."""

    pair = None

    def score(self, frame, region):
        height = 0.4 + 0.4 * np.sin(frame.stamp_ns * 1e-9 * 4 * np.pi)
        return FrameScore(frame.index, frame.stamp_ns, height, region=region, dt_s=1 / 30)

    def reset(self):
        pass


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('phase', range(0, 15, 3))
def test_what_waits_when_a_pause_comes_is_chosen_with_its_face(mode, phase):
    """A bag that starts again, a source with gaps, a machine that stood still."""
    selector = KeyframeSelector(DetectorSettings(mode=mode))
    pipeline = FacePipeline(StillTracker(), UnrestScorer(), selector, 64, Ledger())
    stamps = [round((i + phase) / 30 * 1e9) + i // 30 * 3 * 10**9 for i in range(120)]
    steps = [pipeline.push(Frame(i, stamp, picture())) for i, stamp in enumerate(stamps)]
    chosen = [c for step in [*steps, pipeline.flush()] for c in step.chosen]
    assert len(chosen) > 3
    assert [c.face.x for c in chosen] == [c.keyframe.index for c in chosen]
