"""Poses on their way to a head on virtual time: order, clocks, what a rejection leaves."""

import numpy as np
import pytest

from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.data_types import CHANNELS, Expression
from kf_imitation.head.controller import ServoController
from kf_imitation.head.pose_pacer import PoseBudget, PosePacer
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping

ROBOT = load_robot('sim_face')
SECOND_NS = 1_000_000_000


class Rig:
    """A pacer in front of a controller; time passes in run() alone."""

    def __init__(self):
        self.now_s, self.ros_s = 0.0, 100.0
        self.head = ServoController(
            ROBOT,
            InProcessBus(simulated_servos(ROBOT)),
            clock=lambda: self.now_s,
            hold_s=1e9,
            pause=lambda _: None,
        )
        self.head.start(threaded=False)
        self.pacer = PosePacer(self.head, PoseBudget(ROBOT, 0.15))
        self.mapping = JointMapping(ROBOT)

    def show(self, stamp_s, jaw_open):
        values = np.zeros(len(CHANNELS), np.float32)
        values[list(CHANNELS).index('jaw_open')] = jaw_open
        stamp_ns = round(stamp_s * SECOND_NS)
        goal_rad = self.mapping.goals(Expression(stamp_ns, values, np.ones_like(values)))
        return self.pacer.show(goal_rad, stamp_ns, self.now_s, round(self.ros_s * SECOND_NS))

    def run(self, duration_s=0.5):
        for _ in range(round(duration_s * 100)):
            self.now_s += 0.01
            self.jaw = float(self.head.step(self.now_s).present_rad[0])
            self.pacer.tick(self.now_s)
        return self.jaw


@pytest.fixture
def rig():
    return Rig()


def test_an_older_expression_is_rejected_and_changes_nothing(rig):
    assert rig.show(100.0, 1.0) == ''
    rig.run(0.03)  # on the way, when turning back would have to wait
    assert 'out of order' in rig.show(99.0, 0.0)
    assert rig.run() == pytest.approx(0.5, abs=0.005)


def test_a_clock_that_is_set_back_begins_anew(rig):
    assert rig.show(100.0, 0.5) == ''
    rig.run()
    rig.ros_s = 50.0
    assert rig.show(50.0, 1.0) == ''
    assert rig.run() == pytest.approx(0.5, abs=0.005)
    assert 'out of order' in rig.show(49.9, 0.0)


def test_a_late_expression_of_the_time_before_does_not_lock_out_the_new_time(rig):
    assert rig.show(100.0, 0.5) == ''
    rig.ros_s = 50.0
    assert rig.show(100.1, 0.0) == ''
    assert rig.show(50.1, 1.0) == ''
    assert rig.run() == pytest.approx(0.5, abs=0.005)


def test_a_camera_whose_clock_is_ahead_has_its_order_all_the_same(rig):
    assert rig.show(110.0, 0.5) == ''
    assert 'out of order' in rig.show(109.9, 1.0)
    assert rig.show(110.1, 1.0) == ''


def test_a_tick_says_whether_a_part_still_waits_so_that_an_idle_head_needs_none(rig):
    rig.show(100.0, 1.0)
    assert not rig.pacer.tick(rig.now_s)  # all joints were sent at once
    rig.run(0.03)
    rig.show(100.03, 0.0)
    assert rig.pacer.tick(rig.now_s)  # the jaw first reaches its peak
    assert rig.run() == pytest.approx(0.0, abs=0.005)
    assert not rig.pacer.tick(rig.now_s)
