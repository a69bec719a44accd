"""The reflex lane: lids, eyes and jaw do not wait for goals, and disturb no other joint."""

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS, Expression
from kf_imitation.head.command_mailbox import REFLEX_S
from kf_imitation.replay.simulation import VirtualHead
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping

ROBOT = load_robot('sim_face')
LIDS = [ROBOT.names.index(f'eyelid_{side}') for side in ('left', 'right')]
OTHERS = [k for k in range(len(ROBOT.names)) if k not in ROBOT.reflex_joints]
FRAME_NS = 33_333_333


def goal(**channels):
    values = np.zeros(len(CHANNELS), np.float32)
    for name, value in channels.items():
        values[CHANNELS.index(name)] = value
    return JointMapping(ROBOT).goals(Expression(0, values, np.ones_like(values)))


def run(closures, keyframes=None, frames=30):
    """Close the lids by (left, right) in frames; keyframes are goals by frame."""
    head = VirtualHead(ROBOT, 100.0, 1e9)
    head.start(0)
    for frame in range(1, frames):
        stamp_ns = frame * FRAME_NS
        if keyframes and frame in keyframes:
            head.set_goal(keyframes[frame], stamp_ns, stamp_ns)
        if frame in closures:
            left, right = closures[frame]
            head.set_reflex(goal(eye_close_left=left, eye_close_right=right), stamp_ns)
    head.advance(frames * FRAME_NS)
    assert not head.rejected
    return head.trace()


def blink(first=5, shut=4, frames=30, left=1.0, right=1.0):
    return {
        k: (left, right) if first <= k < first + shut else (0.0, 0.0) for k in range(1, frames)
    }


def test_a_blink_is_shut_and_open_again_in_03_s():
    trace = run(blink())
    closed = trace.present_rad[:, LIDS] / -0.6
    assert (closed.max(axis=0) > 0.95).all()
    moving = np.flatnonzero(closed[:, 0] > 0.1)
    assert (trace.stamp_ns[moving[-1]] - trace.stamp_ns[moving[0]]) * 1e-9 <= 0.3


def test_a_wink_closes_one_eye():
    closed = run(blink(right=0.0)).present_rad[:, LIDS] / -0.6
    assert closed[:, 0].max() > 0.95 and np.abs(closed[:, 1]).max() < 0.05


def test_the_other_joints_move_as_they_would_without_a_blink():
    poses = {3: goal(head_yaw=0.6, mouth_smile_left=0.8, brow_raise_left=1.0)}
    one = run(blink(), poses).commanded_rad[:, OTHERS]
    other = run({k: (0.0, 0.0) for k in range(1, 30)}, poses).commanded_rad[:, OTHERS]
    assert np.array_equal(one, other)
    assert np.abs(one).max() > 0.3


def test_a_keyframe_does_not_move_reflex_joints():
    squint = {5: goal(eye_close_left=0.8, eye_close_right=0.8)}
    closed = run({k: (0.0, 0.0) for k in range(1, 30)}, squint).present_rad[:, LIDS]
    assert np.abs(closed).max() < 0.02


def test_goals_take_over_soon_after_the_last_reflex():
    squint = {5: goal(eye_close_left=0.8, eye_close_right=0.8)}
    trace = run({k: (0.0, 0.0) for k in range(1, 10)}, squint)
    begun_s = trace.stamp_ns[np.abs(trace.commanded_rad[:, LIDS[0]]) > 0.01][0] * 1e-9
    assert begun_s == pytest.approx(9 * FRAME_NS * 1e-9 + REFLEX_S, abs=0.03)
    assert trace.present_rad[-1, LIDS] == pytest.approx([-0.64, -0.64], abs=0.02)


def test_a_reflex_outside_the_limits_is_rejected_and_changes_nothing():
    head = VirtualHead(ROBOT, 100.0, 1e9)
    head.start(0)
    beyond = goal()
    beyond[LIDS] = -2.0
    head.set_reflex(beyond, FRAME_NS)
    head.advance(20 * FRAME_NS)
    assert 'eyelid_left' in head.rejected[0]
    assert np.abs(head.trace().present_rad[:, LIDS]).max() < 0.02


def test_what_is_coupled_keeps_its_limit():
    head = VirtualHead(ROBOT, 100.0, 1e9)
    head.start(0)
    rng = np.random.default_rng(3)
    for frame in range(1, 60):
        values = rng.uniform(0, 1, 4)
        wanted = goal(jaw_open=values[0], eye_wide_left=values[1], gaze_pitch=0.4 * values[2])
        head.set_reflex(wanted, frame * FRAME_NS)
        if frame % 10 == 0:
            head.set_goal(goal(mouth_smile_left=values[3]), frame * FRAME_NS, frame * FRAME_NS)
    head.advance(60 * FRAME_NS)
    commanded = head.trace().commanded_rad
    for limit in ROBOT.coupled_limits:
        total = sum(f * commanded[:, ROBOT.names.index(n)] for n, f in limit.terms.items())
        assert total.max() <= limit.maximum_rad + 1e-9
