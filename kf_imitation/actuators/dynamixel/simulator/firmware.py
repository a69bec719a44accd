"""The firmware of one simulated servo: what happens inside it while time passes; pure.

Between the registers (register_file.py) and the physics (physics.py). What a host can ask
for over the bus is servo.py.
"""

from dataclasses import dataclass

from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.actuators.dynamixel.control_tables import ServoModel
from kf_imitation.actuators.dynamixel.simulator.physics import STEP_S, Drive, ServoPhysics
from kf_imitation.actuators.dynamixel.simulator.profile import Profile
from kf_imitation.actuators.dynamixel.simulator.register_file import RegisterFile
from kf_imitation.actuators.dynamixel.simulator.settings import PWM_FULL, REVERSE, Settings
from kf_imitation.actuators.dynamixel.units import (
    RAD_PER_TICK,
    TICKS_PER_TURN,
    VOLTAGE_UNIT_V,
    WATCHDOG_TRIPPED,
    current_unit_a,
    velocity_raw,
)

BOOT_S = 0.25  # deaf after power-up and reboot
OVERLOAD_S = 1.5  # above OVERLOAD_FRACTION of the stall current for this long: overload
OVERLOAD_FRACTION = 0.6
STARTUP_TORQUE, STARTUP_RESTORE = 1, 2  # bits of startup_configuration
IN_POSITION_TICKS = 20
FOLLOWING_TICKS = 100
POSITION_MODES = (ct.MODE_POSITION, ct.MODE_EXTENDED_POSITION, ct.MODE_CURRENT_BASED_POSITION)
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


class ServoFirmware:
    """Registers, control loop and protections of one servo.

    Attributes:
        registers: the control table with its content.
        physics: mechanics; `physics.surroundings` is what faults change.
        log: accepted writes when a list was given, shared by all servos of a line.
        dead: deaf and dumb (cable, broken electronics).
    """

    def __init__(
        self,
        model: ServoModel,
        present_tick: int = 2048,
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
        self._settings = Settings.of(self.registers)

    @property
    def listening(self) -> bool:
        """Powered, booted and connected."""
        return not self.dead and self._boot_s <= 0.0 and not self._browned_out()

    @property
    def torque(self) -> bool:
        """Whether the motor is driven."""
        return bool(self.registers.get('torque_enable'))

    def step(self, duration_s: float) -> None:
        """Let time pass; whole steps of STEP_S, the rest is kept for the next call."""
        self.time_s += duration_s
        target = int(self.time_s / STEP_S + 1e-6)
        while self._steps < target:
            self._steps += 1
            self._step_once()
        self._fresh = False

    def reboot(self) -> None:
        """Restart: RAM is lost, torque off, deaf for BOOT_S."""
        self._start()
        self._boot_s = BOOT_S

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
            self.log.append(
                WriteRecord(self.time_s, self.registers.get('id'), name, value, present)
            )

    def _start(self) -> None:
        """Power up: RAM from its start values or the backup, torque off or on."""
        registers = self.registers
        registers.reset(eeprom=False)
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
            self.registers.set(name, self.model.registers[name].initial)
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
        self._fresh = False

    def _step_once(self) -> None:
        settings = self._settings
        if settings.version != self.registers.version:
            settings = self._settings = Settings.of(self.registers)
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

    def _check_errors(self, settings: Settings) -> None:
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
        return -1 if self.registers.get('drive_mode') & REVERSE else 1

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
        profile_tick = sign * round(self._profile.position_rad / RAD_PER_TICK)
        put('present_position', self._present_tick())
        put('present_velocity', speed)
        put('present_current', current)
        put(
            'present_pwm',
            round(PWM_FULL * current * current_unit_a(self.model) / physics.stall_current_a),
        )
        put('present_input_voltage', round(physics.voltage_v / VOLTAGE_UNIT_V))
        put('present_temperature', round(physics.temperature_c))
        put('position_trajectory', profile_tick + self.registers.get('homing_offset'))
        put('velocity_trajectory', sign * velocity_raw(self._profile.speed_rad_s))
        put('realtime_tick', int(self.time_s * 1000) % 32768)
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
