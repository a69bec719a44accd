"""One simulated Dynamixel: firmware behaviour between the registers and the physics; pure.

Time only passes in step(). The packet layer (simulated_line.py) and DirectBus both sit on it.
"""

from dataclasses import dataclass

from kf_imitation.servo import control_table as ct
from kf_imitation.servo.control_table import BAUD_RATES, ServoModel
from kf_imitation.servo.packet import ALERT, RESULT_FAIL
from kf_imitation.servo.register_file import RegisterFile
from kf_imitation.servo.servo_physics import STEP_S, Drive, ServoPhysics
from kf_imitation.servo.units import (
    RAD_PER_TICK,
    TICKS_PER_TURN,
    VOLTAGE_UNIT_V,
    WATCHDOG_TRIPPED,
    WATCHDOG_UNIT_S,
    acceleration_rad_s2,
    current_unit_a,
    velocity_rad_s,
    velocity_raw,
)

BOOT_S = 0.25  # deaf after power-up and reboot
OVERLOAD_S = 1.5  # above OVERLOAD_FRACTION of the stall current for this long: overload
OVERLOAD_FRACTION = 0.6
BROWN_OUT = 0.6  # of the lowest permitted voltage: below it the controller resets
CLEAR_KEY = b'\x01DXL"'


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """One accepted write, for tests and the fault matrix.

    Attributes:
        time_s: simulated time.
        id: servo.
        register: name.
        value: content after the write.
    """

    time_s: float
    id: int
    register: str
    value: int


class SimulatedServo:
    """Register map, firmware and physics of one servo.

    Attributes:
        registers: the control table with its content.
        physics: mechanics; `physics.surroundings` is what faults change.
        log: accepted writes when a list was given, shared by all servos of a line.
        dead: deaf and dumb (cable, broken electronics).
    """

    def __init__(
        self,
        model: ServoModel,
        id_: int,
        present_tick: int = 2048,
        baud: int = 1_000_000,
        log: list[WriteRecord] | None = None,
    ) -> None:
        self.model = model
        self.registers = RegisterFile(model)
        self.physics = ServoPhysics(
            model.stall_current_a,
            model.no_load_speed_rad_s,
            model.nominal_voltage_v,
            present_tick * RAD_PER_TICK,
        )
        self.log = log
        self.dead = False
        self.time_s = 0.0
        self._steps = 0
        self._boot_s = 0.0
        self._silence_s = 0.0
        self._overload_s = 0.0
        self._profile_rad = self.physics.angle_rad
        self._profile_rad_s = 0.0
        self._pending: tuple[int, bytes] | None = None
        self._fresh = False
        self._frozen = False
        self.registers.set('id', id_)
        self.registers.set('baud_rate', _baud_code(baud))
        self._start()

    @property
    def id(self) -> int:
        """Bus address."""
        return self.registers.get('id')

    @property
    def baud(self) -> int:
        """Speed it listens at [bit/s]."""
        return BAUD_RATES[self.registers.get('baud_rate')]

    @property
    def listening(self) -> bool:
        """Powered, booted and connected."""
        return not self.dead and self._boot_s <= 0.0 and not self._browned_out()

    @property
    def torque(self) -> bool:
        """Whether the motor is driven."""
        return bool(self.registers.get('torque_enable'))

    @property
    def alert(self) -> int:
        """The alert bit of status packets."""
        return ALERT if self.registers.get('hardware_error_status') else 0

    def step(self, duration_s: float) -> None:
        """Let time pass; whole steps of STEP_S, the rest is kept for the next call."""
        self.time_s += duration_s
        target = int(self.time_s / STEP_S + 1e-6)
        while self._steps < target:
            self._steps += 1
            self._step_once()
        self._fresh = False

    def read(self, address: int, length: int) -> bytes | None:
        """Return memory as a READ gives it, or None outside it."""
        self._refresh()
        return self.registers.read(address, length)

    def write(self, address: int, data: bytes) -> int:
        """Write as a WRITE does; returns the result code."""
        torque_was = self.torque
        error, names = self.registers.write(address, data)
        for name in names:
            error = self._wrote(name, torque_was) or error
            if self.log is not None:
                value = self.registers.get(name)
                self.log.append(WriteRecord(self.time_s, self.id, name, value))
        return error

    def register_write(self, address: int, data: bytes) -> int:
        """Keep a write for action(); returns the result code."""
        self._pending = (address, data)
        self.registers.set('registered_instruction', 1)
        return 0

    def action(self) -> int:
        """Carry out the kept write; returns the result code."""
        if self._pending is None:
            return RESULT_FAIL
        pending, self._pending = self._pending, None
        self.registers.set('registered_instruction', 0)
        return self.write(*pending)

    def reboot(self) -> None:
        """Restart: RAM is lost, torque off, deaf for BOOT_S."""
        self._start()
        self._boot_s = BOOT_S

    def factory_reset(self, scope: int) -> int:
        """Reset the EEPROM: 0xFF all, 0x01 but the id, 0x02 but id and baud rate."""
        keep = {0xFF: (), 0x01: ('id',), 0x02: ('id', 'baud_rate')}.get(scope)
        if keep is None or self.torque:
            return RESULT_FAIL
        self.registers.reset(eeprom=True, keep=keep)
        self.reboot()
        return 0

    def clear(self, key: bytes) -> int:
        """Bring a multi-turn position back into one turn; refused while moving."""
        if key != CLEAR_KEY or self.physics.speed_rad_s:
            return RESULT_FAIL
        turn = TICKS_PER_TURN * RAD_PER_TICK
        self.physics.angle_rad %= turn
        self.physics.horn_rad = self.physics.angle_rad
        self._settle()
        return 0

    def hear(self) -> None:
        """Note that an instruction packet passed; feeds the Bus Watchdog."""
        self._silence_s = 0.0

    def raise_error(self, bits: int) -> None:
        """Set hardware error bits; those of the shutdown mask switch the torque off."""
        status = self.registers.get('hardware_error_status') | bits
        self.registers.set('hardware_error_status', status)
        if bits & self.registers.get('shutdown') and self.torque:
            self.registers.set('torque_enable', 0)

    def _start(self) -> None:
        self.registers.reset(eeprom=False)
        self._pending = None
        self._frozen = False
        self._silence_s = self._overload_s = 0.0
        for goal, limit in (
            ('goal_current', 'current_limit'),
            ('goal_pwm', 'pwm_limit'),
        ):
            if self.registers.has(goal):
                self.registers.set(goal, self.registers.get(limit))
        self._settle()
        self.registers.set('goal_position', self._present_tick())

    def _settle(self) -> None:
        """Start the profile from where the shaft is."""
        self._profile_rad = self.physics.angle_rad
        self._profile_rad_s = 0.0
        self._fresh = False

    def _wrote(self, name: str, torque_was: bool) -> int:
        registers = self.registers
        if name == 'torque_enable':
            if self.torque and registers.get('hardware_error_status') & registers.get('shutdown'):
                registers.set('torque_enable', 0)
                return RESULT_FAIL
            if self.torque and not torque_was:
                self._settle()
        elif name == 'operating_mode':
            self._start()
        elif name == 'bus_watchdog':
            self._silence_s = 0.0
            if registers.get(name) == 0:
                self._frozen = False
        elif name == 'goal_position' and registers.get('drive_mode') & 8 and not self.torque:
            registers.set('torque_enable', 1)
            self._settle()
        return 0

    def _step_once(self) -> None:
        if self._boot_s > 0.0:
            self._boot_s -= STEP_S
        if self._browned_out() and self._boot_s <= 0.0:
            self.reboot()
        if not self.torque and self.physics.at_rest:
            self._idle()
        else:
            self._watch_over()
            self.physics.step(self._drive())
            self._check_errors()

    def _idle(self) -> None:
        """Do the cheap step of a limp servo at rest: cooling and voltage only."""
        around = self.physics.surroundings
        self.physics.voltage_v = around.supply_v
        excess = self.physics.temperature_c - around.ambient_c
        self.physics.temperature_c -= STEP_S * excess / self.physics.cooling_s
        self._check_errors()

    def _watch_over(self) -> None:
        self._silence_s += STEP_S
        watchdog = self.registers.get('bus_watchdog')
        if not watchdog or watchdog == WATCHDOG_TRIPPED:
            return
        if self._silence_s > watchdog * WATCHDOG_UNIT_S:
            self.registers.set('bus_watchdog', WATCHDOG_TRIPPED)
            if self.model.watchdog_stops:
                self._frozen = True
                self._settle()

    def _drive(self) -> Drive:
        registers = self.registers
        if not self.torque:
            return Drive('off', 0.0, 0.0, 0.0)
        mode = registers.get('operating_mode')
        limit = self.physics.stall_current_a
        if registers.has('current_limit'):
            key = 'goal_current' if mode == ct.MODE_CURRENT_BASED_POSITION else 'current_limit'
            limit = abs(registers.get(key)) * current_unit_a(self.model)
        if mode == ct.MODE_VELOCITY:
            target = 0.0 if self._frozen else velocity_rad_s(float(registers.get('goal_velocity')))
            return Drive('velocity', 0.0, target * self._sign(), limit)
        if not self._frozen:
            self._advance_profile()
        return Drive('position', self._profile_rad, 0.0, limit)

    def _advance_profile(self) -> None:
        registers = self.registers
        offset = registers.get('homing_offset')
        goal = (registers.get('goal_position') - offset) * RAD_PER_TICK * self._sign()
        top = velocity_rad_s(float(registers.get('profile_velocity')))
        rate = acceleration_rad_s2(float(registers.get('profile_acceleration')))
        way = goal - self._profile_rad
        if top == 0.0 or abs(way) < 1e-9:
            self._profile_rad, self._profile_rad_s = goal, 0.0
            return
        wanted = top if rate == 0.0 else min(top, (2.0 * rate * abs(way)) ** 0.5)
        wanted = wanted if way > 0.0 else -wanted
        change = wanted - self._profile_rad_s
        if rate:
            change = max(-rate * STEP_S, min(rate * STEP_S, change))
        self._profile_rad_s += change
        move = self._profile_rad_s * STEP_S
        arrives = move * way > 0.0 and abs(move) >= abs(way)
        self._profile_rad = goal if arrives else self._profile_rad + move

    def _check_errors(self) -> None:
        physics, registers = self.physics, self.registers
        bits = 0
        volts = physics.voltage_v / VOLTAGE_UNIT_V
        low, high = registers.get('min_voltage_limit'), registers.get('max_voltage_limit')
        if not low <= volts <= high:
            bits |= 1 << 0
        if physics.temperature_c > registers.get('temperature_limit'):
            bits |= 1 << 2
        loaded = abs(physics.current_a) > OVERLOAD_FRACTION * physics.stall_current_a
        self._overload_s = max(0.0, self._overload_s + (STEP_S if loaded else -STEP_S))
        if self._overload_s > OVERLOAD_S:
            bits |= 1 << 5
        if bits:
            self.raise_error(bits)

    def _browned_out(self) -> bool:
        lowest = self.registers.get('min_voltage_limit') * VOLTAGE_UNIT_V
        return self.physics.surroundings.supply_v < BROWN_OUT * lowest

    def _sign(self) -> int:
        return -1 if self.registers.get('drive_mode') & 1 else 1

    def _present_tick(self) -> int:
        offset = self.registers.get('homing_offset')
        return self._sign() * round(self.physics.angle_rad / RAD_PER_TICK) + offset

    def _refresh(self) -> None:
        """Bring the measured registers up to date."""
        if self._fresh:
            return
        self._fresh = True
        physics, put, sign = self.physics, self.registers.set, self._sign()
        speed = sign * velocity_raw(physics.speed_rad_s)
        current = round(sign * physics.current_a / current_unit_a(self.model))
        profile_tick = sign * round(self._profile_rad / RAD_PER_TICK)
        put('present_position', self._present_tick())
        put('present_velocity', speed)
        put('present_current', current)
        put(
            'present_pwm',
            round(885 * current * current_unit_a(self.model) / physics.stall_current_a),
        )
        put('present_input_voltage', round(physics.voltage_v / VOLTAGE_UNIT_V))
        put('present_temperature', round(physics.temperature_c))
        put('position_trajectory', profile_tick + self.registers.get('homing_offset'))
        put('velocity_trajectory', sign * velocity_raw(self._profile_rad_s))
        put('realtime_tick', int(self.time_s * 1000) % 32768)
        moving = abs(speed) > self.registers.get('moving_threshold')
        put('moving', int(moving))
        put('moving_status', int(not moving))


def _baud_code(baud: int) -> int:
    return next(code for code, rate in BAUD_RATES.items() if rate == baud)
