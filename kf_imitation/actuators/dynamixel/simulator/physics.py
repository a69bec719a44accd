"""Motion, current, heat and voltage of one simulated servo; pure, in rad, A, °C and V.

A damped second-order position loop around a motor with limited torque and speed, dry friction,
gear backlash, and one thermal mass. The figures are of the size of the real servos, not
identified from them; docs/simulator.md lists them.
"""

import math
from dataclasses import dataclass

STEP_S = 0.002  # integration step; the loop below is stable up to 8 ms


@dataclass(slots=True)
class Surroundings:
    """What acts on the servo from outside; faults change it.

    Attributes:
        supply_v: voltage of the power supply.
        line_ohm: resistance of the cable, voltage drops with current.
        ambient_c: temperature around it.
        load: torque of the face on the horn as a fraction of the stall torque, signed.
        blocked: the horn cannot move.
    """

    supply_v: float
    line_ohm: float = 0.1
    ambient_c: float = 25.0
    load: float = 0.0
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class Gains:
    """Controller gains relative to the factory's.

    Attributes:
        stiffness: of position_p_gain; its root is the natural frequency.
        damping: of position_d_gain.
        integral: fraction of the stiffness that acts on the integral of the error [1/s].
        velocity: of velocity_p_gain.
        output: goal_pwm, bound of the output, 0..1.
    """

    stiffness: float = 1.0
    damping: float = 1.0
    integral: float = 0.0
    velocity: float = 1.0
    output: float = 1.0


FACTORY = Gains()


@dataclass(slots=True)
class Drive:
    """What the firmware asks of the motor in this step.

    Attributes:
        mode: 'off', 'position', 'velocity', 'effort' (fraction of the stall torque) or 'duty'.
        target: of that mode: rad after the profile, rad/s, or -1..1.
        current_limit_a: bound of the current.
        gains: of the loops.
    """

    mode: str
    target: float
    current_limit_a: float
    gains: Gains = FACTORY


class ServoPhysics:
    """State of one servo's mechanics.

    Attributes:
        angle_rad: of the output shaft where the encoder sits.
        speed_rad_s: of it.
        current_a: signed motor current.
        temperature_c: of the case.
        voltage_v: at the servo.
    """

    stiffness_hz = 16.0  # natural frequency of the position loop
    damping = 0.9
    inertia_s = 0.03  # from stall to no-load speed at full current
    friction = 0.02  # dry friction, fraction of the stall torque
    backlash_rad = 0.004  # play behind the encoder
    heat_c_per_a2_s = 0.6  # heating by current squared
    cooling_s = 300.0  # time constant of the case

    def __init__(
        self, stall_current_a: float, no_load_speed_rad_s: float, nominal_v: float, angle: float
    ) -> None:
        self.stall_current_a = stall_current_a
        self.no_load_speed_rad_s = no_load_speed_rad_s
        self.nominal_v = nominal_v
        self.surroundings = Surroundings(supply_v=nominal_v)
        self.angle_rad = angle
        self.horn_rad = angle
        self.speed_rad_s = 0.0
        self.current_a = 0.0
        self._integral_rad_s = 0.0
        self.temperature_c = self.surroundings.ambient_c
        self.voltage_v = nominal_v

    @property
    def at_rest(self) -> bool:
        """Nothing moves and no current flows."""
        return self.speed_rad_s == 0.0 and self.current_a == 0.0

    @property
    def state(self) -> tuple[float | bool, ...]:
        """Return all that the next step depends on, but for the drive and the temperature."""
        around = self.surroundings
        return (
            self.angle_rad,
            self.horn_rad,
            self.speed_rad_s,
            self.current_a,
            self.voltage_v,
            self._integral_rad_s,
            around.supply_v,
            around.line_ohm,
            around.load,
            around.blocked,
        )

    @property
    def heating(self) -> float:
        """Warming by the present current [°C/s]."""
        return self.heat_c_per_a2_s * self.current_a**2

    def warm_up(self) -> None:
        """Let the current heat and the air cool for STEP_S."""
        excess_c = self.temperature_c - self.surroundings.ambient_c
        self.temperature_c += STEP_S * (self.heating - excess_c / self.cooling_s)

    def step(self, drive: Drive) -> None:
        """Advance by STEP_S."""
        around = self.surroundings
        self.voltage_v = max(0.0, around.supply_v - around.line_ohm * abs(self.current_a))
        power = min(1.2, self.voltage_v / self.nominal_v)
        top_speed = self.no_load_speed_rad_s * power
        full = self.no_load_speed_rad_s / self.inertia_s  # rad/s² at the stall current
        torque = self._torque(drive, top_speed, power, full)
        self.current_a = torque * self.stall_current_a
        self._move((torque - around.load) * full, full, top_speed)
        self.warm_up()

    def _torque(self, drive: Drive, top_speed: float, power: float, full: float) -> float:
        """Return the motor's torque as a fraction of the stall torque."""
        if drive.mode == 'off':
            self._integral_rad_s = 0.0
            return 0.0
        if drive.mode == 'duty':  # voltage against back EMF, nothing else
            return max(-1.0, min(1.0, drive.target * power - self._spent()))
        if drive.mode == 'effort':
            asked = wanted = drive.target
        else:
            wanted = self._wanted_acceleration(drive, top_speed, full)
            asked = wanted / full + self.surroundings.load
        # Back EMF leaves less current the faster the servo turns the same way.
        spent = abs(self.speed_rad_s) / top_speed if top_speed else 1.0
        left = drive.gains.output
        left = power * (left - spent) if self.speed_rad_s * wanted > 0.0 else power * left
        limit = max(0.0, min(drive.current_limit_a / self.stall_current_a, left))
        return max(-limit, min(limit, asked))

    def _spent(self) -> float:
        """Return the back EMF as a fraction of the nominal voltage, signed."""
        return self.speed_rad_s / self.no_load_speed_rad_s

    def _wanted_acceleration(self, drive: Drive, top_speed: float, full: float) -> float:
        omega, gains = 2.0 * math.pi * self.stiffness_hz, drive.gains
        if drive.mode == 'velocity':
            target = max(-top_speed, min(top_speed, drive.target))
            return omega * gains.velocity * (target - self.speed_rad_s)
        error = drive.target - self.angle_rad
        spring = omega * omega * gains.stiffness * error
        if gains.integral:
            stiffness = omega * omega * gains.integral
            most = full / stiffness  # no more than the motor can give: no wind-up
            integral = self._integral_rad_s + STEP_S * error
            self._integral_rad_s = max(-most, min(most, integral))
            spring += stiffness * self._integral_rad_s
        return spring - 2.0 * self.damping * gains.damping * omega * self.speed_rad_s

    def _move(self, acceleration: float, full: float, top_speed: float) -> None:
        if self.surroundings.blocked:
            self.speed_rad_s = 0.0
            return
        stick = self.friction * full
        if self.speed_rad_s == 0.0 and abs(acceleration) <= stick:
            return
        direction = math.copysign(1.0, self.speed_rad_s or acceleration)
        speed = self.speed_rad_s + STEP_S * (acceleration - direction * stick)
        if self.speed_rad_s * speed < 0.0 and abs(acceleration) <= stick:
            speed = 0.0  # friction stops, it does not push back
        if self.current_a == 0.0:
            speed *= math.exp(-STEP_S / self.inertia_s)  # the shorted motor brakes
            speed = 0.0 if abs(speed) < 1e-4 else speed
        self.speed_rad_s = max(-top_speed, min(top_speed, speed)) if top_speed else 0.0
        self.angle_rad += STEP_S * self.speed_rad_s
        play = self.backlash_rad / 2.0
        self.horn_rad = max(self.angle_rad - play, min(self.angle_rad + play, self.horn_rad))
