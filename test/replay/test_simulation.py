"""The head on virtual time: when things happen, and that they happen the same way each time."""

import numpy as np

from kf_imitation.replay.simulation import VirtualHead
from kf_imitation.robot import load_robot

SECOND = 1_000_000_000
START = 1_750_000_000 * SECOND


def head(hold_s=1.0):
    made = VirtualHead(load_robot('sim_face'), 100.0, hold_s)
    made.start(START)
    return made


def goal(**joints):
    robot = load_robot('sim_face')
    return np.array([joints.get(j.name, j.neutral_rad) for j in robot.joints])


def test_cycles_come_at_the_servo_rate_with_the_stamps_of_the_source():
    moved = head()
    moved.advance(START + SECOND)
    assert moved.trace().stamp_ns.tolist() == [START + i * SECOND // 100 for i in range(101)]


def test_a_goal_moves_the_head_after_it_was_given_and_never_before():
    moved = head()
    moved.set_goal(goal(jaw=0.3), START + 95_000_000, START)
    moved.advance(START + SECOND)
    trace = moved.trace()
    before = trace.stamp_ns <= START + 95_000_000
    assert before.sum() == 10
    assert np.ptp(trace.commanded_rad[before], axis=0).max() == 0.0
    assert (trace.goal_rad[before] == trace.goal_rad[0]).all()
    assert abs(trace.present_rad[-1, 0] - 0.3) < 0.02


def test_the_head_relaxes_when_the_face_is_gone_and_not_while_it_is_there():
    for stays in (True, False):
        moved = head(hold_s=0.5)
        moved.set_goal(goal(jaw=0.3), START, START)
        for tenth in range(30):
            if stays or tenth < 5:
                moved.see_face(START + tenth * SECOND // 10)
            moved.advance(START + tenth * SECOND // 10)
        assert bool(abs(moved.trace().present_rad[-1, 0]) > 0.2) == stays


def test_two_runs_are_the_same_to_the_bit():
    traces = []
    for _ in range(2):
        moved = head()
        for number in range(5):
            moved.set_goal(
                goal(jaw=0.1 * number, neck_yaw=-0.1 * number),
                START + number * 130_000_000,
                START + number,
            )
        moved.advance(START + SECOND)
        traces.append(moved.trace().present_rad.tobytes())
    assert traces[0] == traces[1]


def test_a_goal_older_than_the_last_is_rejected_and_noted():
    moved = head()
    moved.set_goal(goal(jaw=0.3), START, START + 5)
    moved.set_goal(goal(jaw=0.1), START + SECOND // 10, START + 4)
    assert len(moved.rejected) == 1
