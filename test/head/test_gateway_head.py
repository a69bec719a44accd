"""`port: none`: goals become trajectories for another driver; nothing is pretended."""

import numpy as np
import pytest

from kf_imitation.errors import PortError
from kf_imitation.head.bus_factory import make_bus
from kf_imitation.head.gateway_head import FIRST_S, HORIZON_S, LISTEN_S, GatewayHead
from kf_imitation.motion.waypoints import TrajectoryPoint
from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')
JAW, YAW = ROBOT.names.index('jaw'), ROBOT.names.index('neck_yaw')
SPEED = np.array([j.max_velocity_rad_s for j in ROBOT.joints])


class Driven:
    """A head and what was handed to its driver, on virtual time."""

    def __init__(self, measured=None, **options):
        self.now_s = 100.0
        self.sent = []
        self.head = GatewayHead(ROBOT, clock=lambda: self.now_s, **options)
        self.head.on_trajectory = lambda planned: self.sent.append((self.now_s, planned))
        self.head.start()
        if measured is not None:
            self.head.measured(dict(zip(ROBOT.names, measured, strict=True)))
        self.run(LISTEN_S + 0.1)

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


def test_the_head_starts_from_the_pose_that_its_driver_tells():
    driven = Driven(pose(neck_yaw=0.5))
    first = driven.sent[0][1]
    assert abs(first.position_rad[0][YAW] - 0.5) < 0.1
    driven.run(2.0)
    assert driven.sent[-1][1].position_rad[-1][YAW] == pytest.approx(0.0, abs=1e-4)


def test_an_unknown_pose_is_led_to_neutral_slowly_and_goals_begin_after_it():
    driven = Driven()
    since, first = driven.sent[0]
    assert first.times_s.tolist() == [FIRST_S]
    assert first.position_rad[0] == pytest.approx(pose())
    assert driven.head.set_goal(pose(jaw=0.4), 1) == ''
    assert driven.sent[-1][1].times_s[0] > FIRST_S - (driven.now_s - since) - 1e-6


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


def test_faulty_commands_are_refused_and_hand_nothing_out():
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
