"""Control tables of Dynamixel X servos as data: address, size, access, start value, limits.

Source: the e-manual, https://emanual.robotis.com/docs/en/dxl/x/<model>/, one page per model. All
values are register units; units.py turns them into rad, s and A. docs/your_own_head.md says how
to add a model.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Register:
    """One entry of a control table.

    Attributes:
        name: as in the manual, in snake case.
        address: first byte.
        size: bytes, 1, 2 or 4, little endian.
        initial: value after a factory reset (EEPROM) or a reboot (RAM).
        minimum: smallest value a write may have.
        maximum: largest value a write may have.
        writable: false for measured values.
        eeprom: survives a reboot; locked while torque is on.
        signed: two's complement.
    """

    name: str
    address: int
    size: int
    initial: int = 0
    minimum: int = 0
    maximum: int = 0
    writable: bool = False
    eeprom: bool = False
    signed: bool = False


@dataclass(frozen=True, slots=True)
class ServoModel:
    """What is known of one servo model.

    Attributes:
        name: as sold.
        number: value of the register model_number.
        registers: control table by name.
        current_unit_a: A per unit of present current; None: the register holds load (0.1 %).
        stall_current_a: at nominal voltage.
        no_load_speed_rad_s: at nominal voltage.
        nominal_voltage_v: supply of the figures above.
        watchdog_stops: false where the firmware trips the Bus Watchdog but keeps moving
            (330-size servos, firmware 51, forum.robotis.com/t/4814).
    """

    name: str
    number: int
    registers: dict[str, Register]
    current_unit_a: float | None
    stall_current_a: float
    no_load_speed_rad_s: float
    nominal_voltage_v: float
    watchdog_stops: bool


_INT32 = 2**31 - 1

# Manual: 0: 9600 ... 7: 4.5 M. The SDK opens ports up to 4 M.
BAUD_RATES = {
    0: 9600,
    1: 57600,
    2: 115200,
    3: 1_000_000,
    4: 2_000_000,
    5: 3_000_000,
    6: 4_000_000,
    7: 4_500_000,
}

# Operating modes of the register operating_mode.
MODE_CURRENT = 0
MODE_VELOCITY = 1
MODE_POSITION = 3
MODE_EXTENDED_POSITION = 4
MODE_CURRENT_BASED_POSITION = 5
MODE_PWM = 16

# Bits of the registers hardware_error_status and shutdown.
HARDWARE_ERRORS = {
    0: 'input voltage out of range',
    2: 'overheating',
    3: 'encoder fault',
    4: 'electrical shock or too little power',
    5: 'overload',
}

# The status block that every cycle reads: present_current … present_position.
STATE_FIRST = 'present_current'
STATE_LAST = 'present_position'


def _ro(name: str, address: int, size: int, initial: int = 0, signed: bool = False) -> Register:
    return Register(name, address, size, initial, signed=signed)


def _eeprom(
    name: str, address: int, size: int, initial: int, minimum: int, maximum: int
) -> Register:
    return Register(name, address, size, initial, minimum, maximum, True, True, minimum < 0)


def _ram(name: str, address: int, size: int, initial: int, minimum: int, maximum: int) -> Register:
    return Register(name, address, size, initial, minimum, maximum, True, False, minimum < 0)


def _x_series(
    number: int,
    temperature_c: int,
    voltage_dv: tuple[int, int],
    velocity_limit: int,
    current_limit: int | None,
    shutdown: int = 52,
    gains: tuple[int, int, int] = (800, 0, 0),
    indirect: int = 28,
) -> dict[str, Register]:
    """Build the table all X servos share; only limits and defaults differ between models."""
    low_dv, high_dv = voltage_dv
    torque = current_limit or 1000
    table = [
        _ro('model_number', 0, 2, number),
        _ro('model_information', 2, 4),
        _ro('firmware_version', 6, 1, 51),
        _eeprom('id', 7, 1, 1, 0, 252),
        _eeprom('baud_rate', 8, 1, 1, 0, 7),
        _eeprom('return_delay_time', 9, 1, 250, 0, 254),
        _eeprom('drive_mode', 10, 1, 0, 0, 13),
        _eeprom('operating_mode', 11, 1, 3, 0, 16),
        _eeprom('secondary_id', 12, 1, 255, 0, 255),
        _eeprom('protocol_type', 13, 1, 2, 1, 22),
        _eeprom('homing_offset', 20, 4, 0, -1_044_479, 1_044_479),
        _eeprom('moving_threshold', 24, 4, 10, 0, 1023),
        _eeprom('temperature_limit', 31, 1, temperature_c, 0, 100),
        _eeprom('max_voltage_limit', 32, 2, high_dv, low_dv, high_dv),
        _eeprom('min_voltage_limit', 34, 2, low_dv, low_dv, high_dv),
        _eeprom('pwm_limit', 36, 2, 885, 0, 885),
        _eeprom('velocity_limit', 44, 4, velocity_limit, 0, 2047),
        _eeprom('max_position_limit', 48, 4, 4095, 0, 4095),
        _eeprom('min_position_limit', 52, 4, 0, 0, 4095),
        _eeprom('startup_configuration', 60, 1, 0, 0, 3),
        _eeprom('shutdown', 63, 1, shutdown, 0, 63),
        _ram('torque_enable', 64, 1, 0, 0, 1),
        _ram('led', 65, 1, 0, 0, 1),
        _ram('status_return_level', 68, 1, 2, 0, 2),
        _ro('registered_instruction', 69, 1),
        _ro('hardware_error_status', 70, 1),
        _ram('velocity_i_gain', 76, 2, 1000, 0, 16383),
        _ram('velocity_p_gain', 78, 2, 100, 0, 16383),
        _ram('position_d_gain', 80, 2, gains[2], 0, 16383),
        _ram('position_i_gain', 82, 2, gains[1], 0, 16383),
        _ram('position_p_gain', 84, 2, gains[0], 0, 16383),
        _ram('feedforward_2nd_gain', 88, 2, 0, 0, 16383),
        _ram('feedforward_1st_gain', 90, 2, 0, 0, 16383),
        _ram('bus_watchdog', 98, 1, 0, 0, 127),
        _ram('goal_pwm', 100, 2, 885, -885, 885),
        _ram('goal_velocity', 104, 4, 0, -2047, 2047),
        _ram('profile_acceleration', 108, 4, 0, 0, 32767),
        _ram('profile_velocity', 112, 4, 0, 0, 32767),
        _ram('goal_position', 116, 4, 0, -_INT32, _INT32),
        _ro('realtime_tick', 120, 2),
        _ro('moving', 122, 1),
        _ro('moving_status', 123, 1),
        _ro('present_pwm', 124, 2, signed=True),
        _ro('present_current', 126, 2, signed=True),
        _ro('present_velocity', 128, 4, signed=True),
        _ro('present_position', 132, 4, signed=True),
        _ro('velocity_trajectory', 136, 4, signed=True),
        _ro('position_trajectory', 140, 4, signed=True),
        _ro('present_input_voltage', 144, 2),
        _ro('present_temperature', 146, 1, 25),
    ]
    if current_limit is not None:
        table.append(_eeprom('current_limit', 38, 2, current_limit, 0, current_limit))
        table.append(_ram('goal_current', 102, 2, current_limit, -torque, torque))
    data_address = 168 + 2 * indirect
    for index in range(indirect):
        address = 168 + 2 * index
        data = data_address + index
        table.append(_ram(f'indirect_address_{index + 1}', address, 2, data, 64, 661))
        table.append(_ram(f'indirect_data_{index + 1}', data, 1, 0, 0, 255))
    return {register.name: register for register in table}


_330_GAINS = (400, 0, 0)


def _model_330(
    name: str, number: int, volts: tuple[int, int], speed: int, figures: tuple[float, float, float]
) -> ServoModel:
    stall_a, speed_rad_s, nominal_v = figures
    limit = 1750 if name.startswith('XL') else 2352 if name[6] == 'M' else 910
    table = _x_series(number, 70, volts, speed, limit, 53, _330_GAINS, 20)
    return ServoModel(name, number, table, 0.001, stall_a, speed_rad_s, nominal_v, False)


def _model_x(
    name: str,
    number: int,
    heat: int,
    volts: tuple[int, int],
    limits: tuple[int, int | None],
    figures: tuple[float, float, float],
) -> ServoModel:
    speed, current = limits
    stall_a, speed_rad_s, nominal_v = figures
    gains = (640, 0, 3600) if name.startswith('XL430') else (800, 0, 0)
    table = _x_series(number, heat, volts, speed, current, gains=gains)
    unit = None if current is None else 0.00269
    return ServoModel(name, number, table, unit, stall_a, speed_rad_s, nominal_v, True)


# figures: stall current [A], no-load speed [rad/s], at [V].
_ALL = (
    _model_330('XL330-M077', 1190, (35, 70), 1620, (1.47, 40.1, 5.0)),
    _model_330('XL330-M288', 1200, (35, 70), 445, (1.47, 10.8, 5.0)),
    _model_330('XC330-T181', 1210, (55, 140), 559, (0.80, 13.3, 11.1)),
    _model_330('XC330-T288', 1220, (55, 140), 353, (0.80, 8.4, 11.1)),
    _model_330('XC330-M181', 1230, (35, 70), 559, (1.80, 13.5, 5.0)),
    _model_330('XC330-M288', 1240, (35, 70), 353, (1.80, 8.5, 5.0)),
    _model_x('XL430-W250', 1060, 72, (60, 140), (265, None), (1.3, 6.0, 11.1)),
    _model_x('XM430-W210', 1030, 80, (95, 160), (350, 1193), (2.3, 8.1, 12.0)),
    _model_x('XM430-W350', 1020, 80, (95, 160), (200, 1193), (2.3, 4.8, 12.0)),
    _model_x('XM540-W150', 1130, 80, (95, 160), (230, 2047), (4.4, 5.5, 12.0)),
    _model_x('XM540-W270', 1120, 80, (95, 160), (128, 2047), (4.4, 3.1, 12.0)),
)
MODELS = {model.name: model for model in _ALL}
MODELS_BY_NUMBER = {model.number: model for model in _ALL}


def hardware_error_text(status: int) -> str:
    """Return the set bits of hardware_error_status in words, '' when there are none."""
    return ', '.join(text for bit, text in HARDWARE_ERRORS.items() if status >> bit & 1)


def model_name(number: int) -> str:
    """Return the model of a model number, or `model 1234` when its table is not known."""
    model = MODELS_BY_NUMBER.get(number)
    return model.name if model else f'model {number}'
