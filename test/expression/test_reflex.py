"""Reflexes: what the keyframe model reads in every frame, as channels."""

from dataclasses import replace

import numpy as np
import pytest

from kf_imitation.data_types import BLENDSHAPES, CHANNELS, FRAME_CHANNELS, FaceRegion, FrameScore
from kf_imitation.expression.reflex_estimator import ReflexEstimator

PLACES = [CHANNELS.index(name) for name in FRAME_CHANNELS]


def frame(index, **shapes):
    reading = np.full(len(BLENDSHAPES), 0.02, np.float32)
    for name, value in shapes.items():
        reading[BLENDSHAPES.index(name)] = value
    return FrameScore(index, index * 40_000_000, None, reading=reading)


def values(reader, **shapes):
    found = reader.update(frame(1, **shapes))
    return dict(zip(CHANNELS, found.values.tolist(), strict=True))


def test_a_blink_closes_both_eyes_and_a_wink_one():
    blink = values(ReflexEstimator(), eyeBlinkLeft=0.95, eyeBlinkRight=0.95)
    assert blink['eye_close_left'] > 0.9 and blink['eye_close_right'] > 0.9
    wink = values(ReflexEstimator(), eyeBlinkLeft=0.95, eyeBlinkRight=0.05)
    assert wink['eye_close_left'] > 0.9 and wink['eye_close_right'] < 0.15


def test_a_glance_turns_the_eyes():
    left = values(ReflexEstimator(), eyeLookOutLeft=0.5, eyeLookInRight=0.5)
    right = values(ReflexEstimator(), eyeLookInLeft=0.5, eyeLookOutRight=0.5)
    assert left['gaze_yaw'] > 0.15
    assert right['gaze_yaw'] == pytest.approx(-left['gaze_yaw'], abs=0.02)


def test_only_what_frames_are_read_for_has_confidence():
    found = ReflexEstimator().update(frame(0))
    assert np.flatnonzero(found.confidence).tolist() == sorted(PLACES)


def test_a_photograph_does_not_move_anything_once_its_rest_is_known():
    reader, rng = ReflexEstimator(), np.random.default_rng(0)
    rows = []
    for index in range(1000):
        noise = rng.uniform(-0.004, 0.004, 4)
        shapes = zip(
            ('eyeBlinkLeft', 'eyeBlinkRight', 'jawOpen', 'eyeLookUpLeft'), noise, strict=True
        )
        found = reader.update(frame(index, **{name: 0.1 + value for name, value in shapes}))
        rows.append(found.values)
    assert np.ptp(np.array(rows)[-100:], axis=0).max() < 0.005
    assert np.abs(np.diff(rows, axis=0)[20:]).max() < 0.003


def test_without_a_face_there_is_no_reflex_and_the_past_is_forgotten():
    reader = ReflexEstimator()
    reader.update(frame(0, jawOpen=0.9))
    assert reader.update(FrameScore(1, 40_000_000, None, note='no face')) is None
    fresh = ReflexEstimator().update(frame(2, jawOpen=0.3)).values
    assert np.array_equal(reader.update(frame(2, jawOpen=0.3)).values, fresh)


def test_what_was_learned_of_a_person_is_forgotten_when_the_face_is_anothers():
    reader = ReflexEstimator()
    for index in range(600):
        reader.update(replace(frame(index, jawOpen=0.2), region=FaceRegion(0, 0, 9, 1)))
    score = frame(600, jawOpen=0.2)
    fresh = ReflexEstimator().update(score).values
    assert not np.array_equal(
        reader.update(replace(score, region=FaceRegion(1, 0, 9, 1))).values, fresh
    )
    assert np.array_equal(
        reader.update(replace(score, region=FaceRegion(1, 0, 9, 2))).values, fresh
    )


def test_a_jaw_that_reads_open_at_rest_closes_over_some_seconds():
    reader, place = ReflexEstimator(), CHANNELS.index('jaw_open')
    jaw = [reader.update(frame(i, jawOpen=0.2)).values[place] for i in range(600)]
    assert jaw[0] > 0.1
    assert jaw[-1] < 0.7 * jaw[0]
    assert reader.update(frame(600, jawOpen=0.6)).values[place] > 0.5


def test_eyes_that_look_down_all_the_time_are_half_taken_for_rest_but_not_those_that_look_aside():
    reader = ReflexEstimator()
    aside, down = (CHANNELS.index(name) for name in ('gaze_yaw', 'gaze_pitch'))
    shapes = {'eyeLookDownLeft': 0.6, 'eyeLookDownRight': 0.6, 'eyeLookOutLeft': 0.4}
    rows = [reader.update(frame(index, **shapes)).values for index in range(900)]
    assert rows[0][aside] == rows[-1][aside] > 0.1
    assert rows[0][down] < rows[-1][down] < 0.0
    assert rows[-1][down] - rows[0][down] > 0.05


def test_lids_are_not_taken_for_rest_however_long_they_are_shut():
    reader = ReflexEstimator()
    shut = {'eyeBlinkLeft': 0.9, 'eyeBlinkRight': 0.9}
    for index in range(600):
        found = reader.update(frame(index, **shut)).values[CHANNELS.index('eye_close_left')]
    assert found > 0.85


def test_without_learning_the_jaw_reads_the_same_however_long_it_goes_on():
    reader, place = ReflexEstimator(learn=False), CHANNELS.index('jaw_open')
    jaw = [reader.update(frame(i, jawOpen=0.2)).values[place] for i in range(100)]
    assert np.ptp(jaw) == 0.0


def test_eyes_that_open_further_than_this_persons_do_are_wide():
    wide = [CHANNELS.index(f'eye_wide_{side}') for side in ('left', 'right')]
    readers = {learn: ReflexEstimator(learn) for learn in (True, False)}
    for learn, reader in readers.items():
        for index in range(300):
            found = reader.update(frame(index, eyeWideLeft=0.01, eyeWideRight=0.01))
        assert found.values[wide].max() == 0.0
        for index in range(300, 303):
            found = reader.update(frame(index, eyeWideLeft=0.12, eyeWideRight=0.012))
        left, right = found.values[wide]
        assert (left > 0.3) == learn and right == 0.0
