"""Registers that another program left behind keep torque off, each named with what to do."""

from dataclasses import replace

import numpy as np
import pytest
from head_in_process import HeadInProcess

from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.errors import BusError, ConfigError, ServoSetupError
from kf_imitation.head.commissioning import ServoEntry, record_path, write_record
from kf_imitation.head.servo_inspection import read_registers

TURN = 2 * np.pi


def registers(**values):
    def act(servo):
        for name, value in values.items():
            servo.registers.set(name, value)
        servo._settle()

    return act


def turned(turns, mode, torque=0):
    def act(servo):
        servo.registers.set('operating_mode', mode)
        servo._change_mode()
        servo.physics.angle_rad += turns * TURN
        servo.physics.horn_rad = servo.physics.angle_rad
        servo._settle()
        servo.registers.set('goal_position', servo._present_tick())
        servo.registers.set('torque_enable', torque)

    return act


def supply(volts):
    return lambda servo: setattr(servo.physics.surroundings, 'supply_v', volts)


EXTENDED, OURS = ct.MODE_EXTENDED_POSITION, ct.MODE_CURRENT_BASED_POSITION
LEFT_BEHIND = [
    (turned(3, EXTENDED), 'is in mode 4 (extended position), must be in 5'),
    (turned(3, EXTENDED), '3 turns away from its own [0, 4095]'),
    (turned(-2, EXTENDED, torque=1), '2 turns away'),
    (turned(2, OURS), '2 turns away from its own [0, 4095] (extended position mode, or turned'),
    (registers(drive_mode=1), 'has drive_mode 1 (turns in reverse), must be 0'),
    (registers(drive_mode=4), 'drive_mode 4 (takes profiles as times)'),
    (registers(drive_mode=8), 'drive_mode 8 (switches torque on with every goal)'),
    (registers(homing_offset=1000), 'a homing_offset of 1000 (88 degrees), must be 0'),
    (registers(homing_offset=-1024), 'a homing_offset of -1024 (-90 degrees), must be 0'),
    (registers(min_position_limit=1900, max_position_limit=2200), '[-0.23, 0.23] rad, narrower'),
    (registers(current_limit=200), 'has a current_limit of 200 (0.54 A), below max_current_a 1'),
    (registers(velocity_limit=20), 'a velocity_limit of 0.48 rad/s, below max_velocity_rad_s'),
    (registers(pwm_limit=100), 'a pwm_limit of 100 (11 %), too little for max_velocity_rad_s'),
    (supply(16.0), 'gets 16.0 V, needs 10 to 14.8 V (XM430-W350): check the power supply'),
    (registers(shutdown=0), 'does not shut itself off on overheating'),
    (registers(secondary_id=2), 'does what servo 2 is told, too (secondary_id 2)'),
    (registers(startup_configuration=1), 'switches torque on by itself at power-up'),
]


@pytest.mark.parametrize(('leave', 'words'), LEFT_BEHIND)
def test_what_another_program_left_behind_keeps_torque_off_and_is_named(leave, words):
    head = HeadInProcess(joints=('jaw', 'neck_yaw'))
    servo = head.servo('neck_yaw')
    leave(servo)
    head.settle()
    angle = servo.physics.angle_rad
    with pytest.raises(ServoSetupError) as error:
        head.start()
    assert any(words in fault for fault in error.value.faults), error.value.faults
    assert all('servo 10 (neck_yaw)' in fault for fault in error.value.faults)
    head._pause(1.0)
    assert not any(one.torque for one in head.servos)
    assert servo.physics.angle_rad == pytest.approx(angle, abs=1e-3)


def test_everything_that_differs_in_all_servos_is_listed_at_once():
    head = HeadInProcess()
    head.servo('jaw').registers.set('current_limit', 200)
    head.servo('neck_yaw').registers.set('drive_mode', 1)
    head.servo('neck_yaw').registers.set('shutdown', 4)
    with pytest.raises(ServoSetupError) as error:
        head.start()
    assert len(error.value.faults) == 3


def test_the_inspection_writes_nothing():
    head = HeadInProcess()
    head.servo('jaw').registers.set('drive_mode', 1)
    before = [bytes(servo.registers._bytes[:64]) for servo in head.servos]
    with pytest.raises(ServoSetupError):
        head.start()
    assert [bytes(servo.registers._bytes[:64]) for servo in head.servos] == before


def test_gains_and_profile_are_ram_and_put_right_with_a_word():
    head = HeadInProcess(joints=('neck_yaw',))
    head.servo('neck_yaw').registers.set('position_p_gain', 20)
    head.servo('neck_yaw').registers.set('profile_velocity', 3)
    head.start()
    assert head.servo('neck_yaw').registers.get('position_p_gain') == 800
    assert head.servo('neck_yaw').registers.get('profile_velocity') == 0
    assert any('position_p_gain was 20 and is 800' in text for text in head.controller.warnings)


def test_a_late_reply_is_worth_a_word_only():
    head = HeadInProcess(joints=('neck_yaw',))
    head.servo('neck_yaw').registers.set('return_delay_time', 250)
    head.start()
    assert any('waits 500 µs before each reply' in text for text in head.controller.warnings)


def test_a_servo_that_does_not_take_a_value_is_reported_in_words():
    head = HeadInProcess(joints=('jaw',)).start()
    head.servo('jaw').registers.set('current_limit', 100)
    with pytest.raises(BusError, match=r'jaw.* goal_current = 600: .* limit of the servo'):
        head.controller.cycle.servos.limit_current(0, 1.0)


def test_a_servo_whose_registers_changed_while_it_was_away_is_not_taken_in_again():
    head = HeadInProcess(joints=('jaw', 'neck_yaw')).start()
    head.run(0.1)
    servo = head.servo('neck_yaw')
    servo.dead = True
    head.run(0.5)
    servo.registers.set('torque_enable', 0)
    servo.registers.set('homing_offset', 500)
    servo.dead = False
    head.run(2.0)
    assert not servo.torque
    assert 'homing_offset of 500' in head.sentence
    servo.registers.set('homing_offset', 0)
    head.run(2.0)
    assert servo.torque and 'is taken in again' in head.sentence


# --- the record ----------------------------------------------------------------------------------


def real(head):
    """Let the servos pass as real ones."""
    for servo in head.servos:
        servo.registers.set('model_information', 0)


def test_a_real_servo_without_a_record_gets_no_torque(tmp_path):
    head = HeadInProcess(joints=('jaw', 'neck_yaw'), source=str(tmp_path / 'my_head.yaml'))
    real(head)
    with pytest.raises(ServoSetupError) as error:
        head.start()
    assert len(error.value.faults) == 2
    assert 'is not commissioned: no entry in' in error.value.faults[0]
    assert 'my_head.commissioning.yaml' in error.value.faults[0]
    assert not any(servo.torque for servo in head.servos)


def test_an_owner_who_knows_goes_without_a_record_and_every_start_warns(tmp_path):
    head = HeadInProcess(
        joints=('jaw',), source=str(tmp_path / 'my_head.yaml'), commissioned='trust'
    )
    real(head)
    head.start()
    assert any('commissioned: trust' in text for text in head.controller.warnings)
    assert head.servo('jaw').torque


def test_trust_does_not_cover_what_would_turn_a_joint_away(tmp_path):
    head = HeadInProcess(
        joints=('jaw',), source=str(tmp_path / 'my_head.yaml'), commissioned='trust'
    )
    real(head)
    head.servo('jaw').registers.set('drive_mode', 1)
    with pytest.raises(ServoSetupError, match='reverse'):
        head.start()


@pytest.fixture
def commissioned(tmp_path):
    """Make a head of servos that pass as real ones, with the record of a healthy one."""

    def make(**changes):
        head = HeadInProcess(
            joints=('mouth_corner_left', 'mouth_corner_right'),
            source=str(tmp_path / 'my_head.yaml'),
        )
        real(head)
        head.servo('mouth_corner_left').registers.set('moving_threshold', 11)
        head.servo('mouth_corner_right').registers.set('moving_threshold', 12)
        if changes:
            head.servo('mouth_corner_left').registers.set(*changes.popitem())
        entries = {
            joint.name: ServoEntry.of(joint, read_registers(head.bus, joint))
            for joint in head.robot.joints
        }
        write_record(record_path(head.robot), head.robot, entries)
        return head

    return make


def test_a_head_as_it_was_commissioned_starts(commissioned):
    head = commissioned().start()
    assert all(servo.torque for servo in head.servos)


@pytest.mark.parametrize(
    ('name', 'value'), [('firmware_version', 52), ('temperature_limit', 60), ('pwm_limit', 880)]
)
def test_a_register_that_differs_from_the_record_keeps_torque_off(commissioned, name, value):
    head = commissioned()
    was = head.servos[0].registers.get(name)
    head.servos[0].registers.set(name, value)
    with pytest.raises(ServoSetupError, match=f'{name} {value}, commissioned with {was}'):
        head.start()


def test_ids_swapped_between_two_servos_of_a_model_are_reported(commissioned):
    head = commissioned()
    left, right = head.servos
    left.registers.set('id', right.id)
    right.registers.set('id', 2)
    head.bus.servos = {servo.id: servo for servo in head.servos}
    with pytest.raises(ServoSetupError) as error:
        head.start()
    assert 'servo 2 (mouth_corner_left) has the registers of mouth_corner_right' in str(
        error.value
    )


def test_a_robot_file_that_changed_since_needs_a_new_record(commissioned):
    head = commissioned()
    turned_round = replace(head.robot.joints[0], direction=-1)
    other = HeadInProcess(
        robot=replace(head.robot, joints=(turned_round, head.robot.joints[1])),
    )
    real(other)
    with pytest.raises(ServoSetupError, match='direction -1 in the robot file'):
        other.start()


def test_gains_that_the_owner_settled_are_kept(commissioned):
    head = commissioned(position_p_gain=600)
    head.servos[0].registers.set('position_p_gain', 20)
    head.start()
    assert head.servos[0].registers.get('position_p_gain') == 600


def test_a_damaged_record_is_reported(commissioned):
    head = commissioned()
    record_path(head.robot).write_text('joints: {jaw: 3}\n', encoding='utf-8')
    with pytest.raises(ConfigError, match='is no commissioning record'):
        head.start()
