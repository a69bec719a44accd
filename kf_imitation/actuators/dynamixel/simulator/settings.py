"""What the firmware of a simulated servo takes from its registers in every step, in SI units."""

from dataclasses import dataclass

from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.actuators.dynamixel.simulator.physics import Gains
from kf_imitation.actuators.dynamixel.simulator.register_file import RegisterFile
from kf_imitation.actuators.dynamixel.units import (
    RAD_PER_TICK,
    VOLTAGE_UNIT_V,
    WATCHDOG_TRIPPED,
    WATCHDOG_UNIT_S,
    acceleration_rad_s2,
    current_unit_a,
    velocity_rad_s,
)

BROWN_OUT = 0.6  # of the lowest permitted voltage: below it the controller resets
STIFFEST = 9.0  # times the factory's position_p_gain; the integration step allows no more
MILLISECOND = 0.001


@dataclass(frozen=True, slots=True)
class Settings:
    """Registers of one version of the register file, converted.

    Attributes:
        profile: top speed and acceleration, or total time and ramp time if by_time.
        effort: goal of the current mode, fraction of the stall current.
        duty: goal of the PWM mode, -1..1.
        limit_a: bound of the current.
        watchdog_s: 0 when it is off or has tripped.
    """

    version: int
    torque: bool
    mode: int
    goal_rad: float
    goal_rad_s: float
    effort: float
    duty: float
    by_time: bool
    profile: tuple[float, float]
    gains: Gains
    limit_a: float
    watchdog_s: float
    lowest_v: float
    highest_v: float
    brown_out_v: float
    hottest_c: float
    errors: int

    @classmethod
    def of(cls, registers: RegisterFile) -> 'Settings':
        """Convert what the registers hold now."""
        get = registers.get
        mode, drive = get('operating_mode'), get('drive_mode')
        sign = -1 if drive & ct.REVERSE else 1
        effort, limit_a = _current(registers, mode)
        watchdog = get('bus_watchdog')
        lowest_v = get('min_voltage_limit') * VOLTAGE_UNIT_V
        first, second = float(get('profile_velocity')), float(get('profile_acceleration'))
        by_time = bool(drive & ct.TIME_BASED) and mode != ct.MODE_VELOCITY
        return cls(
            version=registers.version,
            torque=bool(get('torque_enable')),
            mode=mode,
            goal_rad=(get('goal_position') - get('homing_offset')) * RAD_PER_TICK * sign,
            goal_rad_s=velocity_rad_s(float(get('goal_velocity'))) * sign,
            effort=effort * sign,
            duty=get('goal_pwm') / ct.PWM_FULL * sign,
            by_time=by_time,
            profile=(first * MILLISECOND, second * MILLISECOND)
            if by_time
            else (velocity_rad_s(first), acceleration_rad_s2(second)),
            gains=_gains(registers),
            limit_a=limit_a,
            watchdog_s=0.0 if watchdog == WATCHDOG_TRIPPED else watchdog * WATCHDOG_UNIT_S,
            lowest_v=lowest_v,
            highest_v=get('max_voltage_limit') * VOLTAGE_UNIT_V,
            brown_out_v=BROWN_OUT * lowest_v,
            hottest_c=get('temperature_limit'),
            errors=get('hardware_error_status'),
        )


def _current(registers: RegisterFile, mode: int) -> tuple[float, float]:
    """Return goal current as a fraction of the stall current, and the limit [A]."""
    model = registers.model
    if not registers.has('current_limit'):
        return 0.0, model.stall_current_a
    unit = current_unit_a(model)
    goal = registers.get('goal_current')
    based = mode == ct.MODE_CURRENT_BASED_POSITION
    limit = abs(goal) if based else registers.get('current_limit')
    return unit * goal / model.stall_current_a, unit * limit


def _gains(registers: RegisterFile) -> Gains:
    """Return gains relative to the factory's, which stand for the damped loop of the physics."""
    initial = registers.model.initial
    proportional = registers.get('position_p_gain')
    factory_p = initial('position_p_gain')
    more_d = registers.get('position_d_gain') - initial('position_d_gain')
    # K_P = P / 128 and K_I = I / 65536 per control period of 1 ms.
    integral = registers.get('position_i_gain') / 65536 / (factory_p / 128) / MILLISECOND
    velocity = registers.get('velocity_p_gain') / initial('velocity_p_gain')
    return Gains(
        stiffness=min(STIFFEST, proportional / factory_p),
        damping=max(0.2, min(3.0, 1.0 + more_d / 4000)),
        integral=integral,
        velocity=min(STIFFEST, velocity),
        output=min(abs(registers.get('goal_pwm')), registers.get('pwm_limit')) / ct.PWM_FULL,
    )
