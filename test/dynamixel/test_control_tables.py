"""Control tables against the e-manual, address by address, read from its pages by hand."""

import pytest

from kf_imitation.actuators.dynamixel.control_tables import MODELS, MODELS_BY_NUMBER, table_name
from kf_imitation.actuators.dynamixel.simulator.register_file import SIZE, RegisterFile

# address: (size, name) as every page of the series has them.
COMMON = {
    0: (2, 'model_number'),
    2: (4, 'model_information'),
    6: (1, 'firmware_version'),
    7: (1, 'id'),
    8: (1, 'baud_rate'),
    9: (1, 'return_delay_time'),
    10: (1, 'drive_mode'),
    11: (1, 'operating_mode'),
    12: (1, 'secondary_id'),
    13: (1, 'protocol_type'),
    20: (4, 'homing_offset'),
    24: (4, 'moving_threshold'),
    31: (1, 'temperature_limit'),
    32: (2, 'max_voltage_limit'),
    34: (2, 'min_voltage_limit'),
    36: (2, 'pwm_limit'),
    44: (4, 'velocity_limit'),
    48: (4, 'max_position_limit'),
    52: (4, 'min_position_limit'),
    60: (1, 'startup_configuration'),
    63: (1, 'shutdown'),
    64: (1, 'torque_enable'),
    65: (1, 'led'),
    68: (1, 'status_return_level'),
    69: (1, 'registered_instruction'),
    70: (1, 'hardware_error_status'),
    76: (2, 'velocity_i_gain'),
    78: (2, 'velocity_p_gain'),
    80: (2, 'position_d_gain'),
    82: (2, 'position_i_gain'),
    84: (2, 'position_p_gain'),
    88: (2, 'feedforward_2nd_gain'),
    90: (2, 'feedforward_1st_gain'),
    98: (1, 'bus_watchdog'),
    100: (2, 'goal_pwm'),
    104: (4, 'goal_velocity'),
    108: (4, 'profile_acceleration'),
    112: (4, 'profile_velocity'),
    116: (4, 'goal_position'),
    120: (2, 'realtime_tick'),
    122: (1, 'moving'),
    123: (1, 'moving_status'),
    124: (2, 'present_pwm'),
    126: (2, 'present_current'),
    128: (4, 'present_velocity'),
    132: (4, 'present_position'),
    136: (4, 'velocity_trajectory'),
    140: (4, 'position_trajectory'),
    144: (2, 'present_input_voltage'),
    146: (1, 'present_temperature'),
    147: (1, 'backup_ready'),
}
WITH_CURRENT = {38: (2, 'current_limit'), 102: (2, 'goal_current')}
SIZE_330 = {62: (1, 'pwm_slope')}
SIZE_540 = {
    **{55 + n: (1, f'external_port_mode_{n}') for n in (1, 2, 3)},
    **{150 + 2 * n: (2, f'external_port_data_{n}') for n in (1, 2, 3)},
}
# number, temperature, min and max voltage, velocity, current limit, shutdown, velocity I and P,
# position D, I and P.
START_VALUES = {
    'XL330-M077': (1190, 70, 35, 70, 1620, 1750, 53, 400, 40, 0, 400, 400),
    'XL330-M288': (1200, 70, 35, 70, 445, 1750, 53, 1600, 180, 0, 0, 400),
    'XC330-T181': (1210, 70, 55, 140, 510, 910, 52, 1200, 40, 0, 0, 900),
    'XC330-T288': (1220, 70, 55, 140, 320, 910, 52, 1200, 40, 0, 0, 900),
    'XC330-M181': (1230, 70, 35, 70, 545, 2352, 52, 1400, 100, 500, 0, 1200),
    'XC330-M288': (1240, 70, 35, 70, 350, 2352, 52, 1600, 50, 500, 0, 1100),
    'XL430-W250': (1060, 72, 60, 140, 265, None, 52, 1000, 100, 4000, 0, 640),
    'XM430-W210': (1030, 80, 95, 160, 330, 1193, 52, 1920, 100, 0, 0, 800),
    'XM430-W350': (1020, 80, 95, 160, 200, 1193, 52, 1920, 100, 0, 0, 800),
    'XM540-W150': (1130, 80, 95, 160, 230, 2047, 52, 1920, 100, 0, 0, 800),
    'XM540-W270': (1120, 80, 95, 160, 128, 2047, 52, 1920, 100, 0, 0, 800),
    '2XL430-W250': (1090, 72, 60, 140, 250, None, 52, 1800, 100, 2000, 0, 640),
    '2XC430-W250': (1160, 80, 60, 160, 275, None, 52, 1920, 100, 0, 0, 700),
    'XC430-W150': (1070, 80, 60, 160, 460, None, 52, 1920, 100, 0, 0, 460),
    'XC430-W240': (1080, 80, 60, 160, 306, None, 52, 1920, 100, 0, 0, 700),
    'XH430-W210': (1010, 80, 95, 160, 210, 648, 52, 1920, 100, 0, 0, 900),
    'XH430-W350': (1000, 80, 95, 160, 130, 648, 52, 1920, 100, 0, 0, 900),
    'XH430-V210': (1050, 80, 110, 300, 230, 689, 52, 1920, 100, 0, 0, 800),
    'XH430-V350': (1040, 80, 110, 300, 135, 689, 52, 1920, 100, 0, 0, 800),
    'XH540-W150': (1110, 80, 95, 160, 300, 2047, 52, 1920, 100, 0, 0, 800),
    'XH540-W270': (1100, 80, 95, 160, 167, 2047, 52, 1920, 100, 0, 0, 800),
    'XH540-V150': (1150, 80, 110, 300, 230, 1188, 52, 1920, 100, 0, 0, 800),
    'XH540-V270': (1140, 80, 110, 300, 128, 2047, 52, 1920, 100, 0, 0, 800),
    'XD430-T210': (1011, 80, 95, 160, 210, 648, 52, 1920, 100, 0, 0, 900),
    'XD430-T350': (1001, 80, 95, 160, 130, 648, 52, 1920, 100, 0, 0, 900),
    'XD540-T150': (1111, 80, 95, 160, 300, 2047, 52, 1920, 100, 0, 0, 800),
    'XD540-T270': (1101, 80, 95, 160, 167, 2047, 52, 1920, 100, 0, 0, 800),
    'XW430-T200': (1280, 80, 95, 160, 235, 2047, 52, 1920, 100, 0, 0, 900),
    'XW430-T333': (1270, 80, 95, 160, 139, 2047, 52, 1920, 100, 0, 0, 900),
    'XW540-T140': (1180, 80, 95, 160, 304, 2047, 52, 1920, 100, 0, 0, 800),
    'XW540-T260': (1170, 80, 95, 160, 167, 2047, 52, 1920, 100, 0, 0, 800),
}
STARTS = (
    'model_number',
    'temperature_limit',
    'min_voltage_limit',
    'max_voltage_limit',
    'velocity_limit',
    'current_limit',
    'shutdown',
    'velocity_i_gain',
    'velocity_p_gain',
    'position_d_gain',
    'position_i_gain',
    'position_p_gain',
)
every_model = pytest.mark.parametrize('name', sorted(MODELS))


def test_every_model_is_checked_here():
    assert set(START_VALUES) == set(MODELS)
    assert {m.name for m in MODELS_BY_NUMBER.values()} == set(MODELS)


@every_model
def test_addresses_and_sizes(name):
    wanted = dict(COMMON)
    wanted.update(WITH_CURRENT if START_VALUES[name][5] is not None else {})
    waterproof = name.startswith('XW')  # no LED, no external ports
    wanted.update(SIZE_330 if '330' in name else {})
    wanted.update(SIZE_540 if '540' in name and not waterproof else {})
    if waterproof:
        del wanted[65]
    registers = MODELS[name].registers.values()
    found = {r.address: (r.size, r.name) for r in registers if 'indirect' not in r.name}
    assert found == wanted


@every_model
def test_indirect_addresses_point_to_their_own_data(name):
    blocks = [(1, 20, 168, 208)] if '330' in name else [(1, 28, 168, 224), (29, 56, 578, 634)]
    registers = MODELS[name].registers
    count = 0
    for first, last, address, data in blocks:
        for n in range(first, last + 1):
            one, other = registers[f'indirect_address_{n}'], registers[f'indirect_data_{n}']
            assert (one.address, one.size) == (address + 2 * (n - first), 2)
            assert (other.address, other.size) == (data + n - first, 1)
            assert one.initial == other.address
            assert (one.minimum, one.maximum) == (64, 227 if '330' in name else 661)
            count += 1
    assert count == len([n for n in registers if n.startswith('indirect_data')])


@every_model
def test_start_values(name):
    registers = MODELS[name].registers
    found = [registers[r].initial if r in registers else None for r in STARTS]
    assert tuple(found) == START_VALUES[name]
    start = {'id': 1, 'baud_rate': 1, 'return_delay_time': 250, 'operating_mode': 3}
    moving_threshold = 20 if name == 'XC430-W150' else 10
    start |= {'secondary_id': 255, 'protocol_type': 2, 'moving_threshold': moving_threshold}
    start |= {'pwm_limit': 885}
    start |= {'max_position_limit': 4095, 'min_position_limit': 0, 'status_return_level': 2}
    assert {r: registers[r].initial for r in start} == start


@every_model
def test_ranges(name):
    registers = MODELS[name].registers
    small = '330' in name
    low = {35: 31}.get(START_VALUES[name][2], START_VALUES[name][2])
    wanted = {
        'id': (0, 252),
        'baud_rate': (0, 6 if small else 7),
        'return_delay_time': (0, 254),
        'homing_offset': (-1_044_479, 1_044_479),
        'moving_threshold': (0, 1023),
        'temperature_limit': (0, 100),
        'min_voltage_limit': (low, START_VALUES[name][3]),
        'max_voltage_limit': (low, START_VALUES[name][3]),
        'pwm_limit': (0, 885),
        'velocity_limit': (0, 2047 if small else 1023),
        'max_position_limit': (0, 4095),
        'bus_watchdog': (0, 127),
        'position_p_gain': (0, 16383),
        'profile_velocity': (0, 32767),
    }
    assert {r: (registers[r].minimum, registers[r].maximum) for r in wanted} == wanted


@every_model
def test_no_registers_overlap_and_all_fit(name):
    used = set()
    for register in MODELS[name].registers.values():
        span = set(range(register.address, register.address + register.size))
        assert not used & span, register.name
        used |= span
    assert max(used) < SIZE


@every_model
def test_eeprom_is_what_lies_below_64(name):
    for register in MODELS[name].registers.values():
        if register.writable:
            assert register.eeprom == (register.address < 64), register.name


def test_units():
    assert MODELS['XL330-M288'].current_unit_a == 0.001
    assert MODELS['XM540-W270'].current_unit_a == 0.00269
    assert MODELS['XH430-V350'].current_unit_a == 0.00134
    assert MODELS['XL430-W250'].current_unit_a is None  # present load instead


@every_model
def test_the_manual_allows_the_nominal_supply(name):
    model = MODELS[name]
    low, high = model.supply_v
    assert low < model.nominal_voltage_v < high


@pytest.mark.parametrize(
    ('part', 'table'),
    [
        ('XM430-W350-T', 'XM430-W350'),
        ('XM430-W350-R', 'XM430-W350'),
        ('xl330-m288-t', 'XL330-M288'),
        ('XH540-V270-R', 'XH540-V270'),
        ('XC430-T240BB-T', 'XC430-W240'),
        ('2XL430-W250-T', '2XL430-W250'),
        ('XC330-T181', 'XC330-T181'),
    ],
)
def test_a_part_is_found_by_its_full_name(part, table):
    assert table_name(part) == table


@pytest.mark.parametrize(
    ('part', 'why'),
    [
        ('XL-320', 'control table and units of its own'),
        ('MX-28AT', 'Protocol 1.0 unless its firmware is'),
        ('AX-12A', 'speaks Protocol 1.0 only'),
        ('PH54-200-S500-R', 'control table and units of its own'),
        ('XM430-W351', 'did you mean XM430-W350'),
    ],
)
def test_servos_without_a_table_are_named_with_what_is_missing(part, why):
    with pytest.raises(ValueError, match=why):
        table_name(part)


def test_a_new_servo_has_its_start_values():
    file = RegisterFile(MODELS['XM430-W350'])
    assert file.get('indirect_address_29') == 634
    assert file.get('position_p_gain') == 800
