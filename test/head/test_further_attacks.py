"""What a head got right when it was attacked, and has to go on getting right, on virtual time.

The names k04 to k15 are those of the list of attacks; the others are in test_supervision.py.
"""

import numpy as np
import pytest
from head_in_process import PERIOD_S, HeadInProcess

from kf_imitation.errors import ServoSetupError
from kf_imitation.head.reports import OK, RUNNING, STOPPED

NECK = 'neck_yaw'


def neck():
    """The neck alone, on its way to a goal."""
    head = HeadInProcess(joints=(NECK,)).start()
    head.go(neck_yaw=0.8)
    head.run(0.15)
    return head


def speed_of_commands(head):
    return np.abs(np.diff(head.commanded, axis=0)).max(axis=0) / PERIOD_S


def fastest(head):
    return np.array([joint.max_velocity_rad_s for joint in head.robot.joints])


def test_k04_a_servo_that_may_use_a_ninth_of_its_power_gets_no_torque_and_says_why():
    head = HeadInProcess(joints=(NECK,))
    head.servo(NECK).registers.set('pwm_limit', 100)
    with pytest.raises(ServoSetupError, match=r'pwm_limit of 100 \(11 %\), too little'):
        head.start()
    assert not head.servo(NECK).torque


@pytest.mark.parametrize('jump_s', [5.0, -5.0])
def test_k05_a_clock_that_jumps_in_mid_motion_never_makes_the_command_jump(jump_s):
    head = neck()
    head.now_s += jump_s
    head.run(0.5)
    assert np.abs(np.diff(head.commanded[-50:, 0])).max() <= fastest(head)[0] * PERIOD_S
    assert head.commanded[-50, 0] == pytest.approx(head.present[-50, 0], abs=0.01)
    assert head.controller.state == RUNNING


def test_k07_goals_that_are_no_angle_or_beyond_the_limits_are_rejected():
    head = HeadInProcess(joints=(NECK,)).start()
    for number, angle in enumerate((np.nan, np.inf, 1e300, -0.95), 1):
        reason = head.controller.set_goal(np.array([angle]), number)
        assert reason and len(reason) < 80
    head.run(0.5)
    assert not head.commanded.any()
    assert head.controller.statistics().rejected_commands == 4


def test_k08_a_new_goal_in_every_cycle_keeps_all_limits():
    head = HeadInProcess().start()
    low, high = np.array([joint.limits_rad for joint in head.robot.joints]).T
    chance = np.random.default_rng(0)
    for number in range(200):
        assert head.controller.set_goal(chance.uniform(low, high), number + 1) == ''
        head.run(PERIOD_S)
    assert (speed_of_commands(head) <= fastest(head) * (1 + 1e-6)).all()
    assert (head.commanded >= low - 1e-6).all() and (head.commanded <= high + 1e-6).all()


def test_k13_torque_off_in_mid_motion_and_on_again_moves_from_where_the_joint_came_to_rest():
    head = neck()
    off = head.controller.torque(False)
    head.run(0.5)
    assert off.result(0).done and not head.servo(NECK).torque
    on = head.controller.torque(True)
    before = len(head.cycles)
    head.run(2.0)
    assert on.result(0).done
    assert head.commanded[before + 1, 0] == pytest.approx(head.present[before, 0], abs=0.01)
    assert head.present[-1, 0] == pytest.approx(0.0, abs=0.01)
    assert head.controller.status().level == OK


def test_k14_a_stop_during_the_reboot_of_a_servo_stays_a_stop():
    head = HeadInProcess().start()
    head.servos[0].raise_error(1 << 5)
    head.run(0.1)
    head.controller.recover(careful=False)
    head.run(0.02)
    stop = head.controller.stop()
    head.run(6.0)
    assert stop.result(0).done
    assert not any(servo.torque for servo in head.servos)
    assert head.controller.state == STOPPED


def test_k15_after_a_stop_and_a_reset_the_goal_of_before_is_forgotten():
    head = neck()
    head.run(1.0)
    head.controller.stop()
    head.run(0.5)
    head.controller.reset()
    before = len(head.cycles)
    head.run(2.0)
    assert head.present[-1, 0] == pytest.approx(0.0, abs=0.01)
    assert head.present[before:, 0].max() <= head.present[before, 0] + 0.01  # never towards 0.8
