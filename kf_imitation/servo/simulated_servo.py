"""One simulated Dynamixel: firmware behaviour between the registers and the physics; pure.

Time only passes in step(). The packet layer (simulated_line.py) and DirectBus both sit on it.
"""

import math
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
_OFF = Drive('off', 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """One accepted write, or torque that went off by itself, for tests and the fault matrix.

    Attributes:
        time_s: simulated time.
        id: servo.
        register: name.
        value: content after the write.
        present: position in ticks at that time.
    """

    time_s: float
    id: int
    register: str
    value: int
    present: int


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the firmware takes from the registers in every step, in SI units."""

    version: int
    torque: bool
    mode: int
    goal_rad: float
    goal_rad_s: float
    profile_rad_s: float
    profile_rad_s2: float
    limit_a: float
    watchdog_s: float
    lowest_v: float
    highest_v: float
    brown_out_v: float
    hottest_c: float
    errors: int

    @classmethod
    def of(cls, registers: RegisterFile) -> '_Settings':
        get, model = registers.get, registers.model
        mode = get('operating_mode')
        sign = -1 if get('drive_mode') & 1 else 1
        limit_a = model.stall_current_a
        if registers.has('current_limit'):
            based = mode == ct.MODE_CURRENT_BASED_POSITION
            limit_a = current_unit_a(model) * abs(
                get('goal_current' if based else 'current_limit')
            )
        watchdog = get('bus_watchdog')
        lowest_v = get('min_voltage_limit') * VOLTAGE_UNIT_V
        return cls(
            version=registers.version,
            torque=bool(get('torque_enable')),
            mode=mode,
            goal_rad=(get('goal_position') - get('homing_offset')) * RAD_PER_TICK * sign,
            goal_rad_s=velocity_rad_s(float(get('goal_velocity'))) * sign,
            profile_rad_s=velocity_rad_s(float(get('profile_velocity'))),
            profile_rad_s2=acceleration_rad_s2(float(get('profile_acceleration'))),
            limit_a=limit_a,
            watchdog_s=0.0 if watchdog == WATCHDOG_TRIPPED else watchdog * WATCHDOG_UNIT_S,
            lowest_v=lowest_v,
            highest_v=get('max_voltage_limit') * VOLTAGE_UNIT_V,
            brown_out_v=BROWN_OUT * lowest_v,
            hottest_c=get('temperature_limit'),
            errors=get('hardware_error_status'),
        )


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
        self._settings = _Settings.of(self.registers)
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
            self._record(name)
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
            self._record('torque_enable')

    def _record(self, name: str) -> None:
        if self.log is not None:
            value, present = self.registers.get(name), self._present_tick()
            self.log.append(WriteRecord(self.time_s, self.id, name, value, present))

    def _start(self) -> None:
        self.registers.reset(eeprom=False)
        self._record('torque_enable')
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
        settings = self._settings
        if settings.version != self.registers.version:
            settings = self._settings = _Settings.of(self.registers)
        if self._boot_s > 0.0:
            self._boot_s -= STEP_S
        supply_v = self.physics.surroundings.supply_v
        if supply_v < settings.brown_out_v:
            if self._boot_s <= 0.0:
                self.reboot()
            return
        if not settings.torque and self.physics.at_rest:
            self._idle()
        else:
            self._watch_over(settings)
            self.physics.step(self._drive(settings))
        self._check_errors(settings)

    def _idle(self) -> None:
        """Do the cheap step of a limp servo at rest: cooling and voltage only."""
        around = self.physics.surroundings
        self.physics.voltage_v = around.supply_v
        excess = self.physics.temperature_c - around.ambient_c
        self.physics.temperature_c -= STEP_S * excess / self.physics.cooling_s

    def _watch_over(self, settings: '_Settings') -> None:
        self._silence_s += STEP_S
        if settings.watchdog_s and self._silence_s > settings.watchdog_s:
            self.registers.set('bus_watchdog', WATCHDOG_TRIPPED)
            if self.model.watchdog_stops:
                self._frozen = True
                self._settle()

    def _drive(self, settings: '_Settings') -> Drive:
        if not settings.torque:
            return _OFF
        if settings.mode == ct.MODE_VELOCITY:
            target = 0.0 if self._frozen else settings.goal_rad_s
            return Drive('velocity', 0.0, target, settings.limit_a)
        if not self._frozen:
            self._advance_profile(settings)
        return Drive('position', self._profile_rad, 0.0, settings.limit_a)

    def _advance_profile(self, settings: '_Settings') -> None:
        goal, top, rate = settings.goal_rad, settings.profile_rad_s, settings.profile_rad_s2
        way = goal - self._profile_rad
        if top == 0.0 or abs(way) < 1e-9:
            self._profile_rad, self._profile_rad_s = goal, 0.0
            return
        wanted = top if rate == 0.0 else min(top, math.sqrt(2.0 * rate * abs(way)))
        wanted = wanted if way > 0.0 else -wanted
        change = wanted - self._profile_rad_s
        if rate:
            change = max(-rate * STEP_S, min(rate * STEP_S, change))
        self._profile_rad_s += change
        move = self._profile_rad_s * STEP_S
        arrives = move * way > 0.0 and abs(move) >= abs(way)
        self._profile_rad = goal if arrives else self._profile_rad + move

    def _check_errors(self, settings: '_Settings') -> None:
        physics = self.physics
        bits = 0
        if not settings.lowest_v <= physics.voltage_v <= settings.highest_v:
            bits |= 1 << 0
        if physics.temperature_c > settings.hottest_c:
            bits |= 1 << 2
        loaded = abs(physics.current_a) > OVERLOAD_FRACTION * physics.stall_current_a
        self._overload_s = max(0.0, self._overload_s + (STEP_S if loaded else -STEP_S))
        if self._overload_s > OVERLOAD_S:
            bits |= 1 << 5
        if bits & ~settings.errors:
            self.raise_error(bits)

    def _browned_out(self) -> bool:
        return self.physics.surroundings.supply_v < self._settings.brown_out_v

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
        physics, put, sign = self.physics, self.registers.measure, self._sign()
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
