import math
from pathlib import Path

import numpy as np
import onnx
import pytest

from kf_imitation.data_types import FaceRegion, Frame
from kf_imitation.errors import ModelError
from kf_imitation.inference import OnnxModel, crop
from kf_imitation.keyframe.scoring.pair_scorer import (
    ROTATION_WEIGHT,
    ChangeNetwork,
    PairScorer,
    pictures,
    raw_of_change,
    raw_of_score,
    score_of_change,
    score_of_raw,
)


class MeanModel:
    """Scores the difference of the crops' means; its state is the mean of the last crop."""

    name = 'mean'

    def __init__(self, shapes=None):
        self.entry = {}
        self.input_shapes = shapes or {'crop': (1, 8, 8, 3), 'state_mean': (1, 1)}
        self.runs = 0

    def run(self, feeds):
        self.runs += 1
        mean = feeds['crop'].astype(np.float32).mean()
        step = np.float32(abs(mean - feeds['state_mean'][0, 0]) / 255)
        return {
            'score': np.array([step]),
            'flow': np.full((1, 2, 4, 4), step, np.float32),
            'change': np.full((1, 54), step, np.float32),
            'next_state_mean': np.array([[mean]], np.float32),
        }


def frame(index, value=0, fps=30.0, image=None):
    bgr = np.full((60, 80, 3), value, np.uint8) if image is None else image
    return Frame(index, round(index / fps * 1e9), bgr)


REGION = FaceRegion(10, 5, 40, 1)


def test_the_first_frame_has_no_score_and_says_why():
    scorer = PairScorer(ChangeNetwork(MeanModel()))
    first, second = scorer.score(frame(0), REGION), scorer.score(frame(1, 51), REGION)
    assert (first.score, first.note) == (None, 'first frame')
    assert second.score == pytest.approx(0.2, abs=1e-5)
    assert second.flow_px == pytest.approx(0.2 * np.sqrt(2))
    assert second.change.shape == (54,) and second.change.dtype == np.float32
    assert second.dt_s == pytest.approx(1 / 30)
    assert second.note == ''


def test_a_face_found_in_this_frame_is_compared_with_its_place_in_the_frame_before():
    scorer = PairScorer(ChangeNetwork(MeanModel()))
    assert scorer.score(frame(0), None).note == 'no face'
    found = scorer.score(frame(1, 51), REGION)
    assert found.score == pytest.approx(0.2, abs=1e-5)
    assert found.region == REGION


@pytest.mark.parametrize(
    ('second', 'region', 'note'),
    [
        (frame(1, 51), None, 'no face'),
        (frame(1, 51), FaceRegion(10, 5, 40, 2), 'another face'),
        (frame(60, 51), REGION, '2.00 s since the frame before'),
    ],
)
def test_gaps_lost_faces_and_new_faces_start_again(second, region, note):
    scorer = PairScorer(ChangeNetwork(MeanModel()))
    scorer.score(frame(0), REGION)
    result = scorer.score(second, region)
    assert (result.score, result.change, result.note) == (None, None, note)
    after = scorer.score(frame(second.index + 1, 51), FaceRegion(10, 5, 40, 2))
    assert after.score is None or after.score == pytest.approx(0, abs=1e-6)


def test_when_the_region_moves_the_previous_frame_is_cropped_again():
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, 40:] = 200  # a step of brightness that a moved crop sees differently
    model = MeanModel()
    scorer = PairScorer(ChangeNetwork(model))
    scorer.score(frame(0, image=image), REGION)
    moved = scorer.score(frame(1, image=image), FaceRegion(25, 5, 40, 1))
    assert moved.score == pytest.approx(0, abs=1e-6)
    # Each time a region begins: its first crop, and that crop against itself.
    assert model.runs == 2 + 2 + 1
    scorer.score(frame(2, image=image), FaceRegion(25, 5, 40, 1))
    assert model.runs == 6  # a still region costs one run a frame


@pytest.mark.parametrize('fps', [15, 25, 30, 60])
def test_the_score_of_a_steady_change_is_a_rate(fps):
    step = 60 / fps  # grey levels a pair, so 60 a second at any rate
    image = np.tile(np.arange(80, dtype=np.float32) % 2, (60, 1))  # its mean takes fractions
    images = [
        np.repeat(np.floor(step * i + image * (step * i % 1) * 2)[..., None], 3, axis=2)
        for i in range(4)
    ]
    scorer = PairScorer(ChangeNetwork(MeanModel()))
    scores = [
        scorer.score(frame(i, fps=fps, image=image.astype(np.uint8)), REGION)
        for i, image in enumerate(images)
    ]
    for score in scores[1:]:
        assert score.change[0] == pytest.approx(2 / 255, rel=0.25)
        assert raw_of_score(score.score) == pytest.approx(0.2 * 2 / 255, rel=0.25)


def test_another_network_takes_over_between_two_frames_and_no_score_is_lost():
    scorer = PairScorer(ChangeNetwork(MeanModel()))
    scores = [scorer.score(frame(i, 51 * i), REGION) for i in range(2)]
    other = MeanModel()
    other.name = 'other'
    scorer.go_over_to(ChangeNetwork(other))
    scores += [scorer.score(frame(i, 51 * i), REGION) for i in range(2, 4)]
    assert [s.model for s in scores] == ['', 'mean', 'other', 'other']
    assert [s.score for s in scores[1:]] == [pytest.approx(0.2, abs=1e-5)] * 3


def test_reset_forgets_the_previous_frame():
    scorer = PairScorer(ChangeNetwork(MeanModel()))
    scorer.score(frame(0), REGION)
    scorer.reset()
    assert scorer.score(frame(1, 51), REGION).score is None


@pytest.mark.parametrize(
    'shapes',
    [
        {'image': (1, 8, 8, 3)},
        {'crop': (1, 8, 9, 3)},
        {'crop': (1, 'h', 'h', 3)},
        {'crop': (1, 8, 8, 3), 'previous': (1, 1)},
        {'crop': (1, 8, 8, 3), 'state_a': (1, 'n')},
    ],
)
def test_a_model_without_the_promised_inputs_is_rejected(shapes):
    with pytest.raises(ModelError, match='model mean: input'):
        ChangeNetwork(MeanModel(shapes))


def test_a_model_that_drops_its_state_is_rejected():
    model = MeanModel({'crop': (1, 8, 8, 3), 'state_mean': (1, 1), 'state_more': (1, 2)})
    with pytest.raises(ModelError, match='lacks the outputs next_state_more'):
        PairScorer(ChangeNetwork(model)).score(frame(0), REGION)


def tiny_graph(path: Path):
    """Mean absolute difference of the crop and the crop before, as a real ONNX file."""
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = [1, 8, 8, 3]
    nodes = [
        helper.make_node('Cast', ['crop'], ['next_state_crop'], to=kinds.FLOAT),
        helper.make_node('Sub', ['next_state_crop', 'state_crop'], ['delta']),
        helper.make_node('Abs', ['delta'], ['size']),
        helper.make_node('ReduceMean', ['size'], ['mean'], keepdims=0),
        helper.make_node('Div', ['mean', 'full'], ['share']),
        helper.make_node('Reshape', ['share', 'one'], ['score']),
    ]
    graph = helper.make_graph(
        nodes,
        'tiny',
        [
            helper.make_tensor_value_info('crop', kinds.UINT8, shape),
            helper.make_tensor_value_info('state_crop', kinds.FLOAT, shape),
        ],
        [
            helper.make_tensor_value_info('score', kinds.FLOAT, [1]),
            helper.make_tensor_value_info('next_state_crop', kinds.FLOAT, shape),
        ],
        [
            helper.make_tensor('full', kinds.FLOAT, [], [255.0]),
            helper.make_tensor('one', kinds.INT64, [1], [1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.save(model, str(path))


def test_a_real_onnx_file_streams_its_state(tmp_path):
    tiny_graph(tmp_path / 'tiny.onnx')
    network = ChangeNetwork(OnnxModel('tiny', {}, tmp_path / 'tiny.onnx', threads=1))
    scorer = PairScorer(network)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 60, 80, 3), dtype=np.uint8)
    scores = [scorer.score(frame(i, image=image), REGION) for i, image in enumerate(images)]
    assert network.crop_px == 8
    for before, now, score in zip(images, images[1:], scores[1:], strict=False):
        crops = [crop(image, REGION, 8).astype(np.float32) for image in (before, now)]
        expected = np.abs(crops[1] - crops[0]).mean() / 255
        assert score.score == pytest.approx(expected, abs=1e-5)
        assert (score.flow_px, score.change) == (0.0, None)


def test_a_model_of_one_channel_sees_the_mean_of_three():
    crop = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    shapes = {'crop': (1, 8, 8, 1), 'colour': (1, 4, 4, 3), 'state_mean': (1, 1)}
    fed = pictures(crop, shapes)
    assert fed['crop'].shape == (1, 8, 8, 1) and fed['crop'].dtype == np.uint8
    assert np.abs(fed['crop'][0, ..., 0] - crop.mean(axis=2)).max() <= 0.5
    small = crop.reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    assert np.abs(fed['colour'][0] - small).max() <= 0.5
    whole = pictures(crop, {'crop': (1, 8, 8, 3)})
    assert list(whole) == ['crop'] and np.array_equal(whole['crop'], crop[None])
    model = MeanModel(shapes)
    assert ChangeNetwork(model).crop_px == 8


class ReadingModel(MeanModel):
    """Also reads eyes and mouth: as much of everything as the crop is bright."""

    def __init__(self):
        super().__init__({'crop': (1, 8, 8, 3), 'state_mean': (1, 1), 'state_readings': (1, 54)})

    def run(self, feeds):
        bright = feeds['crop'].astype(np.float32).mean() / 255
        return super().run(feeds) | {'next_state_readings': np.full((1, 54), bright, np.float32)}


def test_every_frame_with_a_face_is_read_even_one_without_a_score():
    scorer = PairScorer(ChangeNetwork(ReadingModel()))
    first = scorer.score(frame(0, 51), REGION)
    moved = scorer.score(frame(1, 102), FaceRegion(14, 5, 40, 1))
    assert first.score is None and first.reading == pytest.approx(np.full(51, 0.2))
    assert moved.reading == pytest.approx(np.full(51, 0.4))
    assert scorer.score(frame(2, 102), None).reading is None


def test_a_model_without_eyes_and_mouth_reads_nothing():
    scorer = PairScorer(ChangeNetwork(MeanModel()))
    assert scorer.score(frame(0), REGION).reading is None
    assert scorer.score(frame(1), REGION).reading is None


def test_many_changes_have_the_scores_of_each_alone_by_the_papers_formula():
    changes = np.random.default_rng(3).normal(0, 0.02, (7, 54)).astype(np.float32)
    scores = score_of_change(changes)
    assert scores.tolist() == [float(score_of_change(change)) for change in changes]
    face, head = changes[0, :51].astype(float), changes[0, 51:].astype(float)
    raw = math.hypot(*face) + ROTATION_WEIGHT * math.hypot(*head)
    assert raw_of_change(changes[0]) == pytest.approx(raw, rel=1e-12)
    assert scores[0] == pytest.approx(score_of_raw(raw), rel=1e-12)
    assert score_of_change(np.zeros(54)) == 0.0
