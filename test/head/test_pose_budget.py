"""Poses that come faster than the joints: what is reached, what waits, what is merged."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kf_imitation.head.pose_pacer import SMALL_RAD, PoseBudget
from kf_imitation.robot import load_robot
from kf_imitation.robot.model import Measured

ROBOT = load_robot('sim_face')
JAW, NECK = ROBOT.names.index('jaw'), ROBOT.names.index('neck_yaw')
NEUTRAL = ROBOT.neutral_rad


def slow_robot(speed_rad_s):
    """The simulated face with joints that were measured to be slow."""
    measured = Measured(speed_rad_s=speed_rad_s, delay_s=0.01)
    return replace(ROBOT, joints=tuple(replace(j, measured=measured) for j in ROBOT.joints))


def pose(jaw=0.0, neck=0.0):
    goal = NEUTRAL.copy()
    goal[JAW], goal[NECK] = jaw, neck
    return goal


def test_a_pose_that_leaves_time_goes_through_at_once():
    budget = PoseBudget(ROBOT)
    assert budget.push(pose(jaw=0.4), 0.0) == pytest.approx(pose(jaw=0.4))
    assert budget.push(pose(), 1.0) == pytest.approx(pose())
    assert budget.due(2.0) is None
    count = budget.count()
    assert (count.poses, count.on_time, count.merged, count.on_time_fraction) == (2, 2, 0, 1.0)


def test_a_joint_reaches_its_peak_before_it_turns_back():
    budget = PoseBudget(slow_robot(4.0), patience_s=0.3)
    budget.push(pose(jaw=0.45), 0.0)
    way_s = budget.move_time(pose(jaw=0.45) - NEUTRAL)[JAW]
    assert 0.1 < way_s < 0.3
    assert budget.push(pose(neck=0.3), 0.05)[JAW] == 0.45  # not yet there
    assert budget.push(pose(neck=0.3), 0.06)[NECK] == 0.3  # the neck was free
    assert budget.due(way_s - 0.01) is None
    assert budget.due(way_s + 0.001) == pytest.approx(pose(neck=0.3))
    assert budget.count().merged == 0


def test_what_comes_in_between_is_merged_into_the_newest_pose():
    budget = PoseBudget(slow_robot(3.0), patience_s=0.5)
    for number, jaw in enumerate((0.45, 0.1, 0.3)):
        budget.push(pose(jaw=jaw), 0.04 * number)
    assert budget.due(1.0)[JAW] == 0.3
    count = budget.count()
    assert (count.poses, count.merged) == (3, 1)
    assert count.on_time_fraction == pytest.approx(2 / 3)


def test_a_command_of_another_kind_ends_what_was_waiting():
    budget = PoseBudget(slow_robot(4.0), patience_s=0.3)
    budget.push(pose(jaw=0.45), 0.0)
    budget.push(pose(), 0.05)
    budget.forget()
    assert budget.due(1.0) is None
    assert budget.count().merged == 1


def test_the_same_direction_never_waits():
    budget = PoseBudget(slow_robot(1.0), patience_s=1.0)
    budget.push(pose(jaw=0.2), 0.0)
    assert budget.push(pose(jaw=0.45), 0.03)[JAW] == 0.45


def test_patience_bounds_the_wait_and_a_peak_out_of_reach_counts():
    budget = PoseBudget(slow_robot(0.5), patience_s=0.1)
    budget.push(pose(jaw=0.45), 0.0)
    assert budget.push(pose(), 0.05)[JAW] == 0.45
    assert budget.due(0.101)[JAW] == 0.0  # on its way for the patience, not there
    assert budget.count().merged == 1


def test_without_patience_every_pose_goes_through():
    budget = PoseBudget(slow_robot(0.5), patience_s=0.0)
    for number, jaw in enumerate((0.45, 0.0, 0.45, 0.0)):
        assert budget.push(pose(jaw=jaw), 0.03 * number)[JAW] == jaw
    assert budget.count().merged > 0


def test_a_slower_measured_speed_takes_longer():
    fast, slow = PoseBudget(ROBOT), PoseBudget(slow_robot(1.0))
    way = np.full(len(NEUTRAL), 0.4)
    assert (slow.move_time(way) > fast.move_time(way)).all()


STEPS = st.lists(
    st.tuples(st.floats(0.0, 0.45), st.floats(-0.9, 0.9), st.floats(0.001, 0.4)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.floats(0.2, 8.0), st.floats(0.0, 0.5))
def test_the_last_pose_is_always_reached_in_the_end(steps, speed, patience):
    budget = PoseBudget(slow_robot(speed), patience)
    now = 0.0
    for jaw, neck, pause in steps:
        goal = budget.push(pose(jaw=jaw, neck=neck), now)
        now += pause
    last = budget.due(now + 100.0)
    goal = goal if last is None else last
    assert np.abs(goal - pose(jaw=steps[-1][0], neck=steps[-1][1])).max() <= SMALL_RAD
    count = budget.count()
    assert count.poses == len(steps) and 0 <= count.merged < len(steps) + 1
