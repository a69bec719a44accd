import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.actuators.dynamixel.control_tables import MODELS
from kf_imitation.actuators.dynamixel.simulator import packet as p
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.packet import Parser, encode
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo
from kf_imitation.actuators.dynamixel.units import pack

BAUD = 1_000_000


def servo(model='XM430-W350', id_=1, **values):
    made = SimulatedServo(MODELS[model], id_)
    for name, value in values.items():
        assert put(made, name, value) == 0, name
    return made


def put(one, name, value):
    register = one.model.registers[name]
    return one.write(register.address, pack(value, register.size))


def get(one, name):
    register = one.model.registers[name]
    return int.from_bytes(one.read(register.address, register.size), 'little', signed=True)


def run(one, seconds):
    """Return present positions, one per 10 ms."""
    path = []
    for _ in range(round(seconds * 100)):
        one.step(0.01)
        path.append(get(one, 'present_position'))
    return path


def ask(line, id_, instruction, parameters=b''):
    """Return the status packets of one instruction."""
    replies = line.receive(encode(id_, instruction, parameters), BAUD)
    return Parser().feed(b''.join(reply.data for reply in replies))


def test_a_goal_is_reached():
    one = servo(torque_enable=1, goal_position=2500)
    assert abs(run(one, 1.0)[-1] - 2500) <= 2


def test_without_torque_nothing_moves():
    one = servo(goal_position=2500)
    assert set(run(one, 0.5)) == {2048}


def test_a_profile_limits_speed():
    one = servo(torque_enable=1, profile_velocity=20, goal_position=3000)  # 20: 4.6 rev/min
    path = run(one, 1.0)
    assert np.diff(path).max() <= 20 * 0.229 / 60 * 4096 * 0.01 + 1.5
    assert path[-1] < 2048 + 320


def test_a_profile_with_acceleration_starts_gently():
    gentle = servo(
        torque_enable=1, profile_velocity=100, profile_acceleration=5, goal_position=2600
    )
    abrupt = servo(torque_enable=1, profile_velocity=100, goal_position=2600)
    assert run(gentle, 0.1)[-1] < run(abrupt, 0.1)[-1] - 5
    assert abs(run(gentle, 3.0)[-1] - 2600) <= 2


def test_velocity_mode_turns_on_and_on():
    one = servo(operating_mode=ct.MODE_VELOCITY, torque_enable=1, goal_velocity=50)
    path = run(one, 2.0)
    speed = (path[-1] - path[-101]) / 4096 * 60 / 0.229
    assert speed == pytest.approx(50, rel=0.05)


def test_current_based_position_pushes_no_harder_than_its_goal_current():
    one = servo(
        operating_mode=ct.MODE_CURRENT_BASED_POSITION,
        torque_enable=1,
        goal_current=100,
        goal_position=2600,
    )
    one.physics.surroundings.blocked = True
    run(one, 0.2)
    assert get(one, 'present_current') == pytest.approx(100, abs=1)


def test_voltage_drops_under_load_and_the_case_warms_up():
    one = servo(torque_enable=1, goal_position=2600)
    one.physics.surroundings.blocked = True
    before = get(one, 'present_input_voltage')
    run(one, 1.4)
    assert get(one, 'present_input_voltage') < before
    assert get(one, 'present_temperature') > 26


def test_a_blocked_servo_shuts_down_with_overload_and_needs_a_reboot():
    one = servo(torque_enable=1, goal_position=2600)
    one.physics.surroundings.blocked = True
    run(one, 2.0)
    assert get(one, 'hardware_error_status') == 1 << 5
    assert not one.torque
    assert put(one, 'torque_enable', 1) == p.RESULT_FAIL
    one.reboot()
    run(one, 0.5)
    assert put(one, 'torque_enable', 1) == 0


def test_heat_shuts_down():
    one = servo(torque_enable=1)
    one.physics.temperature_c = 90.0
    run(one, 0.02)
    assert get(one, 'hardware_error_status') == 1 << 2
    assert not one.torque


def test_a_brown_out_restarts_the_servo():
    one = servo(torque_enable=1, led=1)
    one.physics.surroundings.supply_v = 3.0
    run(one, 0.5)
    assert not one.listening
    one.physics.surroundings.supply_v = 12.0
    run(one, 0.5)
    assert one.listening
    assert (get(one, 'led'), one.torque) == (0, False)


def test_the_watchdog_stops_motion_and_locks_goals_until_cleared():
    one = servo(torque_enable=1, profile_velocity=20, goal_position=3500, bus_watchdog=5)
    one.hear()
    run(one, 0.3)
    assert get(one, 'bus_watchdog') == -1
    stopped = run(one, 0.3)
    assert np.ptp(stopped) <= 3
    assert put(one, 'goal_position', 2100) == p.RANGE_ERROR
    assert put(one, 'bus_watchdog', 5) == p.RANGE_ERROR
    assert put(one, 'bus_watchdog', 0) == 0
    assert put(one, 'goal_position', 2100) == 0


def test_330_size_firmware_trips_its_watchdog_but_moves_on():
    one = servo('XL330-M288', torque_enable=1, profile_velocity=20, goal_position=3000)
    assert put(one, 'bus_watchdog', 5) == 0
    run(one, 0.3)
    before = get(one, 'present_position')
    assert get(one, 'bus_watchdog') == -1
    assert run(one, 0.3)[-1] > before + 50


@pytest.mark.parametrize(
    ('name', 'value', 'code'),
    [
        ('model_number', 5, p.ACCESS_ERROR),
        ('torque_enable', 2, p.RANGE_ERROR),
        ('id', 253, p.RANGE_ERROR),
        ('goal_position', 4096, p.LIMIT_ERROR),
        ('goal_velocity', 500, p.LIMIT_ERROR),
        ('goal_current', 1194, p.RANGE_ERROR),
    ],
)
def test_wrong_values_are_rejected_as_the_manual_says(name, value, code):
    assert put(servo(), name, value) == code


def test_a_position_limit_bounds_the_goal():
    one = servo(max_position_limit=3000)
    assert put(one, 'goal_position', 3001) == p.LIMIT_ERROR
    assert put(one, 'goal_position', 3000) == 0


def test_half_a_register_is_rejected():
    assert servo().write(116, b'\x00\x00') == p.LENGTH_ERROR
    assert servo().write(117, b'\x00') == p.ACCESS_ERROR


def test_eeprom_is_locked_while_torque_is_on():
    one = servo(torque_enable=1)
    assert put(one, 'return_delay_time', 0) == p.ACCESS_ERROR


def test_reverse_mode_and_homing_offset_change_what_is_reported():
    one = servo(drive_mode=1)
    assert get(one, 'present_position') == -2048
    one = servo(homing_offset=100)
    assert get(one, 'present_position') == 2148


def test_indirect_data_reads_and_writes_the_real_register():
    one = servo(indirect_address_1=65, indirect_address_2=146)
    data = one.model.registers['indirect_data_1'].address
    assert one.write(data, b'\x01') == 0
    assert get(one, 'led') == 1
    assert one.read(data, 2) == b'\x01\x19'


def test_indirect_data_that_points_nowhere_keeps_what_is_written():
    """Its factory address is its own; writing it recursed without end."""
    one = servo()
    data = one.model.registers['indirect_data_1'].address
    assert one.write(data, b'\x05\x06') == 0
    assert one.read(data, 2) == b'\x05\x06'
    assert put(one, 'indirect_address_2', 65) == 0
    assert one.write(data, b'\x07\x01') == 0
    assert (one.read(data, 2), get(one, 'led')) == (b'\x07\x01', 1)


def test_ping_read_and_write_over_packets():
    line = SimulatedBus([servo(id_=3)])
    assert ask(line, 3, p.PING)[0].parameters == b'\x00\xfc\x03\x33'
    assert ask(line, 3, p.WRITE, b'\x41\x00\x01')[0].parameters == b'\x00'
    assert ask(line, 3, p.READ, b'\x41\x00\x01\x00')[0].parameters == b'\x00\x01'


def test_everybody_answers_a_broadcast_ping_in_turn():
    line = SimulatedBus([servo(id_=i) for i in (9, 2, 5)])
    assert [packet.id for packet in ask(line, p.BROADCAST_ID, p.PING)] == [2, 5, 9]


def test_a_registered_write_waits_for_action():
    one = servo()
    line = SimulatedBus([one])
    ask(line, 1, p.REG_WRITE, b'\x41\x00\x01')
    assert (get(one, 'led'), get(one, 'registered_instruction')) == (0, 1)
    ask(line, p.BROADCAST_ID, p.ACTION)
    assert (get(one, 'led'), get(one, 'registered_instruction')) == (1, 0)


def test_bulk_read_and_write_address_different_registers():
    one, two = servo(id_=1), servo(id_=2)
    line = SimulatedBus([one, two])
    ask(
        line,
        p.BROADCAST_ID,
        p.BULK_WRITE,
        b'\x01\x41\x00\x01\x00\x01\x02\x6c\x00\x04\x00\x07\0\0\0',
    )
    assert (get(one, 'led'), get(two, 'profile_acceleration')) == (1, 7)
    for instruction in (p.BULK_READ, p.FAST_BULK_READ):
        replies = ask(line, p.BROADCAST_ID, instruction, b'\x01\x41\0\x01\0\x02\x6c\0\x04\0')
        if instruction == p.BULK_READ:
            assert [r.parameters for r in replies] == [b'\0\x01', b'\0\x07\0\0\0']
        else:
            assert replies[0].parameters[:3] == b'\x00\x01\x01'
            assert replies[0].parameters[5:11] == b'\x00\x02\x07\0\0\0'


def test_the_status_return_level_silences_replies():
    line = SimulatedBus([servo(status_return_level=1)])
    assert ask(line, 1, p.WRITE, b'\x41\x00\x01') == []
    assert len(ask(line, 1, p.READ, b'\x41\x00\x01\x00')) == 1
    line = SimulatedBus([servo(status_return_level=0)])
    assert ask(line, 1, p.READ, b'\x41\x00\x01\x00') == []
    assert len(ask(line, 1, p.PING)) == 1


def test_the_return_delay_comes_before_the_reply():
    slow, quick = servo(return_delay_time=250), servo(return_delay_time=0)
    times = [
        SimulatedBus([one]).receive(encode(1, p.PING), BAUD)[0].delay_s for one in (slow, quick)
    ]
    assert times[0] - times[1] == pytest.approx(500e-6)


def test_a_secondary_id_obeys_without_answering():
    one = servo(secondary_id=20)
    line = SimulatedBus([one])
    assert ask(line, 20, p.WRITE, b'\x41\x00\x01') == []
    assert get(one, 'led') == 1


def test_a_broken_checksum_is_answered_as_such():
    line = SimulatedBus([servo()])
    packet = bytearray(encode(1, p.PING))
    packet[-1] ^= 1
    reply = Parser().feed(line.receive(bytes(packet), BAUD)[0].data)[0]
    assert reply.parameters[0] == p.CRC_ERROR


def test_an_unknown_instruction_is_answered_as_such():
    assert ask(SimulatedBus([servo()]), 1, 0x77)[0].parameters[0] == p.INSTRUCTION_ERROR


def test_a_hardware_error_sets_the_alert_bit():
    one = servo()
    one.raise_error(1 << 5)
    assert ask(SimulatedBus([one]), 1, p.PING)[0].parameters[0] == p.ALERT


def test_a_reboot_forgets_ram_and_is_deaf_for_a_moment():
    one = servo(led=1, torque_enable=1)
    line = SimulatedBus([one])
    assert len(ask(line, 1, p.REBOOT)) == 1
    assert ask(line, 1, p.PING) == []
    line.step(0.5)
    assert len(ask(line, 1, p.PING)) == 1
    assert (get(one, 'led'), one.torque) == (0, False)


def test_a_factory_reset_keeps_what_it_is_reported_to():
    one = servo(id_=7, return_delay_time=9)
    line = SimulatedBus([one])
    ask(line, 7, p.FACTORY_RESET, b'\x02')
    assert (one.id, one.baud, get(one, 'return_delay_time')) == (7, BAUD, -6)  # 250 as a byte
    line.step(0.5)
    ask(line, 7, p.FACTORY_RESET, b'\xff')
    assert (one.id, one.baud) == (1, 57600)


def test_clear_brings_many_turns_back_into_one():
    one = servo(operating_mode=ct.MODE_EXTENDED_POSITION, torque_enable=1, goal_position=9000)
    run(one, 4.0)
    assert put(one, 'torque_enable', 0) == 0
    run(one, 0.2)
    line = SimulatedBus([one])
    assert ask(line, 1, p.CLEAR, b'\x01DXL"')[0].parameters == b'\x00'
    assert 0 <= get(one, 'present_position') < 4096


def test_two_servos_with_one_id_make_garbage():
    line = SimulatedBus([servo(id_=4), servo('XL330-M288', id_=4)])
    assert not [r for r in ask(line, 4, p.PING) if r.valid]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.binary(max_size=40)
        | st.builds(
            encode,
            st.sampled_from([1, 2, 254, 200]),
            st.sampled_from([1, 2, 3, 4, 5, 6, 8, 16, 32, 85, 130, 131, 138, 146, 147, 154, 99]),
            st.binary(max_size=30),
        ),
        max_size=12,
    )
)
def test_no_bytes_crash_the_servos_and_the_next_good_packet_is_answered(chunks):
    """Factory resets may change id and speed, so the last word is a fresh look at the servo."""
    one = servo(id_=1)
    line = SimulatedBus([one, servo('XL330-M288', id_=2)])
    for chunk in chunks:
        line.receive(chunk, BAUD)
        line.step(0.004)
    line.step(0.5)
    line.step(0.001)
    replies = line.receive(encode(one.id, p.PING), one.baud)
    if one.id != line.servos[1].id:
        assert any(r.id == one.id and r.valid for x in replies for r in Parser().feed(x.data)), (
            chunks
        )


def test_the_pwm_limit_bounds_the_motor_in_position_mode():
    fast, slow = (servo(torque_enable=0) for _ in range(2))
    assert put(slow, 'pwm_limit', 177) == 0  # a fifth
    for one in (fast, slow):
        assert put(one, 'torque_enable', 1) == 0
        assert put(one, 'goal_position', 3072) == 0
    quick, lame = (max(np.diff(run(one, 0.5))) for one in (fast, slow))
    assert lame < 0.3 * quick
