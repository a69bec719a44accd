"""`port: none`: goals become trajectories for another driver; nothing is pretended."""

import numpy as np
import pytest

from kf_imitation.errors import PortError
from kf_imitation.head.bus_factory import make_bus
from kf_imitation.head.gateway_head import HORIZON_S, GatewayHead
from kf_imitation.head.reports import ERROR, WARN
from kf_imitation.motion.motion_generator import MotionGenerator
from kf_imitation.motion.waypoints import TrajectoryPoint
from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')
JAW, YAW = ROBOT.names.index('jaw'), ROBOT.names.index('neck_yaw')
SPEED = np.array([j.max_velocity_rad_s for j in ROBOT.joints])


class Driven:
    """A head and what was handed to its driver, on virtual time."""

    def __init__(self, measured=None, now_s=100.0, wait_s=3.1, **options):
        self.now_s = now_s
        self.sent = []
        self.head = GatewayHead(ROBOT, clock=lambda: self.now_s, **options)
        self.head.on_trajectory = lambda planned: self.sent.append((self.now_s, planned))
        self.head.start()
        if measured is not None:
            self.tell(measured)
        self.run(wait_s)

    def tell(self, measured, names=ROBOT.names):
        """Let the driver say where joints are."""
        self.head.measured(dict(zip(names, measured, strict=True)))

    def follow(self, duration_s, late_s=0.0):
        """Let time pass with a driver that does as told."""
        for _ in range(round(duration_s / 0.05)):
            self.tell(self.position(self.now_s - late_s))
            self.head.keep_alive()
            self.run(0.05)

    def count_steps(self):
        """Return a list that grows with every cycle of the motion that is planned."""
        steps, step = [], self.head._step
        self.head._step = lambda *of: (steps.append(of), step(*of))
        return steps

    def run(self, duration_s, tick_s=0.05):
        for _ in range(round(duration_s / tick_s)):
            self.now_s += tick_s
            self.head.tick()

    def position(self, time_s):
        """Where a driver that follows everything at once would be, (J,)."""
        since, planned = [s for s in self.sent if s[0] <= time_s][-1]
        times = np.concatenate([[0.0], planned.times_s])
        path = np.vstack([planned.position_rad[0], planned.position_rad])
        return np.array([np.interp(time_s - since, times, joint) for joint in path.T])


def pose(**angles):
    return np.array([angles.get(name, 0.0) for name in ROBOT.names])


def test_a_goal_is_handed_out_as_a_trajectory_within_the_limits():
    driven = Driven(pose())
    assert driven.head.set_goal(pose(jaw=0.4, neck_yaw=0.5), 1) == ''
    planned = driven.sent[-1][1]
    assert planned.names == ROBOT.names
    assert planned.position_rad[-1] == pytest.approx(pose(jaw=0.4, neck_yaw=0.5), abs=1e-4)
    assert not planned.velocity_rad_s[-1].any()
    times = np.concatenate([[0.0], planned.times_s])
    assert (np.diff(times) > 0).all()
    path = np.vstack([pose(), planned.position_rad])
    assert (np.abs(np.diff(path, axis=0)) <= SPEED * np.diff(times)[:, None] + 1e-9).all()
    assert (np.abs(planned.velocity_rad_s) <= SPEED).all()


def test_a_goal_in_mid_motion_goes_on_from_where_the_head_is_by_now():
    driven = Driven(pose())
    assert driven.head.set_goal(pose(neck_yaw=0.6), 1) == ''
    driven.now_s += 0.2
    before = driven.position(driven.now_s)
    assert 0.05 < before[YAW] < 0.55
    assert driven.head.set_goal(pose(neck_yaw=-0.6), 2) == ''
    first = driven.sent[-1][1]
    assert abs(first.position_rad[0][YAW] - before[YAW]) < SPEED[YAW] * 0.06
    assert first.velocity_rad_s[0][YAW] > 0  # it still brakes


def test_the_head_starts_from_the_pose_that_its_driver_reports():
    driven = Driven(pose(neck_yaw=0.5))
    first = driven.sent[0][1]
    assert abs(first.position_rad[0][YAW] - 0.5) < 0.1
    driven.run(2.0)
    assert driven.sent[-1][1].position_rad[-1][YAW] == pytest.approx(0.0, abs=1e-4)


def test_nothing_moves_until_the_driver_says_where_every_joint_is():
    """It was led to neutral in 2 s, from wherever it was and at any speed."""
    driven = Driven()
    driven.run(10.0)
    assert not driven.sent
    status = driven.head.status()
    assert status.level == WARN and 'do not say where' in status.sentence
    assert 'do not say where' in driven.head.set_goal(pose(jaw=0.4), 1)
    driven.tell(pose(neck_yaw=0.3)[1:], ROBOT.names[1:])
    driven.run(0.5)
    assert driven.head.status().sentence.endswith('where jaw is') and not driven.sent
    driven.tell(pose(neck_yaw=0.3))
    driven.run(0.1)
    assert abs(driven.sent[0][1].position_rad[0][YAW] - 0.3) < 0.05
    assert driven.head.set_goal(pose(jaw=0.4), 2) == ''


def test_a_joint_that_is_said_to_be_far_outside_its_limits_moves_nothing():
    driven = Driven(pose(neck_yaw=5.0))
    assert not driven.sent
    assert 'neck_yaw is at 5.00 rad, far outside the limits' in driven.head.status().sentence


@pytest.mark.parametrize('uptime_s', [0.0, 300.0, 1e7])
def test_motion_begins_now_whatever_the_uptime(uptime_s):
    """The first goal made the loop step from zero to the uptime: 85 s of silence after 4 h."""
    driven = Driven(pose(), now_s=uptime_s, wait_s=0.0)
    steps = driven.count_steps()
    driven.head.tick()
    assert driven.head.set_goal(pose(jaw=0.4), 1) == ''
    assert len(steps) < 500


@pytest.mark.parametrize('gap_s', [10.0, 3600.0, -20.0])
def test_a_gap_is_a_new_start_from_where_the_joints_are_and_costs_nothing(gap_s):
    driven = Driven(pose())
    assert driven.head.set_goal(pose(neck_yaw=0.8), 1) == ''
    driven.run(0.2)
    steps, count = driven.count_steps(), len(driven.sent)
    driven.now_s += gap_s
    driven.run(0.5)
    assert not steps and len(driven.sent) == count
    assert 'nothing moves after a gap of' in driven.head.status().sentence
    driven.tell(pose(neck_yaw=0.4))
    driven.run(0.1)
    assert abs(driven.sent[-1][1].position_rad[0][YAW] - 0.4) < 0.05
    driven.follow(2.0)
    assert driven.sent[-1][1].position_rad[-1] == pytest.approx(pose(), abs=1e-4)  # not 0.8
    assert driven.head.status().values['commands void by a gap'] == '1'


def test_a_driver_that_does_not_follow_is_reported():
    driven = Driven(pose())
    assert driven.head.set_goal(pose(neck_yaw=0.8), 1) == ''
    for _ in range(60):
        driven.tell(pose())
        driven.head.keep_alive()
        driven.run(0.05)
    status = driven.head.status()
    assert status.level == WARN
    assert 'the driver does not follow: neck_yaw is at 0.00 rad, not 0.80' in status.sentence


def test_a_driver_that_follows_late_is_no_news_and_one_that_falls_silent_is():
    driven = Driven(pose())
    assert driven.head.set_goal(pose(neck_yaw=0.8), 1) == ''
    driven.follow(3.0, late_s=0.15)
    assert driven.head.status().level == 0
    driven.run(4.0)
    assert 'joint_states of the driver are silent for 4 s' in driven.head.status().sentence


def test_a_mistake_in_the_planning_stops_the_head_and_not_the_node(monkeypatch):
    driven = Driven(pose())
    with monkeypatch.context() as patch:
        patch.setattr(MotionGenerator, 'advance', lambda *_: 1 / 0)
        driven.head.set_goal(pose(neck_yaw=0.8), 1)
        driven.run(0.5)
        assert 'ZeroDivisionError' in driven.head.status().sentence
        assert driven.head.status().level == ERROR
        assert 'reset first' in driven.head.set_goal(pose(neck_yaw=0.8), 2)
    driven.head.reset()
    assert driven.head.set_goal(pose(neck_yaw=0.8), 3) == ''


def test_what_cannot_be_performed_is_rejected_as_with_a_bus_of_our_own():
    head = Driven(pose()).head
    assert 'at most 600 s' in head.set_trajectory(['jaw'], [TrajectoryPoint(8000.0, (0.3,))])
    assert 'in the future' in head.set_goal(pose(), 2**62)
    assert head.set_goal(pose(), 1) == ''


def test_a_head_that_was_moved_by_somebody_else_is_fetched_from_there():
    driven = Driven(pose())
    driven.run(1.0)
    driven.head.measured({'neck_yaw': 0.5})
    assert driven.head.set_goal(pose(neck_yaw=0.6), 1) == ''
    assert abs(driven.sent[-1][1].position_rad[0][YAW] - 0.5) < 0.1


def test_without_news_the_head_is_led_to_neutral():
    driven = Driven(pose(), hold_s=0.5)
    assert driven.head.set_goal(pose(jaw=0.4), 1) == ''
    driven.run(0.4)
    assert driven.sent[-1][1].position_rad[-1][JAW] == pytest.approx(0.4, abs=1e-4)
    driven.run(1.5)
    assert driven.sent[-1][1].position_rad[-1][JAW] == pytest.approx(0.0, abs=1e-4)


def test_a_stop_brings_the_last_trajectory_to_rest_and_is_latched():
    driven = Driven(pose())
    assert driven.head.set_goal(pose(neck_yaw=0.8), 1) == ''
    driven.now_s += 0.15
    assert driven.head.stop().result().done
    planned = driven.sent[-1][1]
    assert planned.times_s[-1] < 0.4
    assert 0.0 < planned.position_rad[-1][YAW] < 0.7
    count = len(driven.sent)
    assert 'reset first' in driven.head.set_goal(pose(), 2)
    driven.head.relax()
    driven.run(3.0)
    assert len(driven.sent) == count
    assert driven.head.reset().result().done
    driven.run(2.0)
    assert driven.sent[-1][1].position_rad[-1] == pytest.approx(pose(), abs=1e-4)


def test_faulty_commands_are_rejected_and_hand_nothing_out():
    driven = Driven(pose())
    count = len(driven.sent)
    assert 'finite' in driven.head.set_goal(pose(jaw=np.nan), 1)
    assert 'outside' in driven.head.set_goal(pose(jaw=3.0), 1)
    assert 'nose' in driven.head.set_trajectory(['nose'], [TrajectoryPoint(1.0, (0.1,))])
    assert len(driven.sent) == count
    assert driven.head.status().values['rejected commands'] == '3'


def test_a_long_trajectory_is_handed_out_piece_by_piece():
    driven = Driven(pose())
    points = [TrajectoryPoint(float(t), (0.3 * (t % 2),)) for t in range(1, 7)]
    begin = driven.now_s
    assert driven.head.set_trajectory(['neck_yaw'], points) == ''
    count = len(driven.sent)
    assert driven.sent[-1][1].times_s[-1] < HORIZON_S + 0.5
    driven.run(7.0)
    assert len(driven.sent) > count + 3
    for t in range(1, 7):
        assert driven.position(begin + t)[YAW] == pytest.approx(0.3 * (t % 2), abs=0.02)


def test_torque_and_errors_belong_to_the_driver():
    head = Driven(pose()).head
    for answer in (head.torque(True), head.torque(False), head.recover(True), head.recover(False)):
        assert not answer.result().done
        assert 'driver' in answer.result().sentence


@pytest.mark.parametrize(('policy', 'yaw'), [('neutral_limp', 0.0), ('hold', 0.6)])
def test_the_exit_policy_says_where_the_head_is_left(policy, yaw):
    driven = Driven(pose(), exit_policy=policy)
    assert driven.head.set_goal(pose(neck_yaw=0.6), 1) == ''
    driven.run(0.9)
    driven.head.close()
    assert driven.sent[-1][1].position_rad[-1][YAW] == pytest.approx(yaw, abs=1e-3)


def test_there_is_no_bus_to_open():
    with pytest.raises(PortError, match='no bus'):
        make_bus(ROBOT, 'none')
