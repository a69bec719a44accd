"""The face of now: the last keyframe, moved on by what the frames since have read."""

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS, REFLEX_CHANNELS, Expression
from kf_imitation.expression.estimator import LiveExpression

FRAME_NS = 33_333_333
READ = np.isin(CHANNELS, REFLEX_CHANNELS).astype(np.float32)


def face(index, sure=None, **channels):
    """An expression at a frame; sure is 1 for all channels unless given."""
    values = np.zeros(len(CHANNELS), np.float32)
    for name, value in channels.items():
        values[CHANNELS.index(name)] = value
    confidence = np.ones(len(CHANNELS), np.float32) if sure is None else sure
    return Expression(index * FRAME_NS, values, confidence)


def reading(index, **channels):
    return face(index, READ, **channels)


def value(expression, name):
    return float(expression.values[CHANNELS.index(name)])


def test_before_the_first_keyframe_the_readings_count():
    reflex = reading(0, jaw_open=0.4)
    assert LiveExpression().frame(reflex) is reflex


def test_a_keyframe_says_how_far_the_jaw_is_open_and_the_readings_move_it_on():
    live = LiveExpression()
    live.frame(reading(0, jaw_open=0.2))
    live.keyframe(face(0, jaw_open=0.5))
    now = live.frame(reading(1, jaw_open=0.5))
    assert value(now, 'jaw_open') == pytest.approx(0.8) and now.stamp_ns == FRAME_NS


def test_a_keyframe_that_comes_late_is_compared_with_its_own_frame():
    live = LiveExpression()
    for index in range(10):
        live.frame(reading(index, jaw_open=0.05 * index))
    live.keyframe(face(4, jaw_open=0.3))
    assert value(live.frame(reading(10, jaw_open=0.5)), 'jaw_open') == pytest.approx(0.6)


def test_a_keyframe_may_come_before_the_reading_of_its_frame():
    live = LiveExpression()
    live.keyframe(face(3, jaw_open=0.3))
    assert value(live.frame(reading(3, jaw_open=0.1)), 'jaw_open') == pytest.approx(0.3)
    assert value(live.frame(reading(4, jaw_open=0.2)), 'jaw_open') == pytest.approx(0.4)


def test_what_is_added_leads_nowhere_beyond_a_full_expression_or_none():
    live = LiveExpression()
    live.frame(reading(0, jaw_open=0.5))
    live.keyframe(face(0, jaw_open=0.9))
    assert value(live.frame(reading(1, jaw_open=1.0)), 'jaw_open') == 1.0
    assert value(live.frame(reading(2, jaw_open=-0.9)), 'jaw_open') == 0.0


@pytest.mark.parametrize('name', ['eye_close_left', 'eye_wide_right', 'gaze_pitch'])
def test_eyes_are_what_the_frame_says(name):
    live = LiveExpression()
    live.frame(reading(0, **{name: 0.1}))
    live.keyframe(face(0, **{name: 0.6}))
    assert value(live.frame(reading(1, **{name: 0.3})), name) == np.float32(0.3)


def test_what_only_keyframes_read_stays_as_in_the_last_one():
    live = LiveExpression()
    live.frame(reading(0))
    live.keyframe(face(0, mouth_frown_left=0.4, head_yaw=0.3))
    now = live.frame(reading(1))
    assert value(now, 'mouth_frown_left') == np.float32(0.4)
    assert value(now, 'head_yaw') == np.float32(0.3)


def test_a_part_that_the_keyframe_could_not_see_is_held_until_one_sees_it():
    covered = np.ones(len(CHANNELS), np.float32)
    covered[CHANNELS.index('jaw_open')] = 0.1
    live = LiveExpression()
    live.frame(reading(0, jaw_open=0.1))
    live.keyframe(face(0, covered, jaw_open=0.2))
    assert value(live.frame(reading(1, jaw_open=0.9)), 'jaw_open') == np.float32(0.2)
    live.keyframe(face(1, jaw_open=0.5))
    assert value(live.frame(reading(2, jaw_open=0.8)), 'jaw_open') == pytest.approx(0.4)


def test_a_keyframe_whose_frame_was_not_heard_stands_until_the_next():
    live = LiveExpression()
    live.frame(reading(10, jaw_open=0.1))
    live.keyframe(face(0, jaw_open=0.4))
    assert value(live.frame(reading(11, jaw_open=0.9)), 'jaw_open') == np.float32(0.4)


@pytest.mark.parametrize('index', [100, 0])
def test_after_a_pause_or_with_another_clock_it_may_be_another_face(index):
    live = LiveExpression()
    live.frame(reading(10))
    live.keyframe(face(10, jaw_open=0.9))
    other = reading(index, jaw_open=0.1)
    assert live.frame(other) is other
