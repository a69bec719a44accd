"""What goes wrong behind the servos' backs: each found, named, and stopped where it moves a joint.

On virtual time; the names d1 to d9 and k01 to k21 are those of the list of attacks.
"""

import numpy as np
import pytest
from head_in_process import HeadInProcess

from benchmark.virtual_head import VirtualHead as JudgedHead
from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.head.register_patrol import EEPROM_BLOCK, RAM_BLOCK, SAFE
from kf_imitation.head.servo_inspection import WATCHED_EEPROM

JOINT = 'neck_yaw'
WITHIN_S = 0.3


def moving(goal=0.8, after_s=0.05, **options):
    """A head whose neck is on its way to a goal."""
    head = HeadInProcess(joints=('jaw', JOINT), **options).start()
    head.run(0.3)
    head.go(**{JOINT: goal})
    head.run(after_s)
    return head


def said(head, *words):
    return lambda: all(word in head.sentence for word in words)


def change(head, joint=JOINT, torque_cycle=False, **values):
    """Write registers as another program does."""
    servo = head.servo(joint)
    if torque_cycle:
        servo.registers.set('torque_enable', 0)
    for name, value in values.items():
        servo.registers.set(name, value)
        if name == 'operating_mode':
            servo._change_mode()
    if torque_cycle:
        servo.registers.set('torque_enable', 1)
        servo._settle()


def strip(head):
    """The gear slips: the encoder stays, the motor turns with little current."""
    physics = head.servo(JOINT).physics
    physics._move = lambda *_: None
    physics._torque = lambda *_: 0.05


def travel(head, since):
    path = head.present[since:, head.index(JOINT)]
    return np.ptp(path) if len(path) else 0.0


def test_d1_torque_that_went_off_by_itself_is_reported_and_taken_back():
    head = moving()
    change(head, torque_enable=0)
    assert head.run(1.0, said(head, JOINT, 'lost its torque')) <= WITHIN_S
    head.run(1.0)
    assert head.servo(JOINT).torque
    assert 'lost its torque; is taken in again' in head.sentence


def test_d2_a_servo_that_restarted_is_reported_and_taken_back():
    head = moving()
    head.servo(JOINT).reboot()
    head.run(1.0, said(head, JOINT))
    head.run(1.5)
    assert head.servo(JOINT).torque and 'is taken in again' in head.sentence


def test_d3_a_stripped_gear_is_found():
    head = moving()
    strip(head)
    assert head.run(1.0, said(head, JOINT, 'does not follow', 'stripped gear')) <= WITHIN_S
    head.run(5.0)
    assert not head.servo(JOINT).torque and head.servo('jaw').torque
    assert 'rests until servo/clear_error' in head.sentence


def test_d4_a_servo_at_a_fifth_of_its_speed_is_found_and_holds():
    head = moving(after_s=0.0)
    head.servo(JOINT).physics.no_load_speed_rad_s *= 0.2
    assert head.run(1.0, said(head, JOINT, 'slower than this servo is')) <= WITHIN_S
    head.run(0.3)
    since = len(head.cycles)
    head.run(1.0)
    assert head.servo(JOINT).torque and travel(head, since) < 0.01


def test_d5_goals_of_another_program_stop_the_head():
    head = moving(goal=0.3)
    send, servo = head.bus.group_write, head.servo(JOINT)

    def two(address, data):
        send(address, data)
        servo.write(116, (2048 + 1000).to_bytes(4, 'little'))

    head.bus.group_write = two
    assert head.run(1.0, said(head, 'another program sends it goals')) <= 0.1
    head.run(0.5)
    assert not any(one.torque for one in head.servos)
    assert head.present[:, head.index(JOINT)].max() < 0.9


def test_goals_of_another_program_between_two_cycles_stop_the_head():
    # Ours hid them before anybody looked: they were a joint that moves away.
    head = moving(goal=0.3)
    tick, servo = head.bus.tick, head.servo(JOINT)

    def between(now_s):
        servo.write(116, (2048 + 900).to_bytes(4, 'little'))
        tick(now_s)

    head.bus.tick = between
    assert head.run(1.0, said(head, f'{JOINT}: another program sends it goals')) <= WITHIN_S
    head.run(0.5)
    assert not any(one.torque for one in head.servos)


RAM_READ = {'torque_enable', 'goal_position'}  # what the head itself writes, read back as well
NOT_WATCHED = {  # why it does not matter in motion
    'id': 'its servo does not reply any more, which is told',
    'baud_rate': 'the same',
    'protocol_type': 'the same',
    'moving_threshold': 'what commissioning marks servos with; checked at the start',
    'led': 'light',
    'goal_velocity': 'of other modes, which are watched',
    'external_port_mode_1': 'wires beside the motor',
    'external_port_mode_2': 'the same',
    'external_port_mode_3': 'the same',
}


@pytest.mark.parametrize('model', ct.MODELS.values(), ids=list(ct.MODELS))
def test_every_register_that_can_be_written_is_watched_or_named_as_harmless(model):
    blocks = [range(first, first + length) for first, length in (EEPROM_BLOCK, RAM_BLOCK)]
    watched = RAM_READ | set(SAFE) | set(WATCHED_EEPROM)
    for name, register in model.registers.items():
        if register.writable and register.address < RAM_BLOCK[0] + RAM_BLOCK[1]:
            assert (name in watched) != (name in NOT_WATCHED), name
            if name in watched:
                assert any(register.address in block for block in blocks), name


RAM_VALUES = {
    'velocity_i_gain': 7,
    'velocity_p_gain': 7,
    'position_d_gain': 7,
    'position_i_gain': 7,
    'feedforward_1st_gain': 900,
    'feedforward_2nd_gain': 900,
    'profile_acceleration': 3,
    'status_return_level': 1,
}


@pytest.mark.parametrize(('name', 'value'), RAM_VALUES.items())
def test_what_softens_or_silences_a_servo_is_put_right_with_a_word(name, value):
    head = moving(goal=0.3)
    right = head.servo(JOINT).registers.get(name)
    change(head, **{name: value})
    assert head.run(1.0, said(head, JOINT, f'{name} was changed to {value}')) <= WITHIN_S
    assert head.servo(JOINT).registers.get(name) == right


@pytest.mark.parametrize('when', ['before the start', 'in motion'])
def test_a_servo_that_another_program_made_silent_answers_again(when):
    head = JudgedHead(joints=('jaw', JOINT), seed=1)
    registers = head.servo(JOINT).registers
    if when == 'before the start':
        registers.set('status_return_level', 0)
    head.start()
    head.run(0.3, goal_cycles=10)
    registers.set('status_return_level', 0)
    cycle = head.controller.cycle
    assert head.run(2.0, until=lambda: bool(cycle.monitor.reasons))
    assert head.run(2.0, until=lambda: cycle.all_running)
    assert registers.get('status_return_level') == 2
    head.run(0.3)
    head.close()
    assert head.judge.end(head.now_s) == []


EEPROM_VALUES = {
    'drive_mode': 1,
    'secondary_id': 1,
    'velocity_limit': 20,
    'pwm_limit': 100,
    'current_limit': 900,
    'shutdown': 0,
}


@pytest.mark.parametrize(('name', 'value'), EEPROM_VALUES.items())
def test_what_changes_where_goals_lead_stops_the_head(name, value):
    head = moving(goal=0.3)
    change(head, **{name: value})
    assert head.run(1.0, said(head, JOINT, f'{name} was changed')) <= WITHIN_S
    head.run(0.3)
    assert not head.servo(JOINT).torque


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('return_delay_time', 250),
        ('max_voltage_limit', 150),
        ('min_voltage_limit', 100),
        ('startup_configuration', 1),
        ('min_position_limit', 100),
    ],
)
def test_what_does_not_matter_in_motion_is_told(name, value):
    head = moving(goal=0.3)
    change(head, **{name: value})
    assert head.run(1.0, said(head, JOINT, f'{name} was changed')) <= WITHIN_S
    head.run(0.3)
    assert head.servo(JOINT).torque


@pytest.mark.parametrize(
    ('name', 'value', 'right'),
    [('position_p_gain', 20, 800), ('profile_velocity', 3, 0), ('goal_pwm', 50, 885)],
)
def test_d6_d7_gains_and_profile_are_put_right_with_a_word(name, value, right):
    head = moving(goal=0.3)
    change(head, **{name: value})
    assert head.run(1.0, said(head, JOINT, f'{name} was changed to {value}')) <= WITHIN_S
    assert head.servo(JOINT).registers.get(name) == right
    head.run(1.0)
    assert head.present[-1, head.index(JOINT)] == pytest.approx(0.3, abs=0.01)


def test_d8_a_mode_changed_live_stops_the_head():
    head = moving(goal=0.3)
    since = len(head.cycles)
    change(head, torque_cycle=True, operating_mode=ct.MODE_VELOCITY)
    change(head, goal_velocity=50)
    assert head.run(1.0, said(head, 'operating_mode was changed from 5 to 1')) <= WITHIN_S
    head.run(1.0)
    assert not any(servo.torque for servo in head.servos)
    assert travel(head, since) < 0.5


def test_d8_a_mode_changed_live_ends_the_motion_of_a_head_that_holds_when_stopped():
    head = moving(goal=0.3, stop='hold')
    since = len(head.cycles)
    change(head, torque_cycle=True, operating_mode=ct.MODE_VELOCITY)
    change(head, goal_velocity=50)
    head.run(2.0)
    assert not head.servo(JOINT).torque and head.servo('jaw').torque
    assert travel(head, since) < 0.5


def test_d9_a_force_limit_raised_live_is_set_back():
    head = moving()
    change(head, goal_current=1193)
    head.servo(JOINT).physics.surroundings.blocked = True
    assert head.run(1.0, said(head, 'goal_current was changed to 1193')) <= WITHIN_S
    head.run(1.0)
    limit = next(j for j in head.robot.joints if j.name == JOINT).max_current_a
    assert abs(head.cycles[-1].current_a[head.index(JOINT)]) <= limit + 0.01


@pytest.mark.parametrize(
    ('volts', 'words'),
    [(9.5, 'input voltage out of range'), (9.8, 'gets 9.8 V, must be from 10 to 14.8 V')],
)
def test_k10_a_supply_that_is_too_low_is_reported_and_the_joint_gets_there(volts, words):
    head = moving()
    head.servo(JOINT).physics.surroundings.supply_v = volts
    head.run(3.0)
    assert head.present[-1, head.index(JOINT)] == pytest.approx(0.8, abs=0.01)
    assert words in head.sentence
    head.servo(JOINT).physics.surroundings.supply_v = 12.0
    head.run(2.0)
    assert ' gets ' not in head.sentence


def test_k11_a_supply_that_is_too_high_is_reported():
    head = moving(goal=0.3)
    head.servo(JOINT).physics.surroundings.supply_v = 16.0
    head.run(1.0)
    assert 'gets 16.0 V, must be from 10 to 14.8 V' in head.sentence


def test_k12_a_temperature_limit_set_by_another_tool_is_reported():
    head = moving(goal=0.3)
    change(head, temperature_limit=100)
    head.run(0.5)
    assert 'temperature_limit was changed from 80 to 100' in head.sentence
    assert head.servo(JOINT).torque


def test_k12_a_joint_at_79_degrees_does_not_move_whatever_limit_the_servo_has():
    head = HeadInProcess(joints=(JOINT,)).start()
    change(head, temperature_limit=100)
    physics = head.servo(JOINT).physics
    physics.cooling_s, physics.temperature_c = 1e9, 79.0
    head.run(0.3)
    head.go(**{JOINT: 0.8})
    head.run(2.0)
    assert abs(head.commanded[-1, 0]) < 1e-6
    assert head.servo(JOINT).torque


def test_k16_a_mode_without_current_limit_stops_the_head():
    head = HeadInProcess(joints=('jaw', JOINT)).start()
    head.run(0.3)
    change(head, 'jaw', torque_cycle=True, operating_mode=ct.MODE_POSITION)
    assert head.run(1.0, said(head, 'jaw: operating_mode was changed from 5 to 3')) <= WITHIN_S


def test_k17_a_watchdog_that_another_program_cleared_is_armed_again():
    head = moving(goal=0.3)
    change(head, bus_watchdog=0)
    assert head.run(1.0, said(head, 'bus_watchdog was changed to 0')) <= WITHIN_S
    assert head.servo(JOINT).registers.get('bus_watchdog') == 15


@pytest.mark.parametrize('offset', [300, 10])
def test_k18_a_homing_offset_written_live_stops_the_head(offset):
    head = HeadInProcess(joints=('jaw', JOINT)).start()
    head.run(0.3)
    change(head, homing_offset=offset)
    assert head.run(1.0, said(head, f'homing_offset was changed from 0 to {offset}')) <= WITHIN_S
    angle = head.servo(JOINT).physics.angle_rad
    head.run(0.5)
    assert not any(servo.torque for servo in head.servos)
    assert abs(head.servo(JOINT).physics.angle_rad - angle) < 0.3


def test_k20_a_soft_loop_is_found():
    head = HeadInProcess(joints=('jaw', JOINT)).start()
    head.run(0.3)
    head.servo(JOINT).physics.stiffness_hz = 3.0
    head.go(**{JOINT: 0.8})
    assert head.run(1.0, said(head, JOINT, 'slower than this servo is')) <= WITHIN_S


def test_k21_an_encoder_that_jumps_is_found():
    head = HeadInProcess(joints=('jaw', JOINT)).start()
    head.run(0.3)
    measure = head.servo(JOINT).registers.measure
    head.servo(JOINT).registers.measure = lambda name, value: measure(
        name, value + 300 if name == 'present_position' else value
    )
    change(head, led=1)  # a servo at rest is not measured anew for nothing
    assert head.run(1.0, said(head, JOINT, 'the encoder jumped')) <= 0.05
    assert not head.servo(JOINT).torque


def test_what_stopped_the_head_is_reported_until_the_reset_which_looks_again():
    head = moving(goal=0.3)
    change(head, torque_cycle=True, operating_mode=ct.MODE_VELOCITY)
    head.run(1.0)
    assert 'stopped: neck_yaw: operating_mode was changed' in head.sentence
    head.controller.reset()
    head.run(2.0)
    assert 'is in mode 1 (velocity), must be in 5' in head.sentence
    assert not head.servo(JOINT).torque and head.servo('jaw').torque
    change(head, operating_mode=ct.MODE_CURRENT_BASED_POSITION)
    head.run(2.0)
    assert head.servo(JOINT).torque


def test_a_joint_that_did_not_follow_comes_back_when_it_is_cleared():
    head = moving()
    move, torque = head.servo(JOINT).physics._move, head.servo(JOINT).physics._torque
    strip(head)
    head.run(5.0)
    head.servo(JOINT).physics._move, head.servo(JOINT).physics._torque = move, torque
    head.run(5.0)
    assert 'does not follow' in head.sentence
    answer = head.controller.recover(careful=True)
    head.run(1.0)
    assert 'neck_yaw may move again' in answer.result(0).sentence
    assert head.servo(JOINT).torque
    head.run(3.0)
    assert head.present[-1, head.index(JOINT)] == pytest.approx(
        head.cycles[-1].goal_rad[head.index(JOINT)], abs=0.01
    )


def test_a_head_that_must_not_fall_holds_a_joint_that_does_not_follow():
    head = moving(stop='hold')
    strip(head)
    head.run(1.0)
    assert 'does not follow' in head.sentence and head.servo(JOINT).torque
    servo = head.servo(JOINT)
    assert abs(servo.registers.get('goal_position') - servo._present_tick()) <= 1


@pytest.mark.parametrize(
    ('load', 'supply', 'heat_c'), [(0.0, 1.0, 25.0), (0.1, 0.85, 25.0), (0.0, 1.0, 60.0)]
)
def test_a_healthy_head_gives_no_alarm(load, supply, heat_c):
    """Backlash and noise of the encoder, sag, load and heat on; goals without end."""
    head = HeadInProcess()
    rng = np.random.default_rng(5)
    for servo in head.servos:
        servo.physics.surroundings.load = load * rng.uniform(-1.0, 1.0)
        servo.physics.surroundings.supply_v *= supply
        servo.physics.temperature_c = heat_c
        measure = servo.registers.measure
        servo.registers.measure = lambda name, value, measure=measure: measure(
            name, value + int(rng.integers(-1, 2)) if name == 'present_position' else value
        )
    head.start()
    low, high = np.array([joint.limits_rad for joint in head.robot.joints]).T
    for _ in range(20):
        head.go(**dict(zip(head.robot.names, rng.uniform(low, high), strict=True)))
        head.run(float(rng.uniform(0.02, 0.6)))
        assert not any(cycle.errors for cycle in head.cycles)
        assert 'follow' in head.sentence or 'warm' in head.sentence, head.sentence
