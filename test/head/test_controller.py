import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from servo_rig import asking
from virtual_head import JAW, VirtualHead

from kf_imitation.actuators.dynamixel.control_tables import SIMULATED
from kf_imitation.actuators.dynamixel.units import RAD_PER_TICK
from kf_imitation.errors import BusError, PortError, ServoSetupError
from kf_imitation.head import servo_group
from kf_imitation.head.controller import ServoController
from kf_imitation.head.servo_group import ServoGroup

HALF_A_DEGREE = np.deg2rad(0.5)


def present_step(cycles):
    """Largest change of a present position between two cycles that read it [rad]."""
    fresh = np.array([c.present_rad for c in cycles if c.fresh])
    return np.abs(np.diff(fresh, axis=0)).max(initial=0.0)


def move(rig, controller, position, stamp):
    ask = asking(controller, position, stamp)
    arrived = lambda: np.abs(controller.cycles[-1].present_rad - position).max() < 0.01  # noqa: E731
    rig.wait(arrived, f'arrival at {position}', send=ask)


def test_a_goal_is_reached_within_the_limits(rig):
    controller = rig.controller(hold_s=60)
    move(rig, controller, [0.4, -0.5], 1)
    commanded = np.array([c.commanded_rad for c in controller.cycles])
    speed = np.abs(np.diff(commanded, axis=0)).max(axis=0) * 100.0
    assert (speed <= [j.max_velocity_rad_s + 1e-6 for j in rig.robot.joints]).all()


def test_torque_on_moves_nothing(rig):
    rig.servo('neck_yaw').physics.angle_rad += 0.3
    with rig.port.lock:
        before = [s.physics.angle_rad for s in rig.line.servos]
    controller = rig.controller()
    rig.wait(lambda: len(controller.cycles) > 2, 'cycle')
    assert all(rig.torques())
    steps = np.abs(np.diff([c.commanded_rad for c in controller.cycles[:3]], axis=0))
    assert steps.max() < HALF_A_DEGREE
    first = controller.cycles[0].present_rad[1]
    assert first == pytest.approx(before[1] - 2048 * RAD_PER_TICK, abs=0.005)


def test_torque_goes_on_only_after_the_goal_is_the_present_position(rig):
    rig.servo('neck_yaw').physics.angle_rad += 0.3
    rig.controller()
    for servo in rig.line.servos:
        with rig.port.lock:
            writes = [record for record in rig.log if record.id == servo.id]
        on = [(record.register, record.value) for record in writes].index(('torque_enable', 1))
        before = writes[:on]
        goals = [record for record in before if record.register == 'goal_position']
        assert goals and abs(goals[-1].value - goals[-1].present) <= 1


def test_opening_asks_for_every_servo_and_changes_nothing(rig):
    controller = ServoController(rig.robot, rig.bus(opened=False))
    with rig.port.lock:
        before = [bytes(servo.registers._bytes[:112]) for servo in rig.line.servos]
    controller.open()
    with rig.port.lock:
        assert before == [bytes(servo.registers._bytes[:112]) for servo in rig.line.servos]
    with pytest.raises(PortError, match='in use'):
        rig.bus()
    controller.close()
    rig.bus().close()
    rig.fault('dead 10')
    with pytest.raises(ServoSetupError, match='neck_yaw'):
        controller.open()
    rig.bus().close()  # not kept by the one that failed


def test_resting_lets_torque_go_but_keeps_the_port(rig):
    controller = rig.controller()
    assert rig.torques() == [True, True]
    controller.rest()
    assert rig.torques() == [False, False]
    with pytest.raises(PortError, match='in use'):
        rig.bus()
    controller.start()
    assert rig.torques() == [True, True]


def test_goals_are_rejected_with_a_reason_and_change_nothing(rig):
    controller = rig.controller(hold_s=60)
    move(rig, controller, [0.1, 0.1], 10)
    refusals = [
        controller.set_goal(np.array([np.nan, 0.0]), 11),
        controller.set_goal(np.array([np.inf, 0.0]), 11),
        controller.set_goal(np.array([3.0, 0.0]), 11),
        controller.set_goal(np.array([0.0]), 11),
        controller.set_goal(np.array([0.2, 0.0]), 10),
        controller.set_joint_goals({'nose': 0.1}, 11),
    ]
    for word, refusal in zip(
        ('finite', 'finite', 'outside', '1 position for 2 joints', 'out of order', 'nose'),
        refusals,
        strict=True,
    ):
        assert word in refusal
    seen = len(controller.cycles)
    rig.wait(lambda: len(controller.cycles) > seen + 5, 'cycle')
    assert controller.cycles[-1].goal_rad == pytest.approx([0.1, 0.1])


def test_every_start_sets_what_the_bus_needs_and_reads_it_back(rig):
    controller = rig.controller()
    for servo, joint in zip(rig.line.servos, rig.robot.joints, strict=True):
        with rig.port.lock:
            assert servo.registers.get('return_delay_time') == 0
            assert servo.registers.get('bus_watchdog') == round(rig.robot.watchdog_s / 0.02)
            assert servo.registers.get('operating_mode') == 5, joint.name
    assert len(controller.warnings) == 1  # the jaw is of the 330 size, the neck is not
    assert 'keep moving to their last goal' in controller.warnings[0]
    assert controller.warnings[0].endswith(': jaw')
    assert controller.status().values['warning 1'] == controller.warnings[0]


def test_a_servo_from_the_factory_is_listed_and_its_eeprom_is_left_alone(rig):
    with rig.port.lock:
        rig.servo('jaw').registers.reset(eeprom=True, keep=('id', 'baud_rate'))
        rig.servo('jaw').registers.set('model_information', SIMULATED)
    with pytest.raises(ServoSetupError, match=r'jaw\) is in mode 3 \(position\), must be in 5'):
        rig.controller()
    assert rig.servo('jaw').registers.get('return_delay_time') == 250
    assert rig.torques() == [False, False]


def test_a_servo_that_does_not_keep_a_setting_keeps_the_head_limp(rig, monkeypatch):
    write = ServoGroup.write_register

    def lose(self, index, register, value):
        if register != 'bus_watchdog':
            write(self, index, register, value)

    monkeypatch.setattr(ServoGroup, 'write_register', lose)
    with pytest.raises(BusError, match='jaw'):
        rig.controller()
    assert rig.torques() == [False, False]


def test_a_slow_usb_adapter_is_reported_at_the_start(rig, monkeypatch):
    monkeypatch.setattr(servo_group, 'latency_ms', lambda port: 16)
    controller = rig.controller()
    assert any('keeps replies back for 16 ms' in warning for warning in controller.warnings)


def test_commands_out_of_order_are_rejected_and_change_nothing(rig):
    controller = rig.controller(hold_s=60)
    move(rig, controller, [0.2, 0.2], 1_000_000_000)
    for late in (1_000_000_000, 400_000_000):
        assert 'out of order' in controller.set_goal(np.array([0.0, 0.0]), late)
    assert 'out of order: 0.600 s older' in controller.status().values['last rejected command']
    assert controller.statistics().rejected_commands == 2
    # What a busy machine did meanwhile is said first.
    said = lambda: 'out of order' in controller.status().sentence  # noqa: E731
    rig.wait(said, 'complaint', send=lambda: controller.set_goal(np.array([0.0, 0.0]), 1))
    seen = len(controller.cycles)
    rig.wait(lambda: len(controller.cycles) > seen + 5, 'cycle')
    assert controller.cycles[-1].goal_rad == pytest.approx([0.2, 0.2])


def test_joints_can_be_moved_by_name(rig):
    controller = rig.controller(hold_s=60)
    assert controller.set_joint_goals({'neck_yaw': 0.2}, 1) == ''
    rig.wait(lambda: abs(controller.cycles[-1].present_rad[1] - 0.2) < 0.01, 'arrival')


def test_without_news_the_head_relaxes_to_neutral(rig):
    controller = rig.controller(hold_s=0.5)
    move(rig, controller, [0.3, 0.3], 1)
    rig.wait(lambda: np.abs(controller.cycles[-1].present_rad).max() < 0.02, 'neutral pose')


def test_a_sign_of_life_keeps_the_pose():
    head = VirtualHead(hold_s=0.4)
    assert head.go(jaw=0.3) == ''
    for _ in range(9):
        head.run(0.1)
        head.controller.keep_alive()
    assert head.cycle.goal_rad[JAW] == pytest.approx(0.3)
    head.run(0.5)
    assert head.cycle.goal_rad[JAW] == pytest.approx(0.0)


@pytest.mark.parametrize('policy', ['limp', 'neutral_limp'])
def test_torque_is_off_after_close(rig, policy):
    controller = rig.controller(exit_policy=policy, hold_s=60)
    move(rig, controller, [0.3, 0.3], 1)
    controller.close()
    assert rig.torques() == [False, False]
    if policy == 'neutral_limp':
        assert np.abs(controller.cycles[-1].commanded_rad).max() < 1e-3
    assert not [t for t in threading.enumerate() if t.name == 'servo-bus']


def test_the_hold_policy_leaves_torque_on_without_a_watchdog(rig):
    rig.controller(exit_policy='hold').close()
    assert rig.torques() == [True, True]
    assert [s.registers.get('bus_watchdog') for s in rig.line.servos] == [0, 0]


def test_torque_is_off_when_who_looks_on_raises_and_the_loop_goes_on(rig):
    controller = rig.controller()
    note = controller.on_cycle

    def fail(cycle):
        note(cycle)
        raise RuntimeError('a bug')

    controller.on_cycle = fail
    rig.wait(lambda: not any(rig.torques()), 'torque off')
    assert 'RuntimeError: a bug at test_controller.py' in controller.status().sentence
    controller.on_cycle = note
    assert controller.reset().result(10.0).done
    assert rig.torques() == [True, True]


def test_torque_is_off_when_setup_fails_half_way(rig, monkeypatch):
    arm = 'kf_imitation.head.servo_group.ServoGroup.arm_watchdog'

    def refuse(self, indices):
        raise BusError('not today')

    monkeypatch.setattr(arm, refuse)
    with pytest.raises(BusError, match='not today'):
        rig.controller()
    assert len(rig.writes('torque_enable')) > 1
    assert rig.torques() == [False, False]


def test_missing_servos_keep_the_controller_from_starting(rig):
    rig.fault('dead 10')
    with pytest.raises(ServoSetupError, match='neck_yaw'):
        rig.controller()
    rig.fault('unplug')
    with pytest.raises(PortError):
        rig.controller()


def test_stop_is_confirmed_and_latched_until_reset(rig):
    controller = rig.controller(hold_s=60)
    move(rig, controller, [0.3, 0.3], 1)
    controller.stop()
    rig.wait(lambda: 'waiting for reset' in controller.status().sentence, 'confirmed stop')
    assert rig.torques() == [False, False]
    assert 'reset first' in controller.set_goal(np.array([0.0, 0.0]), 2)
    seen = len(controller.cycles)
    rig.wait(lambda: len(controller.cycles) > seen + 20, 'cycles')
    assert rig.torques() == [False, False]
    controller.reset()
    rig.wait(lambda: controller.state == 'running', 'reset')
    assert rig.torques() == [True, True]
    assert 'reset first' not in controller.status().sentence  # what was so until then
    assert present_step(controller.cycles[seen:]) < 0.1


def test_a_stop_is_repeated_until_the_servos_hear_it(rig):
    controller = rig.controller()
    rig.fault('deaf')
    seen = len(controller.cycles)
    controller.stop()
    rig.wait(lambda: len(controller.cycles) > seen + 3, 'tries')  # several cycles tried in vain
    assert 'not confirmed by jaw' in controller.status().sentence
    rig.fault('normal')
    rig.wait(lambda: 'waiting for reset' in controller.status().sentence, 'confirmed stop')
    assert rig.torques() == [False, False]


def test_a_head_that_must_not_fall_freezes_instead(rig):
    controller = rig.controller(robot=replace(rig.robot, stop='hold'), hold_s=60)
    note, stopped = controller.on_cycle, []

    def stop_half_way(cycle):
        note(cycle)
        if cycle.commanded_rad[1] > 0.2 and not stopped:
            stopped.append(controller.stop())

    controller.on_cycle = stop_half_way
    rig.wait(lambda: stopped, 'motion', send=asking(controller, [0.4, 0.8]))
    rig.wait(lambda: 'waiting for reset' in controller.status().sentence, 'confirmed stop')
    assert rig.torques() == [True, True]
    assert controller.cycles[-1].commanded_rad[1] < 0.75


def test_a_pulled_cable_is_noticed_and_motion_goes_on_from_the_measured_pose(rig):
    controller = rig.controller(hold_s=60)
    move(rig, controller, [0.3, 0.3], 1)
    seen = len(controller.cycles)
    rig.fault('unplug')
    rig.wait(lambda: controller.state == 'lost', 'loss')
    assert 'bus lost' in controller.status().sentence
    lost = len(controller.cycles)
    rig.wait(lambda: len(controller.cycles) > lost + 10, 'cycles')
    assert not any(c.commanding for c in controller.cycles[lost + 1 : lost + 10])
    rig.fault('plug')
    rig.wait(lambda: controller.state == 'running', 'return')
    back = len(controller.cycles)
    rig.wait(lambda: len(controller.cycles) > back + 3, 'cycles')
    first = next(c for c in controller.cycles[lost:] if c.commanding and c.fresh)
    assert np.abs(first.commanded_rad - [0.3, 0.3]).max() < 0.02
    assert present_step(controller.cycles[seen:]) < 0.05


@pytest.mark.parametrize('fault', ['lose 0.05', 'crc 0.05'])
def test_a_poor_line_is_reported_and_motion_goes_on(rig, fault):
    controller = rig.controller(hold_s=60)
    rig.fault(fault)
    rig.wait(lambda: 'the line is poor' in controller.status().sentence, 'complaint')
    assert controller.state == 'running'
    move(rig, controller, [0.4, -0.5], 1)
    rig.fault('normal')
    rig.wait(lambda: controller.status().level == 0, 'return')


def test_one_dead_servo_does_not_stop_the_others(rig):
    controller = rig.controller(hold_s=60)
    rig.fault('dead 10')
    rig.wait(lambda: 'neck_yaw: does not reply' in controller.status().sentence, 'complaint')
    there = lambda: abs(controller.cycles[-1].present_rad[0] - 0.4) < 0.01  # noqa: E731
    rig.wait(there, 'jaw', send=asking(controller, [0.4, 0.0]))
    rig.fault('alive 10')
    rig.wait(lambda: controller.status().level == 0, 'return')


def test_a_servo_that_restarts_is_taken_in_again(rig):
    controller = rig.controller(hold_s=60)
    move(rig, controller, [0.2, 0.2], 1)
    seen = len(controller.cycles)
    rig.fault('reboot 10')
    rig.wait(lambda: any(c.errors for c in controller.cycles[seen:]), 'complaint')
    rig.wait(lambda: controller.status().level == 0, 'return')
    assert rig.torques() == [True, True]
    there = lambda: abs(controller.cycles[-1].present_rad[1] - 0.2) < 0.01  # noqa: E731
    rig.wait(there, 'the goal again', send=asking(controller, [0.2, 0.2], 1_000))


def test_an_overloaded_servo_waits_for_its_reboot(rig):
    controller = rig.controller(hold_s=60)
    rig.fault('overload 1')
    rig.wait(lambda: 'jaw: hardware error: overload' in controller.status().sentence, 'complaint')
    controller.reboot('jaw')
    rig.wait(lambda: controller.status().level == 0, 'return')
    assert rig.torques() == [True, True]


def test_a_stuck_joint_stops_pushing(rig):
    controller = rig.controller(hold_s=60)
    rig.fault('block 1')
    ask = asking(controller, [0.4, 0.0])
    rig.wait(lambda: controller.statistics().stalls > 0, 'stall', send=ask)
    rig.wait(lambda: abs(controller.cycles[-1].current_a[0]) < 0.3, 'rest', send=ask)
    stuck = lambda: 'jaw is stuck: it pushed 3 times' in controller.status().sentence  # noqa: E731
    rig.wait(stuck, 'long pause', 60.0, send=ask)
    rig.fault('free 1')
    answer = controller.recover(careful=True).result(10.0)
    assert answer.done and 'jaw may move again' in answer.sentence
    there = lambda: abs(controller.cycles[-1].present_rad[0] - 0.4) < 0.01  # noqa: E731
    rig.wait(there, 'motion', send=ask)


def test_a_warm_servo_moves_less(rig):
    rig.fault('heat 1 60')
    controller = rig.controller(hold_s=60)
    ask = asking(controller, [0.4, 0.4])
    rig.wait(lambda: abs(controller.cycles[-1].goal_rad[0] - 0.2) < 0.06, 'smaller goal', send=ask)
    rig.wait(lambda: 'jaw is warm' in controller.status().sentence, 'complaint')
    neck = lambda: controller.cycles[-1].goal_rad[1] == pytest.approx(0.4)  # noqa: E731
    rig.wait(neck, 'the whole goal of the other joint', send=ask)


def test_a_start_outside_the_limits_moves_back_slowly_at_low_current(rig):
    rig.servo('neck_yaw').physics.angle_rad += 1.2  # the limit is 0.9
    controller = rig.controller(hold_s=60)
    assert rig.servo('neck_yaw').registers.get('goal_current') < 0.4 * 1.2 / 0.00269
    assert 'moves back slowly' in controller.status().sentence
    rig.wait(lambda: controller.cycles[-1].commanded_rad[1] < 0.9, 'return into the limits')
    outside = [c.commanded_rad[1] for c in controller.cycles if c.commanded_rad[1] > 0.9]
    assert outside[0] == pytest.approx(1.2, abs=0.01)
    assert max(-np.diff(outside)) < 0.31 / 100
    rig.wait(lambda: rig.servo('neck_yaw').registers.get('goal_current') > 400, 'full current')


def test_a_servo_that_takes_no_goal_outside_its_own_limits_is_reported_with_what_to_do(
    small_robot, rig_of
):
    """An XL430 has no current-based mode, in which the limits of other servos do not count."""
    neck = replace(small_robot.joints[1], model='XL430-W250')
    rig = rig_of(replace(small_robot, joints=(small_robot.joints[0], neck)))
    registers = rig.servo('neck_yaw').registers
    registers.set('min_position_limit', 2048 - 587)
    registers.set('max_position_limit', 2048 + 587)
    rig.servo('neck_yaw').physics.angle_rad += 1.2
    with pytest.raises(BusError, match='neck_yaw') as error:
        rig.controller()
    assert rig.torques() == [False, False]
    for words in ('is at 1.20 rad', '[-0.90, 0.90]', 'by hand'):
        assert words in str(error.value)


HOST = """
import sys, numpy as np
from dataclasses import replace
from kf_imitation.robot import load_robot
from kf_imitation.head.controller import ServoController
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
robot = load_robot('sim_face')
robot = replace(robot, joints=(robot.joints[0], robot.joints[9]), coupled_limits=())
controller = ServoController(robot, DynamixelBus(sys.argv[1], robot.baud), hold_s=60)
controller.start()
controller.set_goal(np.array([0.4, 0.8]), 1)
print('running', flush=True)
sys.stdin.read()
"""


def test_the_watchdog_stops_the_servos_when_the_host_is_killed(rig):
    host = subprocess.Popen(
        [sys.executable, '-c', HOST, rig.port.device],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=os.getcwd(),
        env={**os.environ, 'PYTHONPATH': os.getcwd()},
    )
    try:
        assert host.stdout.readline() == 'running\n'
    finally:
        host.send_signal(signal.SIGKILL)
        host.wait()
        host.stdin.close()
        host.stdout.close()

    def tripped():
        with rig.port.lock:
            return all(s.registers.get('bus_watchdog') == 255 for s in rig.line.servos)

    rig.wait(tripped, 'watchdog', 3.0)
    controller = rig.controller()
    assert controller.status().level == 0
