"""Beside a joint that nobody moves, the others keep the limits they share with it."""

import numpy as np
import pytest

from kf_imitation.motion.joint_states import JointMeasurement, JointTrajectoryState
from kf_imitation.motion.motion_generator import MotionGenerator
from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')
JAW, CORNER = (ROBOT.names.index(name) for name in ('jaw', 'mouth_corner_left'))
SHARED = next(
    limit for limit in ROBOT.coupled_limits if set(limit.terms) == {'jaw', 'mouth_corner_left'}
)
NO_HEAT = np.full(len(ROBOT.names), np.nan)


def together(position):
    return sum(share * position[ROBOT.names.index(name)] for name, share in SHARED.terms.items())


def moved(jaw_rad, cycles=200, **goals):
    """Move for some cycles while the jaw hangs at an angle; returns all poses."""
    motion = MotionGenerator(ROBOT, 0.01)
    present = JointMeasurement.zeros(len(ROBOT.names))
    present.position_rad[:] = ROBOT.neutral_rad
    present.position_rad[JAW] = jaw_rad
    motion.begin(present.position_rad)
    wanted = ROBOT.neutral_rad.copy()
    for name, value in goals.items():
        wanted[ROBOT.names.index(name)] = value
    poses = []
    for cycle in range(cycles):
        motion.follow([JAW], present.position_rad)
        motion.advance(0.01 * cycle, wanted, present, NO_HEAT)
        poses.append(motion.limiter.state.position.copy())
    return np.array(poses)


def test_a_goal_that_the_limp_joint_would_have_to_make_room_for_ends_inside_the_limit():
    # It was planned as if the jaw gave way, beyond the limit and back, ten times a second.
    jaw = ROBOT.joints[JAW].limits_rad[1]
    poses = moved(jaw, mouth_corner_left=ROBOT.joints[CORNER].limits_rad[1], jaw=0.0)
    assert (poses[:, JAW] == jaw).all()
    assert max(map(together, poses)) <= SHARED.maximum_rad + 1e-6
    assert together(poses[-1]) == pytest.approx(SHARED.maximum_rad, abs=0.01)
    assert np.ptp(poses[-50:, CORNER]) < 1e-9


def beside(jaw_rad_s):
    """A limiter whose jaw moves at a speed, with the corner at 0."""
    limiter = MotionGenerator(ROBOT, 0.01).limiter
    zero = np.zeros(len(ROBOT.names))
    velocity = zero.copy()
    velocity[JAW] = jaw_rad_s
    pose = ROBOT.neutral_rad.copy()
    pose[JAW], pose[CORNER] = 0.2, 0.0
    limiter.state = JointTrajectoryState(pose, velocity, zero)
    return limiter


@pytest.mark.parametrize(
    ('corner_rad', 'jaw_rad_s', 'room'),
    [
        (0.5, 0.0, True),
        (0.9, 0.0, True),  # beyond the limit, but nobody leads further out
        (0.9, -2.0, True),
        (0.9, 2.0, False),
        (0.599, 2.0, False),  # inside, but the jaw cannot stop there
        (0.3, 2.0, True),
    ],
)
def test_a_joint_has_room_where_those_that_move_can_stop_in_time(corner_rad, jaw_rad_s, room):
    limiter = beside(jaw_rad_s)
    before = limiter.state
    assert limiter.leaves_room(CORNER, corner_rad) is room
    assert limiter.state is before


def test_a_limp_joint_outside_its_limits_keeps_no_other_from_moving():
    poses = moved(ROBOT.joints[JAW].limits_rad[0] - 0.3, neck_yaw=0.5)
    assert poses[-1, ROBOT.names.index('neck_yaw')] == pytest.approx(0.5)
