"""Trajectories through planner and limiter, on virtual time and simulated servos."""

import math
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.head.controller import ServoController
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.motion.joint_states import JointTrajectoryState
from kf_imitation.motion.waypoints import (
    TimedTrajectory,
    TrajectoryPoint,
    slopes,
    trajectory_problems,
)
from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')
J = len(ROBOT.names)
PERIOD_S = 0.01
JAW, YAW = ROBOT.names.index('jaw'), ROBOT.names.index('neck_yaw')

needs_ruckig = pytest.mark.skipif(
    find_spec('ruckig') is None, reason='our own planner stops at every point (docs/install.md)'
)


class VirtualHead:
    """A controller whose time passes in run() alone; keeps what was commanded."""

    def __init__(self, hold_s=1e9):
        self.now_s = 0.0
        self.controller = ServoController(
            ROBOT,
            InProcessBus(simulated_servos(ROBOT)),
            clock=lambda: self.now_s,
            hold_s=hold_s,
            pause=lambda _: None,
        )
        self.controller.start(threaded=False)
        self.times, self.commanded = [], []

    def run(self, duration_s):
        for _ in range(round(duration_s / PERIOD_S)):
            self.now_s += PERIOD_S
            cycle = self.controller.step(self.now_s)
            self.times.append(self.now_s)
            self.commanded.append(cycle.commanded_rad)

    def at(self, time_s, joint):
        """Commanded angle of a joint at a time."""
        return np.interp(time_s, self.times, np.array(self.commanded)[:, joint])

    def send(self, names, *points, delay_s=0.0):
        return self.controller.set_trajectory(
            names, [TrajectoryPoint(*p) for p in points], delay_s
        )


@pytest.fixture
def head():
    return VirtualHead()


def assert_limits_kept(head):
    path = np.array(head.commanded)
    for order, name in enumerate(
        ('max_velocity_rad_s', 'max_acceleration_rad_s2', 'max_jerk_rad_s3'), 1
    ):
        limit = np.array([getattr(j, name) for j in ROBOT.joints])
        assert (np.abs(np.diff(path, order, axis=0)) / PERIOD_S**order <= limit * (1 + 1e-6)).all()


def test_every_point_is_reached_at_its_time_and_passed_without_stopping(head):
    points = [(0.4, (0.1, 0.2)), (0.8, (0.2, 0.4)), (1.5, (0.4, 0.1)), (2.0, (0.0, -0.3))]
    assert head.send(('jaw', 'neck_yaw'), *points) == ''
    head.run(2.5)
    for time_s, (jaw, yaw) in points:
        assert head.at(time_s, JAW) == pytest.approx(jaw, abs=0.004)
        assert head.at(time_s, YAW) == pytest.approx(yaw, abs=0.004)
    assert head.at(0.41, JAW) - head.at(0.39, JAW) > 0.003  # it does not rest in a point
    assert head.commanded[-1][YAW] == pytest.approx(-0.3, abs=1e-6)
    assert head.controller.statistics().missed == 0
    assert_limits_kept(head)


@needs_ruckig
def test_velocities_are_kept_where_they_are_given(head):
    points = [(0.5, (0.0,), (0.8,)), (1.0, (0.3,), (0.0,))]
    assert head.send(('neck_yaw',), *points) == ''
    head.run(1.2)
    speed = (head.at(0.51, YAW) - head.at(0.49, YAW)) / 0.02
    assert speed == pytest.approx(0.8, abs=0.05)
    assert head.at(0.5, YAW) == pytest.approx(0.0, abs=0.004)
    assert_limits_kept(head)


@needs_ruckig
def test_a_dense_trajectory_is_followed_closely(head):
    times = np.arange(0.02, 3.001, 0.02)
    angle = 0.15 * np.clip(times, 0, 1) ** 2 * np.sin(2 * np.pi * times)
    angle[-1] = angle[-2]
    assert head.send(('neck_yaw',), *[(t, (a,)) for t, a in zip(times, angle, strict=True)]) == ''
    head.run(3.3)
    off = [abs(head.at(t, YAW) - a) for t, a in zip(times, angle, strict=True)]
    assert max(off) < 0.02
    assert_limits_kept(head)


def test_what_is_too_fast_arrives_late_within_the_limits_and_is_counted(head):
    assert head.send(('neck_yaw',), (0.05, (0.8,)), (0.1, (-0.8,)), (0.15, (0.8,))) == ''
    head.run(3.0)
    assert head.commanded[-1][YAW] == pytest.approx(0.8, abs=1e-6)
    assert head.controller.statistics().missed > 0
    assert_limits_kept(head)


def test_a_point_without_time_is_reached_as_fast_as_it_goes(head):
    assert head.send(('jaw',), (0.0, (0.4,))) == ''
    head.run(1.0)
    assert head.commanded[-1][JAW] == pytest.approx(0.4, abs=1e-6)
    assert head.controller.statistics().missed == 0


def test_a_point_without_time_is_not_over_by_the_time_that_its_message_took(head):
    # Rejected as "ended 0.000 s ago: header.stamp and clock of the sender?".
    assert head.send(('jaw',), (0.0, (0.3,)), delay_s=-0.0004) == ''
    head.run(1.0)
    assert head.commanded[-1][JAW] == pytest.approx(0.3, abs=1e-6)


def test_a_start_in_the_future_leaves_the_present_motion_alone_until_then(head):
    assert head.send(('neck_yaw',), (0.5, (0.3,)), delay_s=1.0) == ''
    assert head.controller.set_goal(np.zeros(J) + np.eye(J)[JAW] * 0.3, 1) == ''
    head.run(2.0)
    assert head.at(0.99, YAW) == pytest.approx(0.0, abs=1e-9)
    assert head.at(1.0, JAW) == pytest.approx(0.3, abs=1e-6)
    assert head.at(1.5, YAW) == pytest.approx(0.3, abs=0.004)


def test_after_a_start_in_the_past_only_the_points_ahead_count(head):
    points = [(0.5, (0.4,)), (1.0, (-0.4,)), (1.5, (0.2,))]
    assert head.send(('neck_yaw',), *points, delay_s=-0.6) == ''
    head.run(1.5)
    yaw = np.array(head.commanded)[:, YAW]
    assert yaw.max() < 0.25  # the first point is past
    assert head.at(0.4, YAW) == pytest.approx(-0.4, abs=0.004)
    assert head.at(0.9, YAW) == pytest.approx(0.2, abs=0.004)


def test_expressions_move_the_other_joints_until_the_trajectory_ends(head):
    assert head.send(('neck_yaw',), (0.5, (0.3,)), (1.0, (0.3,))) == ''
    pose = np.zeros(J)
    pose[JAW], pose[YAW] = 0.3, -0.2
    head.run(0.2)
    assert head.controller.set_goal(pose, 1) == ''
    head.run(0.8)
    assert head.at(0.9, JAW) == pytest.approx(0.3, abs=1e-6)
    assert head.at(1.0, YAW) == pytest.approx(0.3, abs=0.004)
    head.run(1.0)
    assert head.commanded[-1][YAW] == pytest.approx(0.3, abs=1e-6)  # nobody asked for anything
    assert head.controller.set_goal(pose, 2) == ''
    head.run(1.0)
    assert head.commanded[-1][YAW] == pytest.approx(-0.2, abs=1e-6)
    assert_limits_kept(head)


def test_a_goal_elsewhere_does_not_delay_a_trajectory(head):
    assert head.send(('jaw',), (0.3, (0.2,)), (0.6, (0.0,)), (0.9, (0.2,))) == ''
    pose = np.zeros(J)
    for count in range(9):
        pose[YAW] = 0.8 * (-1) ** count
        assert head.controller.set_goal(pose, count) == ''
        head.run(0.1)
    for time_s, jaw in ((0.3, 0.2), (0.6, 0.0), (0.9, 0.2)):
        assert head.at(time_s, JAW) == pytest.approx(jaw, abs=0.004)


def test_a_new_trajectory_replaces_the_old_one(head):
    assert head.send(('jaw', 'neck_yaw'), (1.0, (0.4, 0.5)), (5.0, (0.0, 0.0))) == ''
    head.run(0.5)
    assert head.send(('jaw',), (0.5, (0.1,))) == ''
    head.run(1.0)
    assert head.commanded[-1][JAW] == pytest.approx(0.1, abs=1e-6)
    assert head.commanded[-1][YAW] == pytest.approx(0.5, abs=1e-6)  # its last waypoint


def test_the_head_relaxes_after_a_trajectory_but_not_during_it():
    head = VirtualHead(hold_s=0.5)
    assert head.send(('jaw',), (0.4, (0.3,)), (2.0, (0.3,))) == ''
    head.run(1.9)
    assert head.at(1.9, JAW) == pytest.approx(0.3, abs=0.01)
    assert head.controller.status().sentence == 'following a trajectory'
    head.run(0.5)
    assert head.commanded[-1][JAW] == pytest.approx(0.3, abs=1e-6)
    head.run(1.0)
    assert head.commanded[-1][JAW] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize('end', ['relax', 'stop'])
def test_neutral_and_stop_end_a_trajectory(head, end):
    assert head.send(('jaw',), (0.4, (0.3,)), (5.0, (0.1,))) == ''
    head.run(0.5)
    getattr(head.controller, end)()
    head.run(0.1)
    if end == 'stop':
        assert 'stopped' in head.send(('jaw',), (0.4, (0.3,)))
        assert not any(servo.torque for servo in head.controller.cycle.servos.bus.servos.values())
        head.controller.reset()
    head.run(2.0)
    assert head.commanded[-1][JAW] == pytest.approx(0.0, abs=1e-6)


BAD = {
    'needs joint_names': ((), [(1.0, ())]),
    'needs joint_names and points': (('jaw',), []),
    'nose is not a joint of sim_face': (('nose',), [(1.0, (0.0,))]),
    'jaw is named twice': (('jaw', 'jaw'), [(1.0, (0.0, 0.0))]),
    'point 0: 0 positions for 1 joint': (('jaw',), [(1.0, ())]),
    'point 1: 2 velocities for 1 joint': (('jaw',), [(1.0, (0.1,)), (2.0, (0.1,), (0.0, 0.0))]),
    'positions of jaw = nan must be a finite number': (('jaw',), [(1.0, (math.nan,))]),
    'velocities of jaw = inf must be': (('jaw',), [(1.0, (0.1,), (math.inf,)), (2.0, (0.1,))]),
    'positions of jaw = 0.900 must be from -0.02 to 0.5': (('jaw',), [(1.0, (0.9,))]),
    'velocities of jaw = 9.000 must be from -8 to 8': (
        ('jaw',),
        [(1.0, (0.1,), (9.0,)), (2.0, (0.1,))],
    ),
    'time_from_start = -1 s is negative': (('jaw',), [(-1.0, (0.1,)), (1.0, (0.1,))]),
    'point 1: time_from_start = 1 s must grow': (('jaw',), [(1.0, (0.1,)), (1.0, (0.2,))]),
    'the last point must be at rest': (('jaw',), [(1.0, (0.1,), (0.3,))]),
}


@pytest.mark.parametrize('words', BAD)
def test_a_faulty_trajectory_is_rejected_with_a_reason_and_changes_nothing(head, words):
    assert head.send(('jaw',), (0.5, (0.2,)), (3.0, (0.2,))) == ''
    head.run(1.0)
    names, points = BAD[words]
    assert words in head.send(names, *points)
    assert head.controller.statistics().rejected_commands == 1
    assert words in head.controller.status().sentence
    head.run(1.0)
    assert head.commanded[-1][JAW] == pytest.approx(0.2, abs=1e-6)


def test_a_trajectory_that_is_over_is_rejected(head):
    assert 'ended 0.500 s ago' in head.send(('jaw',), (1.0, (0.2,)), delay_s=-1.5)


def test_all_faults_are_reported_at_once():
    points = [TrajectoryPoint(2.0, (math.nan,)), TrajectoryPoint(1.0, (9.0,), (1.0,))]
    assert len(trajectory_problems(ROBOT, ('nose',), points, -10.0)) == 5


@pytest.mark.parametrize('seed', range(6))
def test_no_trajectory_leads_over_a_limit(seed):
    rng = np.random.default_rng(seed)
    head = VirtualHead()
    low, high = np.array([j.limits_rad for j in ROBOT.joints]).T
    for _ in range(6):
        chosen = rng.permutation(12)[: rng.integers(1, 13)]
        times = np.cumsum(rng.uniform(0.01, 0.4, rng.integers(1, 12)))
        points = [(t, tuple(rng.uniform(low[chosen], high[chosen]))) for t in times]
        names = [ROBOT.names[i] for i in chosen]
        assert head.send(names, *points, delay_s=rng.uniform(-0.01, 0.3)) == ''
        head.run(rng.uniform(0.1, 1.5))
    path = np.array(head.commanded)
    assert (path >= low - 1e-9).all() and (path <= high + 1e-9).all()
    for limit in ROBOT.coupled_limits:
        factors = np.array([limit.terms.get(name, 0.0) for name in ROBOT.names])
        assert (path @ factors).max() <= limit.maximum_rad + 1e-9
    assert_limits_kept(head)


def test_a_passage_at_speed_does_not_go_on_to_gain_too_much():
    joints = tuple(replace(joint, max_jerk_rad_s3=20.0) for joint in ROBOT.joints)
    robot = replace(ROBOT, joints=joints)
    points = [
        TrajectoryPoint(0.2, (-0.5,), (1.0,)),
        TrajectoryPoint(0.3, (-0.1,), (2.8,)),
        TrajectoryPoint(0.4, (0.6,), (3.3,)),
        TrajectoryPoint(1.0, (0.8,), (0.0,)),
    ]
    trajectory = TimedTrajectory(robot, ('neck_yaw',), points, 0.0)
    nothing = np.zeros(J)
    trajectory.begin(0.0, JointTrajectoryState(nothing, nothing, nothing))
    pushes = []
    for now in (0.0, 0.21, 0.31):
        passed = trajectory.waypoint(now)
        gained = passed.acceleration_rad_s2**2 / (2.0 * 20.0)
        assert passed.velocity_rad_s + gained <= robot.joints[YAW].max_velocity_rad_s + 1e-9
        pushes.append(float(passed.acceleration_rad_s2[0]))
    assert max(pushes) > 1.0


@pytest.mark.parametrize('seed', range(20))
def test_slopes_between_points_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.01, 1.0, 2 + seed % 9))
    values = rng.choice([0.0, 1.0, 2.0], (len(times), 20)) + seed % 2 * rng.random(
        (len(times), 20)
    )
    found = slopes(times, values)
    assert found == pytest.approx(PchipInterpolator(times, values)(times, 1), abs=1e-9)
