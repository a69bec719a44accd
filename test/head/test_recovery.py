"""Latched hardware errors, and stops that outlive everything but a reset."""

from dataclasses import replace

import numpy as np
from servo_rig import asking

from kf_imitation.actuators.dynamixel.units import RAD_PER_TICK
from kf_imitation.head import controller as controller_module

TIMEOUT_S = 15.0
HALF_A_DEGREE = np.deg2rad(0.5)


def answer(future):
    return future.result(TIMEOUT_S)


def assert_no_jump(rig):
    """On the wire: torque came on at the measured angle, then goals moved within the speed limit.

    A late cycle repeats nothing, so that two goals are never further apart than one cycle moves.
    """
    for joint in rig.robot.joints:
        allowed = joint.max_velocity_rad_s * 0.01 + HALF_A_DEGREE
        goal, torque = None, False
        for record in rig.log:
            if record.id != joint.id:
                continue
            if record.register == 'torque_enable':
                if record.value and not torque:
                    assert abs(record.present - goal) * RAD_PER_TICK < HALF_A_DEGREE
                torque = bool(record.value)
            elif record.register == 'goal_position':
                if torque:
                    assert abs(record.value - goal) * RAD_PER_TICK < allowed
                goal = record.value


def test_an_overload_is_cleared_and_motion_goes_on_from_the_measured_angle(rig):
    controller = rig.controller(hold_s=60)
    there = lambda: controller.cycles[-1].present_rad[0] > 0.29  # noqa: E731
    ask = asking(controller, [0.3, 0.3])
    rig.wait(there, 'arrival', send=ask)
    rig.fault('overload 1')
    rig.wait(lambda: 'overload' in controller.status().sentence, 'complaint')
    rig.servo('jaw').physics.angle_rad -= 0.2  # it is limp: somebody moves it
    cleared = answer(controller.recover(careful=True))
    assert (cleared.done, cleared.sentence) == (True, 'jaw: overload cleared')
    back = len(controller.cycles)
    rig.wait(lambda: len(controller.cycles) > back + 3, 'cycles')
    assert rig.torques() == [True, True]
    assert_no_jump(rig)
    rig.wait(there, 'the goal again', send=ask)


def test_an_error_is_not_cleared_while_its_cause_lasts(rig):
    controller = rig.controller(hold_s=60)
    rig.fault('heat 1 75')
    rig.wait(lambda: 'overheating' in controller.status().sentence, 'complaint')
    rejected = answer(controller.recover(careful=True))
    assert not rejected.done
    assert 'jaw: overheating, still 7' in rejected.sentence
    assert 'let it cool below 65' in rejected.sentence
    assert rig.torques()[0] is False
    rig.fault('heat 1 30')
    assert answer(controller.recover(careful=True)).done
    assert rig.torques() == [True, True]


def test_nothing_to_clear_is_a_success_that_moves_nothing(rig):
    controller = rig.controller(hold_s=60)
    before = len(rig.writes('torque_enable'))
    cleared = answer(controller.recover(careful=True))
    assert (cleared.done, cleared.sentence) == (True, 'no servo has a hardware error')
    assert len(rig.writes('torque_enable')) == before


def test_reboot_restarts_what_is_out_of_service_whatever_the_cause(rig):
    controller = rig.controller(hold_s=60)
    rig.fault('overload 10')
    rig.wait(lambda: 'neck_yaw' in controller.status().sentence, 'complaint')
    rebooted = answer(controller.recover(careful=False))
    assert rebooted.done and 'neck_yaw: overload cleared' in rebooted.sentence
    rig.fault('dead 10')
    rig.wait(lambda: 'does not reply' in controller.status().sentence, 'complaint')
    rejected = answer(controller.recover(careful=False))
    assert not rejected.done and 'neck_yaw' in rejected.sentence


def test_errors_can_be_cleared_while_stopped_without_any_torque(rig):
    controller = rig.controller(hold_s=60)
    assert answer(controller.stop()).done
    rig.fault('overload 1')
    rig.wait(lambda: controller.cycle.present.alert[0], 'alert')
    assert answer(controller.recover(careful=True)).done
    assert rig.torques() == [False, False]
    assert answer(controller.reset()).done
    assert rig.torques() == [True, True]


def test_a_stop_answers_when_every_servo_confirmed_and_says_who_did_not(rig):
    controller = rig.controller(hold_s=60)
    stopped = answer(controller.stop())
    assert stopped.done and 'every servo confirmed' in stopped.sentence
    assert rig.torques() == [False, False]
    assert answer(controller.reset()).sentence == 'runs again from where the joints are'
    rig.fault('deaf')
    stopped = answer(controller.stop())
    assert not stopped.done and 'not confirmed by jaw, neck_yaw' in stopped.sentence
    rig.fault('normal')


def test_a_reset_of_a_head_that_runs_says_that_it_was_not_stopped(rig):
    controller = rig.controller(hold_s=60)
    for asked in (controller.reset(), controller.torque(True)):
        assert answer(asked).sentence == 'was not stopped, and goes on'
    assert rig.torques() == [True, True]


def test_torque_goes_off_and_comes_back_without_motion(rig):
    controller = rig.controller(robot=replace(rig.robot, stop='hold'), hold_s=60)
    assert answer(controller.torque(False)).done  # off, although a stop would freeze
    assert rig.torques() == [False, False]
    rig.servo('neck_yaw').physics.angle_rad += 0.3
    assert answer(controller.torque(True)).done
    assert rig.torques() == [True, True]
    assert_no_jump(rig)


def test_a_stop_outlives_close_and_start(rig):
    controller = rig.controller(hold_s=60)
    assert answer(controller.stop()).done
    controller.close()
    controller.start()
    rig.wait(lambda: controller.status().sentence == 'stopped; waiting for reset', 'start')
    assert rig.torques() == [False, False]
    assert 'reset first' in controller.set_goal(np.array([0.1, 0.1]), 1)
    assert answer(controller.reset()).done
    assert rig.torques() == [True, True]


def test_a_stop_counts_before_the_start_and_all_else_is_rejected(rig):
    controller = rig.controller()
    controller.close()
    assert answer(controller.stop()).done
    assert not answer(controller.recover(careful=True)).done
    controller.start()
    assert controller.state == 'stopped'
    assert rig.torques() == [False, False]


def test_who_waits_for_an_answer_is_told_when_the_head_is_switched_off(rig):
    controller = rig.controller()
    rig.fault('deaf')
    waiting = controller.stop()
    controller.close()
    assert not answer(waiting).done


def test_a_stop_while_the_bus_is_lost_is_carried_out_once_it_is_back(rig):
    controller = rig.controller(hold_s=60)
    rig.fault('unplug')
    rig.wait(lambda: controller.state == 'lost', 'loss')
    assert not answer(controller.stop()).done
    rig.fault('plug')
    rig.wait(lambda: controller.status().sentence == 'stopped; waiting for reset', 'stop')
    assert rig.torques() == [False, False]


def test_a_reset_is_confirmed_only_when_every_servo_runs_again(rig, monkeypatch):
    """It once said that the head runs as soon as the first servo did."""
    controller = rig.controller()
    assert answer(controller.stop()).done
    rig.fault('dead 10')
    with monkeypatch.context() as patch:
        patch.setattr(controller_module, 'RESET_S', 1.0)
        rejected = answer(controller.reset())
    assert not rejected.done
    assert 'neck_yaw: does not reply' in rejected.sentence
    rig.fault('alive 10')
    assert answer(controller.reset()).done
    assert rig.torques() == [True, True]
