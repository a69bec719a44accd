"""One simulated Dynamixel as a host sees it over the bus; pure.

Its firmware stands between the registers (register_file.py) and the physics (physics.py). Time
only passes in step(). The packet layer (bus.py) and InProcessBus both sit on it.
"""

from dataclasses import dataclass
from math import inf

from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.actuators.dynamixel.control_tables import (
    BAUD_RATES,
    GAINS,
    PROFILE,
    PWM_FULL,
    ServoModel,
)
from kf_imitation.actuators.dynamixel.simulator.packet import ALERT, RESULT_FAIL
from kf_imitation.actuators.dynamixel.simulator.physics import STEP_S, Drive, ServoPhysics
from kf_imitation.actuators.dynamixel.simulator.profile import Profile
from kf_imitation.actuators.dynamixel.simulator.register_file import RegisterFile
from kf_imitation.actuators.dynamixel.simulator.settings import Settings
from kf_imitation.actuators.dynamixel.units import (
    RAD_PER_TICK,
    TICKS_PER_TURN,
    VOLTAGE_UNIT_V,
    WATCHDOG_TRIPPED,
    current_unit_a,
    velocity_raw,
)

CLEAR_KEY = b'\x01DXL"'
STORE_KEY, RESTORE_KEY = b'\x01CTRL', b'\x02CTRL'
BOOT_S = 0.25  # deaf after power-up and reboot
OVERLOAD_S = 1.5  # above OVERLOAD_FRACTION of the stall current for this long: overload
OVERLOAD_FRACTION = 0.6
STARTUP_TORQUE, STARTUP_RESTORE = 1, 2  # bits of startup_configuration
IN_POSITION_TICKS = 20
FOLLOWING_TICKS = 100
POSITION_MODES = (ct.MODE_POSITION, ct.MODE_EXTENDED_POSITION, ct.MODE_CURRENT_BASED_POSITION)
_OFF = Drive('off', 0.0, 0.0)


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


class SimulatedServo:
    """Registers, control loop and protections of one servo, with an address on the bus.

    Attributes:
        model: its control table and motor.
        registers: the control table with its content.
        physics: mechanics; `physics.surroundings` is what faults change.
        log: accepted writes when a list was given, shared by all servos of a bus.
        dead: deaf and dumb (cable, broken electronics).
        at_rest: the last step changed nothing but the temperature; neither will the next ones,
            as long as nobody writes a register or changes the surroundings.
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
        self._profile = Profile(self.physics.angle_rad)
        self._backup: dict[str, int] = {}
        self._pending: tuple[int, bytes] | None = None
        self._fresh = False
        self._frozen = False
        self.at_rest = False
        self._rest: tuple[object, ...] = ()
        self._shown: tuple[object, ...] | None = None
        self._settings = Settings.of(self.registers)
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
    def alert(self) -> int:
        """The alert bit of status packets."""
        return ALERT if self.registers.get('hardware_error_status') else 0

    @property
    def listening(self) -> bool:
        """Powered, booted and connected."""
        return not self.dead and self._boot_s <= 0.0 and not self._browned_out()

    @property
    def torque(self) -> bool:
        """Whether the motor is driven."""
        return bool(self.registers.get('torque_enable'))

    # --- instructions of the host ---------------------------------------------------------------

    def hear(self) -> None:
        """Note that an instruction packet passed; feeds the Bus Watchdog."""
        self._silence_s = 0.0

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
        """Carry out the pending write; returns the result code."""
        if self._pending is None:
            return RESULT_FAIL
        pending, self._pending = self._pending, None
        self.registers.set('registered_instruction', 0)
        return self.write(*pending)

    def factory_reset(self, scope: int) -> int:
        """Reset the EEPROM: 0xFF all, 0x01 but the id, 0x02 but id and baud rate."""
        keep = {0xFF: (), 0x01: ('id',), 0x02: ('id', 'baud_rate')}.get(scope)
        if keep is None or self.torque:
            return RESULT_FAIL
        self.registers.reset(eeprom=True, keep=keep)
        self.reboot()
        return 0

    def backup(self, key: bytes) -> int:
        """Store the EEPROM, gains, profile and indirect addresses, or restore and restart."""
        if self.torque or key not in (STORE_KEY, RESTORE_KEY):
            return RESULT_FAIL
        if key == STORE_KEY:
            self._backup = self.registers.contents(
                name
                for name, register in self.model.registers.items()
                if (register.eeprom and register.writable)
                or name in GAINS + PROFILE
                or name.startswith('indirect_address')
            )
            self.registers.set('backup_ready', 1)
            return 0
        if not self._backup:
            return RESULT_FAIL
        for name, value in self._backup.items():
            if self.model.registers[name].eeprom:
                self.registers.set(name, value)
        self.reboot()
        return 0

    def clear(self, key: bytes) -> int:
        """Bring a multi-turn position back into one turn; rejected while moving."""
        speed = abs(velocity_raw(self.physics.speed_rad_s))
        if key != CLEAR_KEY or speed > self.registers.get('moving_threshold'):
            return RESULT_FAIL
        self._to_one_turn()
        self.registers.set('goal_position', self._present_tick())  # else it would turn back
        return 0

    def _wrote(self, name: str, torque_was: bool) -> int:
        registers = self.registers
        if name == 'torque_enable':
            if self.torque and registers.get('hardware_error_status') & registers.get('shutdown'):
                registers.set('torque_enable', 0)
                return RESULT_FAIL
            if self.torque and not torque_was:
                self._settle()
        elif name == 'operating_mode':
            self._change_mode()
        elif name == 'bus_watchdog':
            self._silence_s = 0.0
            if registers.get(name) == 0:
                self._frozen = False
        elif (
            name == 'goal_position'
            and registers.get('drive_mode') & ct.TORQUE_BY_GOAL
            and not self.torque
        ):
            registers.set('torque_enable', 1)
            self._settle()
        return 0

    def reboot(self) -> None:
        """Restart: RAM is lost, torque off, deaf for BOOT_S."""
        self._start()
        self._boot_s = BOOT_S

    # --- time passes ----------------------------------------------------------------------------

    def step(self, duration_s: float) -> None:
        """Let time pass; whole steps of STEP_S, the rest is kept for the next call."""
        self.time_s += duration_s
        target = int(self.time_s / STEP_S + 1e-6)
        while self._steps < target:
            if self.at_rest and self._rest == self._state():
                self._steps += self._stay(target - self._steps)
            if self._steps < target:
                self._steps += 1
                before = self._state()
                self.at_rest = self._step_once() and before == self._state()
                self._rest = before
        self._fresh = False

    def _state(self) -> tuple[object, ...]:
        """Return all that a step depends on, but for the temperature and the timers."""
        profile = self._profile
        return (
            self.registers.version,
            self._frozen,
            profile.position_rad,
            profile.speed_rad_s,
            *self.physics.state,
        )

    def _stay(self, steps: int) -> int:
        """Let time pass at rest, until a protection has something to say.

        Returns:
            Steps taken; the same as so many full steps, at a hundredth of the cost.
        """
        settings, physics = self._settings, self.physics
        temperature_c, silence_s, overload_s = (
            physics.temperature_c, self._silence_s, self._overload_s,
        )  # fmt: skip
        heat, ambient_c = physics.heating, physics.surroundings.ambient_c
        cooling_s, hottest_c = physics.cooling_s, settings.hottest_c
        passing_s = STEP_S if settings.torque else 0.0
        longest_s = settings.watchdog_s if settings.torque and settings.watchdog_s else inf
        taken = 0
        while taken < steps:
            warmer_c = temperature_c + STEP_S * (heat - (temperature_c - ambient_c) / cooling_s)
            longer_s = silence_s + passing_s
            if longer_s > longest_s or warmer_c > hottest_c:
                break
            temperature_c, silence_s = warmer_c, longer_s
            if overload_s:
                overload_s = max(0.0, overload_s - STEP_S)
            taken += 1
        physics.temperature_c, self._silence_s, self._overload_s = (
            temperature_c, silence_s, overload_s,
        )  # fmt: skip
        return taken

    def _step_once(self) -> bool:
        """Do one step; returns whether the servo has booted and is not overloaded."""
        settings = self._settings
        if settings.version != self.registers.version:
            settings = self._settings = Settings.of(self.registers)
        if self._boot_s > 0.0:
            self._boot_s -= STEP_S
        supply_v = self.physics.surroundings.supply_v
        if supply_v < settings.brown_out_v:
            if self._boot_s <= 0.0:
                self.reboot()
            return False
        if not settings.torque and self.physics.at_rest:
            self.physics.voltage_v = supply_v
            self.physics.warm_up()
        else:
            self._watch_over(settings)
            self.physics.step(self._drive(settings))
        return not self._check_errors(settings) and self._boot_s <= 0.0

    def _watch_over(self, settings: Settings) -> None:
        if not settings.torque:
            self._silence_s = 0.0
            return
        self._silence_s += STEP_S
        if settings.watchdog_s and self._silence_s > settings.watchdog_s:
            self.registers.set('bus_watchdog', WATCHDOG_TRIPPED)
            if self.model.watchdog_stops:
                self._frozen = True
                for name in PROFILE:
                    self.registers.set(name, 0)
                self._settle()

    def _drive(self, settings: Settings) -> Drive:
        mode = settings.mode
        if not settings.torque:
            return _OFF
        if mode == ct.MODE_PWM:
            return Drive('duty', 0.0 if self._frozen else settings.duty, 0.0)
        if mode == ct.MODE_CURRENT:
            effort = 0.0 if self._frozen else settings.effort
            return Drive('effort', effort, settings.limit_a, settings.gains)
        if mode == ct.MODE_VELOCITY:
            target = 0.0 if self._frozen else settings.goal_rad_s
            self._profile.ramp(target, settings.profile[1], STEP_S)
            return Drive('velocity', self._profile.speed_rad_s, settings.limit_a, settings.gains)
        if not self._frozen:
            first, second = settings.profile
            self._profile.advance(settings.goal_rad, first, second, settings.by_time, STEP_S)
        return Drive('position', self._profile.position_rad, settings.limit_a, settings.gains)

    def _check_errors(self, settings: Settings) -> bool:
        """Raise what is wrong; returns whether the motor is overloaded."""
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
        return loaded

    def raise_error(self, bits: int) -> None:
        """Set hardware error bits; those of the shutdown mask switch the torque off."""
        status = self.registers.get('hardware_error_status') | bits
        self.registers.set('hardware_error_status', status)
        if bits & self.registers.get('shutdown') and self.torque:
            self.registers.set('torque_enable', 0)
            self._record('torque_enable')

    def _browned_out(self) -> bool:
        return self.physics.surroundings.supply_v < self._settings.brown_out_v

    # --- state ----------------------------------------------------------------------------------

    def _start(self) -> None:
        """Power up: RAM from its start values or the backup, torque off or on."""
        registers = self.registers
        registers.reset(eeprom=False)
        registers.set('model_information', ct.SIMULATED)
        startup = registers.get('startup_configuration')
        if startup & STARTUP_RESTORE:
            for name, value in self._backup.items():
                registers.set(name, value)
        registers.set('backup_ready', int(bool(self._backup)))
        self._record('torque_enable')
        self._pending = None
        self._frozen = False
        self._silence_s = self._overload_s = 0.0
        self._to_one_turn()
        self._goals_to_limits()
        if startup & STARTUP_TORQUE:
            registers.set('torque_enable', 1)
            self._record('torque_enable')

    def _goals_to_limits(self) -> None:
        """Set the goals as they are at power-up and after a change of mode."""
        for goal, limit in (('goal_current', 'current_limit'), ('goal_pwm', 'pwm_limit')):
            if self.registers.has(goal):
                self.registers.set(goal, self.registers.get(limit))
        mode = self.registers.get('operating_mode')
        if mode in (ct.MODE_PWM, ct.MODE_CURRENT):  # here they would set the motor going
            self.registers.set('goal_pwm' if mode == ct.MODE_PWM else 'goal_current', 0)
        self.registers.set('goal_velocity', 0)
        self._settle()
        self.registers.set('goal_position', self._present_tick())

    def _change_mode(self) -> None:
        """Reset what the e-manual names: gains, profile, goals, and many turns to one."""
        for name in GAINS + PROFILE:
            self.registers.set(name, self.model.initial(name))
        if self.registers.get('operating_mode') == ct.MODE_POSITION:
            self._to_one_turn()
        self._goals_to_limits()

    def _to_one_turn(self) -> None:
        """Forget how many turns it took; the encoder knows one."""
        self.physics.angle_rad %= TICKS_PER_TURN * RAD_PER_TICK
        self.physics.horn_rad = self.physics.angle_rad
        self._settle()

    def _settle(self) -> None:
        """Start the profile from where the shaft is."""
        self._profile.settle(self.physics.angle_rad)
        self._fresh = self.at_rest = False

    def _record(self, name: str) -> None:
        if self.log is not None:
            value, present = self.registers.get(name), self._present_tick()
            self.log.append(
                WriteRecord(self.time_s, self.registers.get('id'), name, value, present)
            )

    def _sign(self) -> int:
        return -1 if self.registers.get('drive_mode') & ct.REVERSE else 1

    def _present_tick(self) -> int:
        offset = self.registers.get('homing_offset')
        return self._sign() * round(self.physics.angle_rad / RAD_PER_TICK) + offset

    def _refresh(self) -> None:
        """Bring the measured registers up to date."""
        if self._fresh:
            return
        self._fresh = True
        physics, put = self.physics, self.registers.measure
        put('present_temperature', round(physics.temperature_c))
        put('realtime_tick', int(self.time_s * 1000) % 32768)
        still = self.at_rest and self._rest[0] == self.registers.version
        if still and self._shown is self._rest:
            return  # the rest is as it was shown
        self._shown = self._rest if still else None
        sign = self._sign()
        speed = sign * velocity_raw(physics.speed_rad_s)
        current = round(sign * physics.current_a / current_unit_a(self.model))
        profile_tick = sign * round(self._profile.position_rad / RAD_PER_TICK)
        put('present_position', self._present_tick())
        put('present_velocity', speed)
        put('present_current', current)
        put(
            'present_pwm',
            round(PWM_FULL * current * current_unit_a(self.model) / physics.stall_current_a),
        )
        put('present_input_voltage', round(physics.voltage_v / VOLTAGE_UNIT_V))
        put('position_trajectory', profile_tick + self.registers.get('homing_offset'))
        put('velocity_trajectory', sign * velocity_raw(self._profile.speed_rad_s))
        moving = abs(speed) > self.registers.get('moving_threshold')
        put('moving', int(moving))
        put('moving_status', self._moving_status())

    def _moving_status(self) -> int:
        """Return arrival, profile, following error and shape of the profile as bits."""
        if self._settings.mode not in POSITION_MODES:
            return 0
        angle, profile = self.physics.angle_rad, self._profile
        arrived = abs(self._settings.goal_rad - angle) <= IN_POSITION_TICKS * RAD_PER_TICK
        lost = abs(profile.position_rad - angle) > FOLLOWING_TICKS * RAD_PER_TICK
        return arrived | profile.ongoing << 1 | lost << 3 | profile.shape << 4


def _baud_code(baud: int) -> int:
    return next(code for code, rate in BAUD_RATES.items() if rate == baud)
