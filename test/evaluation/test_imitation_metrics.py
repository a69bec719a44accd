"""The imitation metrics on cases with known answers."""

import numpy as np
import pytest

from kf_imitation.evaluation.imitation import formulas as metrics
from kf_imitation.replay.record import JointTrace


def trace(goal, present, interval_ns=10_000_000):
    goal, present = np.asarray(goal, float)[:, None], np.asarray(present, float)[:, None]
    stamps = np.arange(len(goal), dtype=np.int64) * interval_ns
    return JointTrace(('jaw',), stamps, goal, present, present)


def test_cosine_of_the_same_expression_is_one_whatever_its_strength():
    human = np.array([0.2, 0.0, 0.4])
    assert metrics.cosine(human, 0.5 * human) == pytest.approx(1.0)
    assert metrics.cosine(human, -human) == pytest.approx(-1.0)


def test_cosine_of_a_neutral_human_is_left_out_and_of_a_neutral_robot_is_zero():
    assert np.isnan(metrics.cosine(np.zeros(3), np.ones(3)))
    assert metrics.cosine(np.ones(3), np.zeros(3)) == 0.0


def test_a_move_ends_where_the_joints_arrive():
    joints = trace([0, 0.2, 0.2, 0.2, 0.2], [0, 0, 0.1, 0.19, 0.2])
    assert metrics.move_ends(joints, [5_000_000]) == ([3], [True])


def test_a_move_that_is_overtaken_is_read_before_the_next_goal():
    joints = trace([0, 0.5, 0.5, -0.5, -0.5], [0, 0, 0.1, 0.2, 0.1])
    rows, arrived = metrics.move_ends(joints, [5_000_000, 25_000_000])
    assert rows == [2, 4] and arrived == [False, False]


def test_tracking_finds_the_delay():
    time = np.arange(300) / 30
    human = np.stack([np.sin(time * 2), np.sin(time * 3), np.zeros_like(time)], axis=1)

    def robot_at(delay_s):
        late = time + delay_s - 0.3
        return np.stack([0.5 * np.sin(late * 2), np.sin(late * 3), late], axis=1)

    found = metrics.tracking(human, robot_at)
    assert found.delay_s == pytest.approx(0.3)
    assert found.correlation == pytest.approx(1.0)
    assert np.isnan(found.by_channel[2])


def test_a_channel_that_the_robot_lacks_counts_as_not_followed():
    time = np.arange(300) / 30
    human = np.stack([np.sin(time), np.cos(time)], axis=1)
    found = metrics.tracking(human, lambda delay_s: human * [1.0, 0.0], 0.0)
    assert found.correlation == pytest.approx(0.5)


def test_a_minimum_jerk_move_is_smoother_than_one_with_a_stop():
    t = np.linspace(0, 1, 201)
    smooth = 10 * t**3 - 15 * t**4 + 6 * t**5
    two = np.where(t < 0.5, np.interp(t * 2, t, smooth), 1 + np.interp(t * 2 - 1, t, smooth))
    whole = metrics.log_dimensionless_jerk(smooth[:, None], 0.005)
    assert whole > metrics.log_dimensionless_jerk(two[:, None], 0.005)
    # Minimum jerk: integral 720, peak speed 1.875.
    assert whole == pytest.approx(-np.log(720 / 1.875**2), abs=0.05)


def test_reversals_ignore_wiggles_of_the_servos_resolution():
    position = np.array([0, 0.1, 0.095, 0.11, 0.2, 0.1, 0.0, 0.3, 0.3])
    assert metrics.reversals(position[:, None]) == 2
