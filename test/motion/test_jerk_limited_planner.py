import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kf_imitation.motion import jerk_limited_planner as own
from kf_imitation.motion import planner
from kf_imitation.motion.joint_states import JointMeasurement
from kf_imitation.motion.motion_generator import MotionGenerator
from kf_imitation.robot import load_robot

FIELDS = (
    'current_position',
    'current_velocity',
    'current_acceleration',
    'target_position',
    'max_velocity',
    'max_acceleration',
    'max_jerk',
)
MODES = ('No', 'Time', 'Phase')
NO_RUCKIG = 'ruckig is not installed: there is nothing to compare with'


def some_motion(seed, joints):
    """Limits over decades, and a start that can keep its speed limit; a third begin at rest."""
    rng = np.random.default_rng(seed)
    velocity = 10 ** rng.uniform(-0.5, 1, joints)
    acceleration = 10 ** rng.uniform(0, 2, joints)
    jerk = 10 ** rng.uniform(1.5, 4, joints)
    moving = float(rng.random() > 0.3)
    v = moving * rng.uniform(-1, 1, joints) * velocity
    room = np.minimum(acceleration, np.sqrt(2 * jerk * (velocity - np.abs(v))))
    a = moving * rng.uniform(-1, 1, joints) * room
    start = rng.uniform(-1, 1, joints)
    goal = start if rng.random() < 0.1 else rng.uniform(-1, 1, joints) * 10 ** rng.uniform(-3, 0.5)
    return start, v, a, goal, velocity, acceleration, jerk


def planned(library, motion, mode, minimum_duration=None):
    joints = len(motion[0])
    request = library.InputParameter(joints)
    for name, values in zip(FIELDS, motion, strict=True):
        setattr(request, name, values.tolist())
    request.synchronization = getattr(library.Synchronization, mode)
    request.minimum_duration = minimum_duration
    trajectory = library.Trajectory(joints)
    assert library.Ruckig(joints).calculate(request, trajectory) in (
        library.Result.Working,
        library.Result.Finished,
    )
    return trajectory


def sampled(trajectory, duration, count=500):
    return np.array([trajectory.at_time(t) for t in np.linspace(0.0, duration, count)])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(MODES), st.integers(1, 6))
def test_goals_are_reached_as_fast_as_ruckig_reaches_them(seed, mode, joints):
    ruckig = pytest.importorskip('ruckig', reason=NO_RUCKIG)
    motion = some_motion(seed, joints)
    ours = planned(own, motion, mode)
    theirs = planned(ruckig, motion, mode)
    assert ours.duration == pytest.approx(theirs.duration, rel=0.1, abs=1e-6)
    end = ours.at_time(ours.duration - 1e-9)
    assert end[0] == pytest.approx(motion[3], abs=1e-6)
    after = ours.at_time(ours.duration + 1.0)
    assert (after[0] == motion[3]).all() and not np.any(after[1:])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(MODES), st.integers(1, 6))
def test_no_limit_is_exceeded(seed, mode, joints):
    motion = some_motion(seed, joints)
    trajectory = planned(own, motion, mode)
    path = sampled(trajectory, trajectory.duration)
    assert (path[:, 1:] <= np.array(motion[4:6]) * (1 + 1e-6) + 1e-6).all()
    assert (path[:, 1:] >= -np.array(motion[4:6]) * (1 + 1e-6) - 1e-6).all()
    step_s = trajectory.duration / (len(path) - 1)
    change = np.abs(np.diff(path[:, 2], axis=0))
    assert (change <= motion[6] * step_s * (1 + 1e-6) + 1e-6).all()
    # Position is the integral of speed, speed that of acceleration: nothing jumps.
    for value, rate, limit in ((0, 1, motion[5]), (1, 2, motion[6])):
        mean = (path[1:, rate] + path[:-1, rate]) / 2
        off = np.abs(np.diff(path[:, value], axis=0) - mean * step_s)
        assert (off <= limit * step_s**2 + 1e-6).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_joints_arrive_together_while_they_can(seed, joints):
    motion = some_motion(seed, joints)
    alone = planned(own, motion, 'No').duration
    trajectory = planned(own, motion, 'Time')
    assert trajectory.duration >= alone - 1e-9
    assume(alone > 0.0)  # who is there stays there
    later = planned(own, motion, 'Time', minimum_duration=2 * alone + 1.0)
    assert later.duration >= 2 * alone + 1.0 - 1e-3


def test_a_start_at_rest_leads_along_a_straight_line():
    zero = np.zeros(2)
    limits = [np.full(2, x) for x in (2.0, 30.0, 800.0)]
    path = sampled(planned(own, (zero, zero, zero, np.array([1.0, 0.2]), *limits), 'Phase'), 0.6)
    np.testing.assert_allclose(path[:, 0, 1], 0.2 * path[:, 0, 0], atol=1e-9)


def test_a_goal_that_is_passed_in_motion_is_rejected():
    request = own.InputParameter(1)
    request.max_velocity = request.max_acceleration = request.max_jerk = [1.0]
    request.target_velocity = [0.5]
    with pytest.raises(own.RuckigError, match='at rest'):
        own.Ruckig(1).calculate(request, own.Trajectory(1))


@pytest.mark.parametrize('field', ['max_jerk', 'current_velocity'])
def test_what_is_no_number_is_rejected(field):
    request = own.InputParameter(1)
    request.max_velocity = request.max_acceleration = request.max_jerk = [1.0]
    setattr(request, field, [float('nan')])
    with pytest.raises(own.RuckigError):
        own.Ruckig(1).calculate(request, own.Trajectory(1))


def test_the_head_reaches_its_goals_without_ruckig_in_the_same_time(monkeypatch):
    pytest.importorskip('ruckig', reason=NO_RUCKIG)
    robot = load_robot('sim_face')
    low, high = np.array([j.limits_rad for j in robot.joints]).T
    rng = np.random.default_rng(3)
    goals = rng.uniform(low, high, (6, len(robot.joints)))

    def paths():
        motion, present = MotionGenerator(robot, 0.01), JointMeasurement.zeros(len(robot.joints))
        path = []
        for cycle in range(360):
            present.position_rad[:] = motion.limiter.state.position
            goal = goals[min(cycle // 20, len(goals) - 1)]  # new ones in mid-motion
            motion.advance(0.01 * cycle, goal, present, np.full(len(robot.joints), np.nan))
            path.append(motion.limiter.state.position)
        assert motion.planner.failures == 0
        return np.array(path), motion.goal_rad

    theirs, goal = paths()
    monkeypatch.setattr(planner, 'ruckig', own)
    ours, _ = paths()
    assert ours[-1] == pytest.approx(goal, abs=1e-6)
    np.testing.assert_allclose(ours, theirs, atol=0.05)


def test_our_planner_stands_in_where_ruckig_is_not_installed():
    code = (
        "import sys; sys.modules['ruckig'] = None; from kf_imitation.motion import planner; "
        'print(planner.ruckig.__name__)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'kf_imitation.motion.jerk_limited_planner'
