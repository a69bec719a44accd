"""Expressions that labels hardly know, off the embeddings of frames of the rendered demo clip."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from kf_imitation.data_types import BLENDSHAPES, CHANNELS, FaceRegion, FrameScore
from kf_imitation.expression.clear_expressions import CLEAR_CHANNELS, ClearExpressions, parts_of
from kf_imitation.expression.hidden_parts import ALL_SEEN, Seen
from kf_imitation.expression.reflex_estimator import ReflexEstimator
from kf_imitation.inference import OnnxModel, crop
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork

MEDIA = Path(__file__).resolve().parents[2] / 'media'
FRAMES = {'rest': 10, 'surprise': 104, 'frown': 156, 'pucker': 278}
REGION = FaceRegion(55.0, 82.0, 366.0)
EVERY_NS = 40_000_000
LEARNED = 250  # frames at rest, 10 s
CLEAR = [channel for answers in CLEAR_CHANNELS.values() for one in answers for channel in one]


@pytest.fixture(scope='module')
def faces():
    """Reading and embeddings by name of the frame."""
    network = ChangeNetwork(OnnxModel.load('keyframe_lite', 1))
    capture = cv2.VideoCapture(str(MEDIA / 'demo.mp4'))
    pictures = [capture.read()[1] for _ in range(max(FRAMES.values()) + 1)]
    found = {}
    for name, index in FRAMES.items():
        network.begin(crop(pictures[index], REGION, network.crop_px))
        found[name] = network.reading.copy(), network.embeddings.copy()
    return found


def scores(faces, names, first=0):
    for index, name in enumerate(names, first):
        reading, embeddings = faces[name]
        yield FrameScore(index, index * EVERY_NS, None, reading=reading, embeddings=embeddings)


def clear(faces, names):
    """Clear channels by name after these frames."""
    reader = ClearExpressions()
    for score in scores(faces, names):
        found = reader.push(score.stamp_ns, parts_of(score.embeddings), ALL_SEEN)
    return {name: found[CHANNELS.index(name)] for name in CLEAR}


def test_a_frown_lowered_brows_wide_eyes_and_a_pucker_are_seen_and_nothing_else(faces):
    at_rest = ['rest'] * LEARNED
    assert max(clear(faces, at_rest).values()) == 0.0
    frown = clear(faces, [*at_rest, *['frown'] * 5])
    assert frown['mouth_frown_left'] == frown['mouth_frown_right'] > 0.05
    assert frown['brow_lower'] > 0.1
    assert max(frown[name] for name in ('lip_press', 'mouth_pucker', 'eye_wide_left')) == 0.0
    assert clear(faces, [*at_rest, *['surprise'] * 5])['eye_wide_right'] > 0.25
    pucker = clear(faces, [*at_rest, *['pucker'] * 5])
    assert pucker['mouth_pucker'] > 0.6 and pucker['mouth_frown_left'] == 0.0


def test_what_is_over_within_a_tenth_of_a_second_is_talk(faces):
    at_rest = ['rest'] * LEARNED
    assert clear(faces, [*at_rest, 'pucker', 'pucker'])['mouth_pucker'] == 0.0
    assert clear(faces, [*at_rest, *['pucker'] * 4])['mouth_pucker'] > 0.6


def test_a_face_that_begins_with_a_pucker_has_it_as_its_own_and_another_face_does_not(faces):
    assert max(clear(faces, ['pucker'] * LEARNED).values()) == 0.0
    reader = ClearExpressions()
    for score in scores(faces, ['pucker'] * LEARNED):
        reader.push(score.stamp_ns, parts_of(score.embeddings), ALL_SEEN)
    reader.reset()
    for score in scores(faces, [*['rest'] * LEARNED, *['pucker'] * 5], LEARNED):
        found = reader.push(score.stamp_ns, parts_of(score.embeddings), ALL_SEEN)
    assert found[CHANNELS.index('mouth_pucker')] > 0.6


def test_what_a_part_looks_like_while_it_is_covered_is_not_taken_for_the_persons_own(faces):
    reader = ClearExpressions()
    hidden = Seen(mouth=False, eyes=True, eyes_surely=True)
    for score in scores(faces, ['pucker'] * LEARNED):
        found = reader.push(score.stamp_ns, parts_of(score.embeddings), hidden)
    assert found.max() == 0.0
    for score in scores(faces, ['rest'] * LEARNED, LEARNED):
        found = reader.push(score.stamp_ns, parts_of(score.embeddings), ALL_SEEN)
        assert found[CHANNELS.index('mouth_pucker')] == found[CHANNELS.index('lip_press')] == 0.0
    for score in scores(faces, ['pucker'] * 5, 2 * LEARNED):
        found = reader.push(score.stamp_ns, parts_of(score.embeddings), ALL_SEEN)
    assert found[CHANNELS.index('mouth_pucker')] > 0.6


@pytest.mark.parametrize('learns', [True, False])
def test_reflexes_say_what_is_clear_in_their_confidence_if_they_learn_what_is_usual(faces, learns):
    reader, least = ReflexEstimator(learns), {}
    for name in ('frown', 'pucker', 'surprise'):
        for score in scores(faces, [*['rest'] * LEARNED, *[name] * 5]):
            found = reader.update(score)
        least[name] = 2 * found.confidence - 1
        reader.reset()
    assert (least['frown'][CHANNELS.index('mouth_frown_left')] > 0.05) == learns
    assert (least['pucker'][CHANNELS.index('mouth_pucker')] > 0.6) == learns
    assert least['frown'][CHANNELS.index('mouth_pucker')] == 0.0
    assert (found.values[CHANNELS.index('eye_wide_left')] > 0.25) == learns


def test_clear_expressions_leave_the_gaze_where_it_is(faces):
    reading, embeddings = faces['rest'][0].copy(), faces['rest'][1]
    reading[[BLENDSHAPES.index(f'eyeLookDown{side}') for side in ('Left', 'Right')]] = 0.7
    found = [
        ReflexEstimator().update(FrameScore(0, 0, None, reading=reading, embeddings=seen)).values
        for seen in (None, embeddings)
    ]
    assert found[0][CHANNELS.index('gaze_pitch')] < -0.1
    assert np.array_equal(*found)
