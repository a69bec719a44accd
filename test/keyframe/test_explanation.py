"""The split of a score is checked on a model whose parts are known."""

import numpy as np
import pytest

from kf_imitation.data_types import FaceRegion, Frame
from kf_imitation.errors import ModelError
from kf_imitation.inference import crop
from kf_imitation.keyframe.explanation import explain_pair, split_change
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork, PairScorer, score_of_change

EYE_BLINK_LEFT, JAW_OPEN, HEAD_YAW = 8, 24, 52


class TwoPartModel:
    """Motion is the change of blue, appearance that of green; red answers without any change.

    Args:
        motion, appearance: channels that each part answers in; None leaves the part out.
        joint: how much stronger both parts are together.
    """

    name = 'two parts'

    def __init__(self, motion=JAW_OPEN, appearance=JAW_OPEN, joint=0.0):
        self.motion, self.appearance, self.joint = motion, appearance, joint
        self.input_shapes = {'crop': (1, 8, 8, 3)}
        if motion is not None:
            self.input_shapes['state_stride4'] = (1, 1)
        if appearance is not None:
            self.input_shapes['state_expression'] = (1, 1)
        self.runs = 0

    def run(self, feeds):
        self.runs += 1
        blue, green, red = (feeds['crop'].reshape(-1, 3).mean(axis=0) / 255).astype(np.float32)
        change = np.zeros((1, 54), np.float32)
        moved = blue - feeds['state_stride4'][0, 0] if self.motion is not None else 0.0
        looked = green - feeds['state_expression'][0, 0] if self.appearance is not None else 0.0
        if self.motion is not None:
            change[0, self.motion] += moved
        if self.appearance is not None:
            change[0, self.appearance] += looked
        change[0, JAW_OPEN] += red + self.joint * moved * looked
        return {
            'score': np.array([0.5], np.float32),
            'change': change,
            'next_state_stride4': np.array([[blue]], np.float32),
            'next_state_expression': np.array([[green]], np.float32),
        }


def explain(model, previous, current, change=None):
    network = ChangeNetwork(model)
    network.begin(previous)
    return explain_pair(network.compare(current).pair, change)


def image(blue=0, green=0, red=0):
    return np.full((8, 8, 3), (blue, green, red), np.uint8)


def test_a_change_by_motion_alone_is_all_flow():
    found = explain(TwoPartModel(), image(), image(blue=60))
    assert found.flow_share == pytest.approx(1.0, abs=1e-6)
    assert found.appearance_share == pytest.approx(0.0, abs=1e-6)


def test_parts_share_as_they_contributed_and_add_up():
    found = explain(TwoPartModel(), image(), image(blue=60, green=20, red=20))
    assert (found.flow_share, found.appearance_share, found.still_share) == pytest.approx(
        (0.6, 0.2, 0.2), abs=1e-5
    )


def test_what_only_both_together_bring_is_halved():
    found = explain(TwoPartModel(joint=2.0), image(), image(blue=51, green=51))
    # 0.2 + 0.2 + 2 * 0.2 * 0.2 = 0.48
    assert (found.flow_share, found.appearance_share) == pytest.approx((0.5, 0.5), abs=1e-5)


def test_parts_that_contradict_each_other_show_it():
    found = explain(TwoPartModel(), image(green=20), image(blue=60))
    assert found.flow_share == pytest.approx(1.5, abs=1e-5)
    assert found.appearance_share == pytest.approx(-0.5, abs=1e-5)


def test_head_and_face_share_on_the_scale_of_the_score():
    # A head angle counts twice as much as a blendshape.
    model = TwoPartModel(motion=HEAD_YAW, appearance=JAW_OPEN)
    found = explain(model, image(), image(blue=51, green=51))
    assert found.flow_share == pytest.approx(2 / 3, abs=1e-5)
    assert found.split.head_share == pytest.approx(2 / 3, abs=1e-5)
    assert found.split.strongest[:2] == (
        ('headYaw', pytest.approx(0.2)),
        ('jawOpen', pytest.approx(0.2)),
    )


def test_no_change_has_no_shares():
    found = explain(TwoPartModel(), image(blue=9), image(blue=9))
    assert (found.flow_share, found.appearance_share, found.still_share) == (0, 0, 0)
    assert found.split.head_share == 0


@pytest.mark.parametrize(
    ('model', 'shares'),
    [
        (TwoPartModel(appearance=None), (0.75, 0.0, 0.25)),
        (TwoPartModel(motion=None), (0.0, 0.75, 0.25)),
    ],
)
def test_a_model_with_one_part_gives_the_other_nothing(model, shares):
    found = explain(model, image(), image(60, 60, 20))
    assert (found.flow_share, found.appearance_share, found.still_share) == pytest.approx(
        shares, abs=1e-5
    )


def test_a_scored_pair_is_explained_as_its_two_crops_are():
    model = TwoPartModel()
    scorer, region = PairScorer(ChangeNetwork(model)), FaceRegion(0, 0, 8)
    before, after = image(), image(blue=60, green=20)
    scorer.score(Frame(0, 0, before), region)
    assert scorer.pair is None
    scorer.score(Frame(1, 40_000_000, after), region)
    runs = model.runs
    found = explain_pair(scorer.pair)
    assert model.runs - runs == 3
    assert found == explain(model, crop(before, region, 8), crop(after, region, 8))
    scorer.score(Frame(2, 80_000_000, after), None)
    assert scorer.pair is None


def test_the_score_without_the_head_is_that_of_the_blendshapes():
    change = np.zeros(54, np.float32)
    change[EYE_BLINK_LEFT], change[HEAD_YAW] = -0.1, 0.2
    found = split_change(change)
    assert found.head_share == pytest.approx(0.8)
    face = change.copy()
    face[HEAD_YAW] = 0
    assert found.score_without_head == pytest.approx(score_of_change(face))
    assert found.strongest[1] == ('eyeBlinkLeft', pytest.approx(-0.1))


def test_the_given_vector_is_what_is_split_by_what_moved():
    smoothed = np.zeros(54, np.float32)
    smoothed[HEAD_YAW] = 0.1
    found = explain(TwoPartModel(), image(), image(blue=60), smoothed)
    assert found.split.head_share == 1
    assert found.flow_share == pytest.approx(1.0, abs=1e-6)


def test_a_model_without_change_vectors_is_rejected_by_name():
    class ScoreOnly(TwoPartModel):
        def run(self, feeds):
            return {k: v for k, v in super().run(feeds).items() if k != 'change'}

    with pytest.raises(ModelError, match=r'two parts.*change of 54'):
        explain(ScoreOnly(), image(), image(blue=60))
