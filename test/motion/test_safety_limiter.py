from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.head.controller import ServoController
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.motion.joint_states import JointMeasurement, JointTrajectoryState
from kf_imitation.motion.motion_generator import MotionGenerator, StallGuard, thermal_scale
from kf_imitation.motion.planner import MotionPlanner, ruckig
from kf_imitation.motion.safety_limiter import (
    RECOVERY_RAD_S,
    TOLERANCE,
    SafetyLimiter,
    plan_brake,
)
from kf_imitation.robot import CoupledLimit, ThermalLimits, load_robot

ROBOT = load_robot('sim_face')
JOINTS = len(ROBOT.joints)
PERIOD_S = 0.01
LOW, HIGH = np.array([j.limits_rad for j in ROBOT.joints]).T
SPEED = np.array([j.max_velocity_rad_s for j in ROBOT.joints])
ACCELERATION = np.array([j.max_acceleration_rad_s2 for j in ROBOT.joints])
JERK = np.array([j.max_jerk_rad_s3 for j in ROBOT.joints])
NO_RUCKIG = 'ruckig is not installed: our own planner stands in'
NO_HEAT = np.full(JOINTS, np.nan)


def assert_within_limits(positions, robot=ROBOT):
    """Check commanded positions (K, J) by finite differences, independent of the code's own."""
    assert (positions >= LOW - TOLERANCE).all() and (positions <= HIGH + TOLERANCE).all()
    for order, limit in enumerate((SPEED, ACCELERATION, JERK), 1):
        share = np.abs(np.diff(positions, order, axis=0)) / PERIOD_S**order / limit
        assert share.max(initial=0.0) <= 1.0 + 1e-6, f'derivative {order}: {share.max()}'
    for limit in robot.coupled_limits:
        factors = np.array([limit.terms.get(name, 0.0) for name in robot.names])
        assert (positions @ factors).max() <= limit.maximum_rad + 1e-9, limit.name


def run(motion, goals, cycles):
    """Give goals (raw, as wild as they are) in turn; return commanded positions."""
    present = JointMeasurement.zeros(JOINTS)
    positions = [motion.limiter.state.position]
    now = 0.0
    for goal, count in zip(goals, cycles, strict=True):
        for _ in range(count):
            now += PERIOD_S
            present.position_rad[:] = motion.limiter.state.position
            motion.advance(now, goal, present, NO_HEAT)
            positions.append(motion.limiter.state.position)
    return np.array(positions)


def settled(motion, goal):
    """Run until the goal is reached."""
    return run(motion, [goal], [400])[-1]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12))
@example(seed=71768, count=12)  # 2.5e-9 rad beyond a limit: rounding, which the tolerance is for
def test_no_stream_of_keyframes_exceeds_a_limit(seed, count):
    rng = np.random.default_rng(seed)
    extremes = np.where(rng.random((count, JOINTS)) < 0.5, LOW, HIGH)
    goals = np.where(rng.random((count, 1)) < 0.4, extremes, rng.uniform(LOW, HIGH))
    assert_within_limits(run(MotionGenerator(ROBOT, PERIOD_S), goals, rng.integers(1, 40, count)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1))
def test_no_proposal_however_wrong_leads_over_a_limit(seed):
    """A broken planner: noise, jumps, NaN. Only the limiter stands between it and the servos."""
    rng = np.random.default_rng(seed)
    limiter = SafetyLimiter(ROBOT, PERIOD_S)
    good = MotionPlanner(ROBOT, PERIOD_S)
    positions = [limiter.state.position]
    for cycle in range(150):
        if cycle % 20 == 0:
            good.plan(limiter.state, limiter.allowed_goal(rng.uniform(LOW, HIGH)))
        proposal = good.next()
        if rng.random() < 0.1:
            noise = [rng.normal(0, 10.0 ** rng.integers(-6, 3), JOINTS) for _ in range(3)]
            proposal = JointTrajectoryState(
                *(noise if rng.random() < 0.5 else [np.full(JOINTS, np.nan)] * 3)
            )
        if not limiter.step(proposal):
            good.plan(limiter.state, limiter.allowed_goal(rng.uniform(LOW, HIGH)))
        positions.append(limiter.state.position)
    assert_within_limits(np.array(positions))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.floats(-5, 5), st.floats(-1, 1), st.floats(1, 300), st.floats(20, 8000)
)  # speed, share of the acceleration limit, limits
def test_a_brake_ends_at_rest_without_exceeding_acceleration_and_jerk(v, share, a_max, j_max):
    start = JointTrajectoryState(np.zeros(1), np.array([v]), np.array([share * a_max]))
    brake = plan_brake(start, np.array([a_max]), np.array([j_max]))
    times = np.linspace(0.0, brake.duration_s, 400)[:, None]
    path = brake.at(times)
    assert np.abs(path.acceleration).max() <= a_max * (1 + 1e-9)
    end = brake.at(brake.duration_s - 1e-12)
    assert end.velocity[0] == pytest.approx(0.0, abs=1e-6)
    assert end.acceleration[0] == pytest.approx(0.0, abs=1e-6 * j_max)
    slope = np.diff(path.velocity[:, 0]) / max(times[1, 0], 1e-12)
    assert np.abs(slope).max(initial=0) <= a_max * (1 + 1e-6) + 1e-3


@pytest.mark.parametrize('v', [1.7, -0.4, 0.0])
@pytest.mark.parametrize('a', [20.0, -30.0, 0.0])
def test_a_brake_takes_as_long_as_ruckigs(v, a):
    """An independent implementation of the same optimum."""
    ruckig = pytest.importorskip('ruckig', reason=NO_RUCKIG)
    request = ruckig.InputParameter(1)
    request.control_interface = ruckig.ControlInterface.Velocity
    request.current_velocity, request.current_acceleration = [v], [a]
    request.target_velocity = [0.0]
    request.max_acceleration, request.max_jerk = [30.0], [800.0]
    trajectory = ruckig.Trajectory(1)
    ruckig.Ruckig(1).calculate(request, trajectory)
    start = JointTrajectoryState(np.zeros(1), np.array([v]), np.array([a]))
    brake = plan_brake(start, np.array([30.0]), np.array([800.0]))
    assert brake.duration_s == pytest.approx(trajectory.duration, abs=1e-9)
    end = trajectory.at_time(trajectory.duration)[0][0]
    assert brake.at(brake.duration_s).position[0] == pytest.approx(end, abs=1e-9)


def test_a_goal_is_reached_exactly():
    goal = 0.5 * HIGH
    assert settled(MotionGenerator(ROBOT, PERIOD_S), goal) == pytest.approx(goal, abs=1e-6)


def test_joints_arrive_together():
    goal = np.zeros(JOINTS)
    goal[[0, 9]] = 0.1, 0.8
    path = run(MotionGenerator(ROBOT, PERIOD_S), [goal], [150])
    arrived = [int(np.argmax(np.abs(path[:, i] - goal[i]) < 1e-3)) for i in (0, 9)]
    assert abs(arrived[0] - arrived[1]) < 12  # the shorter way is inside 1e-3 a little earlier
    assert arrived[0] > 25


def test_goals_against_a_coupled_limit_end_just_inside_it():
    goal = np.zeros(JOINTS)
    lid, gaze = ROBOT.names.index('eyelid_left'), ROBOT.names.index('gaze_pitch')
    tight = CoupledLimit('lid', {'eyelid_left': 1.0, 'gaze_pitch': 1.0}, 0.3)
    robot = replace(ROBOT, coupled_limits=(tight,))
    goal[lid], goal[gaze] = 0.25, 0.4
    end = settled(MotionGenerator(robot, PERIOD_S), goal)
    assert 0.29 < end[lid] + end[gaze] <= 0.3


def test_commands_are_rejected_with_the_joint_and_the_rule():
    limiter = SafetyLimiter(ROBOT, PERIOD_S)
    neutral = np.zeros(JOINTS)
    bad = neutral.copy()
    bad[3] = np.nan
    assert 'eyelid_left' in limiter.problem_of(bad, 1)
    bad[3] = 0.5
    assert limiter.problem_of(bad, 1) == 'eyelid_left = 0.5 rad is outside [-0.65, 0.25]'
    assert limiter.problem_of(neutral, 5) == ''
    assert 'out of order' in limiter.problem_of(neutral, 5)
    assert limiter.problem_of(neutral, 6) == ''
    assert limiter.rejected_commands == 3


def test_a_rejected_command_does_not_count_as_the_last_one():
    limiter = SafetyLimiter(ROBOT, PERIOD_S)
    assert limiter.problem_of(np.full(JOINTS, np.nan), 100) != ''
    assert limiter.problem_of(np.zeros(JOINTS), 50) == ''


def test_a_start_outside_moves_in_slowly_and_never_turns_back():
    start = np.zeros(JOINTS)
    start[0] = HIGH[0] + 0.2
    motion = MotionGenerator(ROBOT, PERIOD_S)
    motion.begin(start)
    assert motion.limiter.outside[0]
    path = run(motion, [np.zeros(JOINTS)], [400])[:, 0]
    assert path[0] == start[0]
    assert (np.diff(path) <= 1e-12).all()
    outside = path[path > HIGH[0]]
    assert np.abs(np.diff(outside)).max() <= RECOVERY_RAD_S * PERIOD_S + 1e-9
    assert path[-1] == pytest.approx(0.0, abs=1e-6)


def test_a_start_that_breaks_a_coupled_limit_moves_in_slowly_too():
    start = np.zeros(JOINTS)
    lid, gaze = ROBOT.names.index('eyelid_left'), ROBOT.names.index('gaze_pitch')
    tight = CoupledLimit('lid', {'eyelid_left': 1.0, 'gaze_pitch': 1.0}, 0.3)
    robot = replace(ROBOT, coupled_limits=(tight,))
    start[lid], start[gaze] = 0.25, 0.4
    motion = MotionGenerator(robot, PERIOD_S)
    motion.begin(start)
    path = run(motion, [np.zeros(JOINTS)], [400])
    total = path[:, lid] + path[:, gaze]
    assert (np.diff(total[total > 0.3]) <= 1e-12).all()
    assert path[-1] == pytest.approx(np.zeros(JOINTS), abs=1e-6)


def test_a_planner_that_gives_up_is_counted_and_the_joints_move_unsynchronised(monkeypatch):
    """ruckig raises `error in step 2 … for t sync` for some targets in mid-motion."""
    planner = MotionPlanner(ROBOT, PERIOD_S)
    real = ruckig.Ruckig(JOINTS)

    class Moody:
        def calculate(self, request, trajectory):
            if request.synchronization != ruckig.Synchronization.No:
                raise ruckig.RuckigError('error in step 2 in dof: 3 for t sync')
            return real.calculate(request, trajectory)

    monkeypatch.setattr(planner, '_ruckig', Moody())
    zero = np.zeros(JOINTS)
    assert planner.plan(JointTrajectoryState(zero, zero, zero), 0.5 * HIGH)
    assert (planner.unsynchronised, planner.failures) == (1, 0)
    assert planner.next() is not None


def test_a_planner_that_gives_up_altogether_brakes(monkeypatch):
    motion = MotionGenerator(ROBOT, PERIOD_S)
    moving = run(motion, [0.9 * HIGH], [8])

    def fail(*_):
        raise ruckig.RuckigError('no')

    for name in ('_ruckig', '_line'):
        monkeypatch.setattr(motion.planner, name, type('Broken', (), {'calculate': fail})())
    rest = run(motion, [0.5 * LOW], [100])
    assert motion.limiter.at_rest
    assert_within_limits(np.vstack([moving, rest[1:]]))


def test_a_stall_needs_current_error_and_time():
    guard = StallGuard(ROBOT)
    commanded, present, current = np.full(JOINTS, 0.2), np.zeros(JOINTS), np.zeros(JOINTS)
    guard.update(0.0, 1.0, commanded, present, current)
    assert guard.count == 0
    current[0] = 0.6
    assert not guard.update(1.0, 0.15, commanded, present, current)
    assert guard.update(1.15, 0.15, commanded, present, current)
    assert guard.resting.tolist() == [True] + [False] * (JOINTS - 1)
    assert guard.held_rad[0] == 0.0
    assert guard.update(3.5, 0.01, present, present, current)
    assert not guard.resting.any()


def test_a_joint_that_is_slow_has_more_time_than_one_that_stands_still():
    guard = StallGuard(ROBOT)
    commanded, present, current = np.full(JOINTS, 0.5), np.zeros(JOINTS), np.zeros(JOINTS)
    current[:4] = 0.6
    stalled = {}
    for cycle in range(1, 61):
        present[0] += 0.002  # 0.2 rad/s at full current: something soft is in the way
        present[2] += 0.008  # 0.8 rad/s: lags behind, arrives all the same
        present[3] -= 0.01  # somebody pulls it the other way
        guard.update(0.01 * cycle, 0.01, commanded, present, current)
        for joint in np.flatnonzero(guard.resting).tolist():
            stalled.setdefault(joint, cycle)
    assert stalled == {j: pytest.approx(c, abs=1) for j, c in ((0, 41), (1, 21), (3, 21))}


@pytest.mark.parametrize('load', [0.0, 0.1, 0.2])
def test_hard_motion_is_no_stall(load):
    """All joints from end to end at full speed, with the face's weight on every horn."""
    now, servos = [0.0], simulated_servos(ROBOT)
    controller = ServoController(
        ROBOT, InProcessBus(servos), clock=lambda: now[0], hold_s=60.0, pause=lambda _: None
    )
    controller.start(threaded=False)
    for servo in servos:
        servo.physics.surroundings.load = load
    moved = np.zeros(JOINTS)
    for cycle in range(600):
        if cycle % 60 == 0:
            goal = controller.cycle.motion.limiter.allowed_goal(HIGH if cycle % 120 else LOW)
            assert not controller.set_goal(goal, cycle + 1)
        now[0] += PERIOD_S
        moved = np.maximum(moved, np.abs(controller.step(now[0]).present_rad))
    assert controller.statistics().stalls == 0
    assert (moved > 0.1).all()
    controller.close()


def test_a_joint_that_stalls_three_times_rests_for_good():
    guard = StallGuard(ROBOT)
    commanded, present = np.full(JOINTS, 0.2), np.zeros(JOINTS)
    current = np.full(JOINTS, 1.2)
    now, pauses = 0.0, []
    for _ in range(3):
        while not guard.resting[0]:
            now += 0.1
            guard.update(now, 0.1, commanded, present, current)
        begin = now
        while guard.resting[0] and now - begin < 60.0:
            now += 0.1
            guard.update(now, 0.1, present, present, np.zeros(JOINTS))
        pauses.append(now - begin)
    assert pauses[0] < 5.0 and pauses[1] < 5.0
    assert guard.resting[0] and pauses[2] >= 60.0  # until somebody clears it


def test_a_pause_ends_when_somebody_says_so():
    guard = StallGuard(ROBOT)
    commanded, present = np.full(JOINTS, 0.2), np.zeros(JOINTS)
    current = np.where(np.arange(JOINTS) == 3, 1.2, 0.0)
    while not guard.resting.any():
        guard.update(1.0, 0.01, commanded, present, current)
    assert guard.release() == [3]
    assert guard.update(1.01, 0.01, present, present, np.zeros(JOINTS))
    assert not guard.resting.any()
    assert guard.release() == []


def test_heat_shrinks_motion_in_a_straight_line():
    limits = ThermalLimits(50.0, 60.0)
    share = thermal_scale(np.array([20.0, 50.0, 55.0, 60.0, 90.0, np.nan]), limits)
    assert share == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0, 1.0])


def test_a_joint_that_arrives_at_its_limit_is_not_outside_by_rounding():
    """A plan's last digit put gaze_pitch outside its limit; the whole head then stood for good."""
    limiter = SafetyLimiter(ROBOT, PERIOD_S)
    low = np.array([j.limits_rad[0] for j in ROBOT.joints])
    limiter.reset(np.where(np.arange(JOINTS) == 8, np.nextafter(low, -1.0), 0.0))
    assert not limiter.outside.any()
    assert (limiter.speed_scale == 1.0).all()


def test_a_new_goal_is_planned_at_full_speed_after_others_were_rejected(monkeypatch):
    """Caution once stayed: after eleven refusals the head crept until it was restarted."""
    motion = MotionGenerator(ROBOT, PERIOD_S)
    with monkeypatch.context() as patch:
        patch.setattr(motion.limiter, '_stays_inside', lambda brake: False)
        assert np.ptp(run(motion, [0.5 * HIGH], [50]), axis=0).max() < 1e-9
    fresh = run(MotionGenerator(ROBOT, PERIOD_S), [0.6 * HIGH], [150])
    after = run(motion, [0.6 * HIGH], [150])
    assert np.abs(np.diff(after, axis=0)).max() == pytest.approx(
        np.abs(np.diff(fresh, axis=0)).max(), rel=0.01
    )


def test_a_gentle_plan_is_straight_and_within_the_limits():
    planner = MotionPlanner(ROBOT, PERIOD_S)
    zero, goal = np.zeros(JOINTS), 0.5 * HIGH
    assert planner.plan_straight(
        JointTrajectoryState(zero, zero, zero), goal, 0.5, np.arange(JOINTS), 0.2
    )
    path = []
    while not path or np.abs(path[-1].position - goal).max() > 1e-7:
        path.append(planner.next())
    share = np.array([p.position for p in path]) / goal
    assert share == pytest.approx(share[:, :1].repeat(JOINTS, axis=1), abs=1e-9)
    for name, part in (('max_velocity_rad_s', 0.5), ('max_acceleration_rad_s2', 0.2)):
        of = [getattr(p, name.split('_')[1]) for p in path]
        top = part * np.array([getattr(j, name) for j in ROBOT.joints])
        assert (np.abs(of) <= top * (1.0 + 1e-6)).all()
    assert path[-1].position == pytest.approx(goal, abs=1e-9)


def test_how_far_a_pose_stands_outside_is_said_of_joints_and_of_coupled_limits():
    limiter = SafetyLimiter(ROBOT, PERIOD_S)
    assert limiter.beyond(LOW - 0.015) == {}
    pose = ROBOT.neutral_rad
    jaw, yaw = ROBOT.names.index('jaw'), ROBOT.names.index('neck_yaw')
    pose[yaw] = HIGH[yaw] + 0.3
    assert limiter.beyond(pose) == {'neck_yaw': '0.30 rad above its limits'}
    pose[yaw], pose[jaw] = 0.0, LOW[jaw] - 0.123
    assert limiter.beyond(pose) == {'jaw': '0.12 rad below its limits'}
    lids = ROBOT.coupled_limits[0]
    pose = ROBOT.neutral_rad
    for name, factor in lids.terms.items():
        index = ROBOT.names.index(name)
        pose[index] = HIGH[index] if factor > 0 else LOW[index]
    over = sum(f * pose[ROBOT.names.index(n)] for n, f in lids.terms.items()) - lids.maximum_rad
    assert limiter.beyond(pose)[f"'{lids.name}'"] == f'{over:.2f} rad over'
