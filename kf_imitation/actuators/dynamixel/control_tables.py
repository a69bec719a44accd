"""Control tables of Dynamixel X servos as data: address, size, access, start value, limits.

Source: the e-manual, https://emanual.robotis.com/docs/en/dxl/x/<model>/, one page per model. All
values are register units; units.py turns them into rad, s and A. docs/your_own_head.md says how
to add a model: one entry in _PAGES.
"""

from dataclasses import dataclass

from kf_imitation.errors import nearest

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

LAST_ID = 252
BITS_PER_BYTE = 10  # on the wire: start, eight, stop

# Bits of the registers hardware_error_status and shutdown.
HARDWARE_ERRORS = {
    0: 'input voltage out of range',
    2: 'overheating',
    3: 'encoder fault',
    4: 'electrical shock or too little power',
    5: 'overload',
}

# Operating modes of the register operating_mode.
MODE_CURRENT = 0
MODE_VELOCITY = 1
MODE_POSITION = 3
MODE_EXTENDED_POSITION = 4
MODE_CURRENT_BASED_POSITION = 5
MODE_PWM = 16

MODE_NAMES = {
    MODE_CURRENT: 'current',
    MODE_VELOCITY: 'velocity',
    MODE_POSITION: 'position',
    MODE_EXTENDED_POSITION: 'extended position',
    MODE_CURRENT_BASED_POSITION: 'current-based position',
    MODE_PWM: 'PWM',
}

# Bits of drive_mode.
REVERSE, DUAL_SLAVE, TIME_BASED, TORQUE_BY_GOAL = 1, 2, 4, 8

GAINS = (
    'velocity_i_gain',
    'velocity_p_gain',
    'position_d_gain',
    'position_i_gain',
    'position_p_gain',
    'feedforward_2nd_gain',
    'feedforward_1st_gain',
)
PROFILE = ('profile_acceleration', 'profile_velocity')

PWM_FULL = 885  # of goal_pwm and pwm_limit
SIMULATED = 0x4D4953  # 'SIM' in model_information, which real servos leave at 0

# The status block that every cycle reads: present_current … present_position.
STATE_FIRST = 'present_current'
STATE_LAST = 'present_position'


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
        supply_v: lowest and highest supply that the manual allows.
        modes: values that operating_mode takes.
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
    supply_v: tuple[float, float]
    modes: tuple[int, ...]
    watchdog_stops: bool

    @property
    def position_mode(self) -> int:
        """The operating mode that a head uses: with bounded current where the model has one."""
        with_current = 'goal_current' in self.registers
        return MODE_CURRENT_BASED_POSITION if with_current else MODE_POSITION

    def initial(self, register: str) -> int:
        """Return what a register holds after a factory reset or a reboot."""
        return self.registers[register].initial


_INT32 = 2**31 - 1
_MODES = (MODE_VELOCITY, MODE_POSITION, MODE_EXTENDED_POSITION, MODE_PWM)
_CURRENT_MODES = (MODE_CURRENT, MODE_CURRENT_BASED_POSITION)


@dataclass(frozen=True, slots=True)
class Page:
    """What differs between models, in register units where not said otherwise.

    Attributes:
        name: as sold.
        number: model number.
        temperature_c: start value of temperature_limit.
        voltage: start values of min_voltage_limit and max_voltage_limit.
        velocity: start value of velocity_limit.
        current: current_limit, start value and largest; None: has no current control.
        velocity_gains: I, P.
        position_gains: D, I, P.
        motor: stall current [A] and no-load speed [rad/s] at the voltage [V].
        moving_threshold: start value.
    """

    name: str
    number: int
    temperature_c: int
    voltage: tuple[int, int]
    velocity: int
    current: int | None
    velocity_gains: tuple[int, int]
    position_gains: tuple[int, int, int]
    motor: tuple[float, float, float]
    moving_threshold: int = 10

    @property
    def small(self) -> bool:
        """330-size: another microcontroller, other limits, fewer indirect addresses."""
        return '330' in self.name

    @property
    def waterproof(self) -> bool:
        """XW: no LED, no external port."""
        return self.name.startswith('XW')

    @property
    def size_540(self) -> bool:
        """540-size: external port and dual mode."""
        return '540' in self.name and not self.waterproof

    @property
    def current_unit_a(self) -> float | None:
        """A per unit of current; None without current control."""
        if self.current is None:
            return None
        if self.small:
            return 0.001
        return 0.00134 if self.name.startswith('XH430-V') else 0.00269

    def model(self) -> ServoModel:
        """Return the model."""
        modes = _MODES if self.current is None else _MODES + _CURRENT_MODES
        return ServoModel(
            self.name,
            self.number,
            _registers(self),
            self.current_unit_a,
            *self.motor,
            _SUPPLY_V[self.voltage],
            modes,
            not self.small,
        )


def _ro(name: str, address: int, size: int, initial: int = 0, signed: bool = False) -> Register:
    return Register(name, address, size, initial, signed=signed)


def _eeprom(
    name: str, address: int, size: int, initial: int, minimum: int, maximum: int
) -> Register:
    return Register(name, address, size, initial, minimum, maximum, True, True, minimum < 0)


def _ram(name: str, address: int, size: int, initial: int, minimum: int, maximum: int) -> Register:
    return Register(name, address, size, initial, minimum, maximum, True, False, minimum < 0)


def _registers(page: Page) -> dict[str, Register]:
    table = [*_eeprom_area(page), *_ram_area(page), *_indirect(page)]
    return {register.name: register for register in table}


def _eeprom_area(page: Page) -> list[Register]:
    low, high = page.voltage
    lowest = 31 if low == 35 else low  # 5 V models: works from 3.1 V, warns from 3.5 V on
    small = page.small
    table = [
        _ro('model_number', 0, 2, page.number),
        _ro('model_information', 2, 4),
        _ro('firmware_version', 6, 1, 51),
        _eeprom('id', 7, 1, 1, 0, LAST_ID),
        _eeprom('baud_rate', 8, 1, 1, 0, 6 if small else 7),
        _eeprom('return_delay_time', 9, 1, 250, 0, 254),
        _eeprom('drive_mode', 10, 1, 0, 0, 15 if page.size_540 else 13),
        _eeprom('operating_mode', 11, 1, MODE_POSITION, 0, 16),
        _eeprom('secondary_id', 12, 1, 255, 0, 255),  # 253 and above: none
        _eeprom('protocol_type', 13, 1, 2, *((2, 22) if small else (1, 2))),
        _eeprom('homing_offset', 20, 4, 0, -1_044_479, 1_044_479),
        _eeprom('moving_threshold', 24, 4, page.moving_threshold, 0, 1023),
        _eeprom('temperature_limit', 31, 1, page.temperature_c, 0, 100),
        _eeprom('max_voltage_limit', 32, 2, high, lowest, high),
        _eeprom('min_voltage_limit', 34, 2, low, lowest, high),
        _eeprom('pwm_limit', 36, 2, 885, 0, 885),
        _eeprom('velocity_limit', 44, 4, page.velocity, 0, _top_velocity(page)),
        _eeprom('max_position_limit', 48, 4, 4095, 0, 4095),
        _eeprom('min_position_limit', 52, 4, 0, 0, 4095),
        _eeprom('startup_configuration', 60, 1, 0, 0, 3),
        _eeprom('shutdown', 63, 1, 53 if page.name.startswith('XL330') else 52, 0, 63),
    ]
    if page.current is not None:
        table.append(_eeprom('current_limit', 38, 2, page.current, 0, page.current))
    if small:
        table.append(_eeprom('pwm_slope', 62, 1, 140 if low == 35 else 255, 1, 255))
    if page.size_540:
        table += [_eeprom(f'external_port_mode_{n}', 55 + n, 1, 3, 0, 3) for n in (1, 2, 3)]
    return table


def _top_velocity(page: Page) -> int:
    return 2047 if page.small else 1023


def _ram_area(page: Page) -> list[Register]:
    velocity_i, velocity_p = page.velocity_gains
    position_d, position_i, position_p = page.position_gains
    top = _top_velocity(page)
    table = [
        _ram('torque_enable', 64, 1, 0, 0, 1),
        _ram('status_return_level', 68, 1, 2, 0, 2),
        _ro('registered_instruction', 69, 1),
        _ro('hardware_error_status', 70, 1),
        _ram('velocity_i_gain', 76, 2, velocity_i, 0, 16383),
        _ram('velocity_p_gain', 78, 2, velocity_p, 0, 16383),
        _ram('position_d_gain', 80, 2, position_d, 0, 16383),
        _ram('position_i_gain', 82, 2, position_i, 0, 16383),
        _ram('position_p_gain', 84, 2, position_p, 0, 16383),
        _ram('feedforward_2nd_gain', 88, 2, 0, 0, 16383),
        _ram('feedforward_1st_gain', 90, 2, 0, 0, 16383),
        _ram('bus_watchdog', 98, 1, 0, 0, 127),
        _ram('goal_pwm', 100, 2, 885, -885, 885),
        _ram('goal_velocity', 104, 4, 0, -top, top),
        _ram('profile_acceleration', 108, 4, 0, 0, 32767),
        _ram('profile_velocity', 112, 4, 0, 0, 32767),
        _ram('goal_position', 116, 4, 0, -_INT32, _INT32),
        _ro('realtime_tick', 120, 2),
        _ro('moving', 122, 1),
        _ro('moving_status', 123, 1),
        _ro('present_pwm', 124, 2, signed=True),
        _ro('present_current', 126, 2, signed=True),  # XL430: present load
        _ro('present_velocity', 128, 4, signed=True),
        _ro('present_position', 132, 4, signed=True),
        _ro('velocity_trajectory', 136, 4, signed=True),
        _ro('position_trajectory', 140, 4, signed=True),
        _ro('present_input_voltage', 144, 2),
        _ro('present_temperature', 146, 1, 25),
        _ro('backup_ready', 147, 1),
    ]
    if not page.waterproof:
        table.append(_ram('led', 65, 1, 0, 0, 1))
    if page.current is not None:
        table.append(_ram('goal_current', 102, 2, page.current, -page.current, page.current))
    if page.size_540:
        table += [_ram(f'external_port_data_{n}', 150 + 2 * n, 2, 0, 0, 4095) for n in (1, 2, 3)]
    return table


def _indirect(page: Page) -> list[Register]:
    """Return indirect addresses, each pointing to its own data byte, and their data."""
    blocks = [(1, 20, 168, 208)] if page.small else [(1, 28, 168, 224), (29, 56, 578, 634)]
    last = blocks[-1][3] + blocks[-1][1] - blocks[-1][0]
    table = []
    for first, end, address, data in blocks:
        for n in range(first, end + 1):
            at, byte = address + 2 * (n - first), data + n - first
            table.append(_ram(f'indirect_address_{n}', at, 2, byte, 64, last))
            table.append(_ram(f'indirect_data_{n}', byte, 1, 0, 0, 255))
    return table


_5V, _12V, _XL, _XC, _XM, _24V = (35, 70), (55, 140), (60, 140), (60, 160), (95, 160), (110, 300)
# The manual's input voltage; the voltage limits of the tables are wider. Where it names one
# voltage only, 5 % (12 V) or 10 % (24 V) around it: a charged battery, a mains adapter.
_SUPPLY_V = {
    _5V: (3.7, 6.0),
    _12V: (6.5, 12.6),
    _XL: (6.5, 12.6),
    _XC: (6.5, 14.8),
    _XM: (10.0, 14.8),
    _24V: (21.6, 26.4),
}
_V, _P8, _P9 = (1920, 100), (0, 0, 800), (0, 0, 900)
_PAGES = (
    Page('XL330-M077', 1190, 70, _5V, 1620, 1750, (400, 40), (0, 400, 400), (1.47, 40.1, 5.0)),
    Page('XL330-M288', 1200, 70, _5V, 445, 1750, (1600, 180), (0, 0, 400), (1.47, 10.8, 5.0)),
    Page('XC330-T181', 1210, 70, _12V, 510, 910, (1200, 40), (0, 0, 900), (0.80, 13.3, 11.1)),
    Page('XC330-T288', 1220, 70, _12V, 320, 910, (1200, 40), (0, 0, 900), (0.80, 8.4, 11.1)),
    Page('XC330-M181', 1230, 70, _5V, 545, 2352, (1400, 100), (500, 0, 1200), (1.80, 13.5, 5.0)),
    Page('XC330-M288', 1240, 70, _5V, 350, 2352, (1600, 50), (500, 0, 1100), (1.80, 8.5, 5.0)),
    Page('2XL430-W250', 1090, 72, _XL, 250, None, (1800, 100), (2000, 0, 640), (1.3, 6.0, 11.1)),
    Page('2XC430-W250', 1160, 80, _XC, 275, None, _V, (0, 0, 700), (1.4, 6.7, 12.0)),
    Page('XC430-W150', 1070, 80, _XC, 460, None, _V, (0, 0, 460), (1.4, 11.1, 12.0), 20),
    Page('XC430-W240', 1080, 80, _XC, 306, None, _V, (0, 0, 700), (1.4, 7.3, 12.0)),
    Page('XH430-W210', 1010, 80, _XM, 210, 648, _V, _P9, (1.3, 5.2, 12.0)),
    Page('XH430-W350', 1000, 80, _XM, 130, 648, _V, _P9, (1.3, 3.1, 12.0)),
    Page('XH430-V210', 1050, 80, _24V, 230, 689, _V, _P8, (0.7, 5.4, 24.0)),
    Page('XH430-V350', 1040, 80, _24V, 135, 689, _V, _P8, (0.7, 3.2, 24.0)),
    Page('XH540-W150', 1110, 80, _XM, 300, 2047, _V, _P8, (4.9, 7.3, 12.0)),
    Page('XH540-W270', 1100, 80, _XM, 167, 2047, _V, _P8, (4.9, 4.1, 12.0)),
    Page('XH540-V150', 1150, 80, _24V, 230, 1188, _V, _P8, (2.4, 6.3, 24.0)),
    Page('XH540-V270', 1140, 80, _24V, 128, 2047, _V, _P8, (2.4, 3.6, 24.0)),
    Page('XD430-T210', 1011, 80, _XM, 210, 648, _V, _P9, (1.3, 5.2, 12.0)),
    Page('XD430-T350', 1001, 80, _XM, 130, 648, _V, _P9, (1.3, 3.1, 12.0)),
    Page('XD540-T150', 1111, 80, _XM, 300, 2047, _V, _P8, (4.9, 7.3, 12.0)),
    Page('XD540-T270', 1101, 80, _XM, 167, 2047, _V, _P8, (4.9, 4.1, 12.0)),
    Page('XW430-T200', 1280, 80, _XM, 235, 2047, _V, _P9, (1.3, 5.5, 12.0)),
    Page('XW430-T333', 1270, 80, _XM, 139, 2047, _V, _P9, (1.3, 3.2, 12.0)),
    Page('XW540-T140', 1180, 80, _XM, 304, 2047, _V, _P8, (4.9, 7.5, 12.0)),
    Page('XW540-T260', 1170, 80, _XM, 167, 2047, _V, _P8, (4.9, 4.2, 12.0)),
    Page('XL430-W250', 1060, 72, _XL, 265, None, (1000, 100), (4000, 0, 640), (1.3, 6.0, 11.1)),
    Page('XM430-W210', 1030, 80, _XM, 330, 1193, (1920, 100), (0, 0, 800), (2.3, 8.1, 12.0)),
    Page('XM430-W350', 1020, 80, _XM, 200, 1193, (1920, 100), (0, 0, 800), (2.3, 4.8, 12.0)),
    Page('XM540-W150', 1130, 80, _XM, 230, 2047, (1920, 100), (0, 0, 800), (4.4, 5.5, 12.0)),
    Page('XM540-W270', 1120, 80, _XM, 128, 2047, (1920, 100), (0, 0, 800), (4.4, 3.1, 12.0)),
)
MODELS = {page.name: page.model() for page in _PAGES}
MODELS_BY_NUMBER = {model.number: model for model in MODELS.values()}


def hardware_error_text(status: int) -> str:
    """Return the set bits of hardware_error_status in words, '' when there are none."""
    return ', '.join(text for bit, text in HARDWARE_ERRORS.items() if status >> bit & 1)


def model_name(number: int) -> str:
    """Return the model of a model number, or `model 1234` when its table is not known."""
    model = MODELS_BY_NUMBER.get(number)
    return model.name if model else f'model {number}'


# Servos of the same maker that this package cannot drive, by how their names begin, and why.
_OWN_TABLE = 'has a control table and units of its own'
_PROTOCOL_1 = 'speaks Protocol 1.0 only'
_OTHERS = {
    'XL320': f'{_OWN_TABLE} (10 bits over 300 degrees, no current control, no Bus Watchdog)',
    'XW540H': 'is made to order, and the manual gives no torque and speed of it',
    'MX': f'{_OWN_TABLE}, and speaks Protocol 1.0 unless its firmware is MX(2.0)',
    **dict.fromkeys(('AX', 'DX', 'EX', 'RX'), _PROTOCOL_1),
    **dict.fromkeys(('PH', 'PM', 'YM', 'H42', 'H54', 'L42', 'L54', 'M42', 'M54'), _OWN_TABLE),
}


def table_name(part: str) -> str:
    """Return the name in MODELS of a part as it is sold: XM430-W350-T, -R, xl-330-m288t.

    Raises:
        ValueError: there is no such table; with the reason, or the nearest name.
    """
    name = part.upper()
    name = name.removesuffix('-T').removesuffix('-R').removesuffix('-T/R')
    name = name.replace('BB', '').replace('XC430-T', 'XC430-W')  # ball bearings, else the same
    if name in MODELS:
        return name
    plain = ''.join(letter for letter in name if letter.isalnum())
    for model in MODELS:
        if plain in [model.replace('-', '') + end for end in ('', 'T', 'R')]:
            return model
    for start, why in _OTHERS.items():
        if plain.startswith(start):
            raise ValueError(f'{why}: no table here fits it')
    if hint := nearest(name, MODELS):
        raise ValueError(f'is not a model that is known{hint}')
    raise ValueError(f'must be one of {", ".join(sorted(MODELS))}')
