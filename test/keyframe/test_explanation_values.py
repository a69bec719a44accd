"""The numbers of keyframe/explanation, and where neighbours and shares come from."""

from math import isnan, nan

import numpy as np
import pytest

from kf_imitation.data_types import FaceRegion, Frame, FrameScore, Keyframe
from kf_imitation.keyframe.explanation import explain_pair
from kf_imitation.keyframe.explanation_values import NAMES, frame_values, keyframe_values, words
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork, PairScorer
from kf_imitation.keyframe.selection.selector import KeyframeSelector
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.pipeline.face_pipeline import ChosenFrame, FacePipeline
from kf_imitation.pipeline.statistics import Ledger

STEP_NS = 33_333_333
JAW_OPEN, HEAD_YAW = 24, 52


class Brightness:
    """A model whose jaw opens as the picture gets brighter; half of it is seen by appearance."""

    name = 'brightness'

    def __init__(self):
        states = ('state_stride4', 'state_expression')
        self.input_shapes = {'crop': (1, 8, 8, 3), **dict.fromkeys(states, (1, 1))}

    def run(self, feeds):
        level = np.array([[feeds['crop'].astype(np.float32).mean() / 255]], np.float32)
        change = np.zeros((1, 54), np.float32)
        for state in ('state_stride4', 'state_expression'):
            change[0, JAW_OPEN] += (level - feeds[state])[0, 0] / 2
        states = {f'next_{s}': level for s in ('state_stride4', 'state_expression')}
        return {'score': np.array([0.5], np.float32), 'change': change, **states}


class Still:
    state = 'following a face'

    def update(self, frame):
        return FaceRegion(0, 0, 16)


def frames():
    for i in range(40):
        level = 100 + 80 * np.tanh(4 * np.sin(i * 2 * np.pi / 30))
        yield Frame(i, i * STEP_NS, np.full((16, 16, 3), int(level), np.uint8))


@pytest.fixture(scope='module')
def run():
    selector = KeyframeSelector(DetectorSettings(mode='peak'))
    scorer = PairScorer(ChangeNetwork(Brightness()))
    pipeline = FacePipeline(Still(), scorer, selector, 64, Ledger())
    steps = [pipeline.push(frame) for frame in frames()] + [pipeline.flush()]
    scores = {s.index: s for step in steps for s in step.scores}
    return pipeline, scores, [c for step in steps for c in step.chosen]


def test_a_keyframe_knows_its_neighbours(run):
    _, scores, chosen = run
    assert len(chosen) >= 2
    for one in chosen:
        keyframe = one.keyframe
        assert keyframe.score_before == scores[keyframe.index - 1].score
        # As far as it was known: the frames after it only make it more certain.
        assert keyframe.score_after == pytest.approx(scores[keyframe.index + 1].score, abs=0.05)
        assert max(keyframe.score_before, keyframe.score_after) < keyframe.score


def test_a_pipeline_explains_the_pair_that_made_the_keyframe(run):
    pipeline, scores, chosen = run
    images = [frame.bgr[:8, :8] for frame in frames()]
    for one in chosen:
        index = one.keyframe.index
        network = ChangeNetwork(Brightness())
        network.begin(images[index - 1])
        expected = explain_pair(network.compare(images[index]).pair, scores[index].change)
        assert pipeline.explain(one) == expected
        assert expected.flow_share == pytest.approx(0.5, abs=1e-5)


def test_without_a_pair_there_is_no_explanation(run):
    pipeline, _, chosen = run
    bare = ChosenFrame(chosen[0].keyframe, chosen[0].face)
    assert pipeline.explain(bare) is None


def test_frames_and_keyframes_have_the_same_names_and_nan_says_unknown():
    score = FrameScore(3, 100, None)
    keyframe = Keyframe(3, 100, 0.6, 0.3, 0.1, 200, 'peak', 0.4, None)
    of_frame, of_keyframe = frame_values(score, 0.1, 2.0), keyframe_values(keyframe, 2.0)
    assert tuple(of_frame) == tuple(of_keyframe) == NAMES
    assert isnan(of_frame['score']) and of_frame['threshold'] == 0.1
    assert of_keyframe['score_before'] == 0.4 and isnan(of_keyframe['score_after'])
    assert isnan(of_keyframe['since_keyframe_s']) and isnan(of_keyframe['flow_share'])
    assert (of_frame['is_keyframe'], of_keyframe['is_keyframe']) == (0.0, 1.0)


def test_head_motion_is_reported_for_every_frame_with_a_vector():
    change = np.zeros(54, np.float32)
    change[HEAD_YAW] = 0.1
    values = frame_values(FrameScore(3, 100, 0.6, change=change), 0.1, 2.0)
    assert values['head_share'] == 1 and values['score_without_head'] == 0


def test_words_name_the_shares_and_the_strongest_channels(run):
    pipeline, _, chosen = run
    explanation = pipeline.explain(chosen[0])
    values = keyframe_values(chosen[0].keyframe, 1.0, chosen[0].change, explanation, nan)
    lines = words(values, explanation)
    assert 'flow 50%, appearance 50%' in lines
    assert any(line.startswith('jawOpen ') for line in lines)
    assert len(words(values, None)) == 1
