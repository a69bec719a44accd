"""What the registers of a servo say before torque goes on, against the robot file; reads only.

A register that decides what a goal means (mode, direction, offset, turns, limits) and is not what
the robot file counts on keeps torque off. EEPROM is put right by `servo commission` only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from kf_imitation.actuators.bus import ServoBus
from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.actuators.dynamixel import units
from kf_imitation.robot import JointConfig

# Read in two exchanges: EEPROM, and the RAM up to the measured values.
EEPROM = (0, 64)
RAM = (64, 83)
# What decides where a goal leads and how hard the servo pushes: nobody changes it in motion.
WATCHED_EEPROM = (
    'return_delay_time',
    'drive_mode',
    'operating_mode',
    'secondary_id',
    'homing_offset',
    'temperature_limit',
    'max_voltage_limit',
    'min_voltage_limit',
    'pwm_limit',
    'current_limit',
    'velocity_limit',
    'max_position_limit',
    'min_position_limit',
    'startup_configuration',
    'pwm_slope',
    'shutdown',
)
ANGLE_MARGIN_RAD = 0.002  # a limit in the servo may be narrower by rounding
COMMISSION = 'kf_imitation servo commission puts it right'

_DRIVE_BITS = {
    ct.REVERSE: 'turns in reverse',
    ct.DUAL_SLAVE: 'follows another servo as a slave',
    ct.TIME_BASED: 'takes profiles as times',
    ct.TORQUE_BY_GOAL: 'switches torque on with every goal',
}


@dataclass(slots=True)
class Inspection:
    """What was found in one servo, one sentence each.

    Attributes:
        errors: keep torque off.
        warnings: worth knowing.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_registers(bus: ServoBus, joint: JointConfig) -> dict[str, int]:
    """Return what one servo's control table holds, by name, without indirect addresses.

    Raises:
        BusError: it does not answer.
    """
    values: dict[str, int] = {}
    for first, length in (EEPROM, RAM):
        values |= decode(joint.servo, first, bus.read(joint.id, first, length))
    return values


def decode(model: ct.ServoModel, first: int, data: bytes) -> dict[str, int]:
    """Return the registers that lie in a block of memory, by name."""
    return {
        name: int.from_bytes(data[begin:end], 'little', signed=signed)
        for name, begin, end, signed in _layout(model.name, first, len(data))
    }


@cache
def _layout(model: str, first: int, length: int) -> tuple[tuple[str, int, int, bool], ...]:
    """Return name, begin, end and sign of the registers in a block; a cycle has no time for it."""
    return tuple(
        (name, register.address - first, register.address - first + register.size, register.signed)
        for name, register in ct.MODELS[model].registers.items()
        if first <= register.address and register.address + register.size <= first + length
    )


def is_simulated(values: Mapping[str, int]) -> bool:
    """Whether a servo says that it is a simulated one."""
    return values['model_information'] == ct.SIMULATED


def inspect(
    joint: JointConfig, values: Mapping[str, int], agreed: Mapping[str, int] | None = None
) -> Inspection:
    """Compare one servo with its joint of the robot file.

    Args:
        joint: of the robot file.
        values: of read_registers().
        agreed: registers that the owner settled when the head was commissioned: homing offset,
            gains; None counts on those of the factory.
    """
    found = Inspection()
    _check_meaning_of_goals(joint, values, agreed or {}, found)
    _check_limits(joint, values, found)
    _check_protection(joint, values, found)
    return found


def settled_registers(joint: JointConfig) -> dict[str, int]:
    """Return the EEPROM bytes that a head counts on and `servo commission` writes."""
    return {
        'return_delay_time': 0,
        'drive_mode': 0,
        'operating_mode': joint.servo.position_mode,
        'secondary_id': joint.servo.initial('secondary_id'),
        'startup_configuration': 0,
        'shutdown': joint.servo.initial('shutdown'),
    }


def goal_current_raw(joint: JointConfig, fraction: float = 1.0) -> int:
    """Return the register value of a joint's force limit, at least 1."""
    return max(1, units.current_raw(fraction * joint.max_current_a, joint.servo))


def _check_meaning_of_goals(
    joint: JointConfig, values: Mapping[str, int], agreed: Mapping[str, int], found: Inspection
) -> None:
    mode, wanted = values['operating_mode'], joint.servo.position_mode
    if mode != wanted:
        found.errors.append(
            f'is in mode {mode} ({ct.MODE_NAMES.get(mode, "unknown")}), must be in {wanted} '
            f'({ct.MODE_NAMES[wanted]}): {COMMISSION}'
        )
    drive = values['drive_mode']
    if drive:
        what = ', '.join(text for bit, text in _DRIVE_BITS.items() if drive & bit)
        found.errors.append(f'has drive_mode {drive} ({what or "?"}), must be 0: {COMMISSION}')
    if (other := values['secondary_id']) <= ct.LAST_ID:
        found.errors.append(
            f'does what servo {other} is told, too (secondary_id {other}): {COMMISSION}'
        )
    offset = values['homing_offset']
    if offset != agreed.get('homing_offset', 0):
        degrees = math.degrees(offset * units.RAD_PER_TICK)
        was = agreed.get('homing_offset', 0)
        found.errors.append(
            f'has a homing_offset of {offset} ({degrees:.0f} degrees), must be {was}: {COMMISSION}'
        )
    if not drive:  # in reverse it counts from elsewhere
        _check_turn(joint, values, found)


def _check_turn(joint: JointConfig, values: Mapping[str, int], found: Inspection) -> None:
    """A servo counts on from the one turn in which it wakes up; limits must lie inside it."""
    start = values['homing_offset']
    end = start + units.TICKS_PER_TURN - 1
    present = values['present_position']
    if not start <= present <= end:
        turns = (present - start) // units.TICKS_PER_TURN
        found.errors.append(
            f'stands at {present}, {abs(turns)} turn{"s" if abs(turns) != 1 else ""} away from '
            f'its own [{start}, {end}] (extended position mode, or turned by hand): turn it back '
            'by hand and switch its power off and on'
        )
    ticks = sorted(units.ticks(a, joint.zero_tick, joint.direction) for a in joint.limits_rad)
    if ticks[0] < start or ticks[1] > end:
        found.errors.append(
            f'begins its turn inside limits_rad: {ticks[0]} to {ticks[1]} must be inside '
            f'[{start}, {end}], so change homing_offset, or mount the horn on another tooth'
        )


def _check_limits(joint: JointConfig, values: Mapping[str, int], found: Inspection) -> None:
    ends = own_limits_rad(joint, values)
    low, high = joint.limits_rad
    if ends[0] > low + ANGLE_MARGIN_RAD or ends[1] < high - ANGLE_MARGIN_RAD:
        found.errors.append(
            f'has its own position limits [{ends[0]:.2f}, {ends[1]:.2f}] rad, narrower than '
            f'limits_rad [{low:.2f}, {high:.2f}], and current-based mode ignores them: narrow '
            'limits_rad, or kf_imitation servo limits --write'
        )
    if 'current_limit' in values:
        limit, wanted = values['current_limit'], goal_current_raw(joint)
        if limit < wanted:
            unit = units.current_unit_a(joint.servo)
            found.errors.append(
                f'has a current_limit of {limit} ({limit * unit:.2f} A), below max_current_a '
                f"{joint.max_current_a:g}: lower that one, or raise the servo's"
            )
    top = units.velocity_rad_s(float(values['velocity_limit']))
    usual = units.velocity_rad_s(float(joint.servo.initial('velocity_limit')))
    if top < min(usual, joint.max_velocity_rad_s) - 0.03:
        found.errors.append(
            f'has a velocity_limit of {top:.2f} rad/s, below max_velocity_rad_s '
            f"{joint.max_velocity_rad_s:g}: lower that one, or raise the servo's"
        )
    share = values['pwm_limit'] / ct.PWM_FULL
    if share * joint.servo.no_load_speed_rad_s < joint.max_velocity_rad_s - 0.03:
        found.errors.append(
            f'has a pwm_limit of {values["pwm_limit"]} ({100 * share:.0f} %), too little for '
            f'max_velocity_rad_s {joint.max_velocity_rad_s:g}: lower that one, or raise the '
            "servo's"
        )


def own_limits_rad(joint: JointConfig, values: Mapping[str, int]) -> tuple[float, float]:
    """Return the servo's own lowest and highest position as joint angles."""
    ends = sorted(
        units.position_rad(float(values[name]), float(joint.zero_tick), float(joint.direction))
        for name in ('min_position_limit', 'max_position_limit')
    )
    return ends[0], ends[1]


def _check_protection(joint: JointConfig, values: Mapping[str, int], found: Inspection) -> None:
    factory = joint.servo.initial('shutdown')
    missing = factory & ~values['shutdown']
    if missing:
        found.errors.append(
            f'does not shut itself off on {ct.hardware_error_text(missing)} (shutdown '
            f'{values["shutdown"]}, from the factory {factory}): {COMMISSION}'
        )
    if values['startup_configuration'] & 1:
        found.errors.append(
            f'switches torque on by itself at power-up (startup_configuration): {COMMISSION}'
        )
    hottest, usual = values['temperature_limit'], joint.servo.initial('temperature_limit')
    if hottest > usual:
        found.warnings.append(f'shuts itself off at {hottest} °C only, from the factory {usual}')
    volts = values['present_input_voltage'] * units.VOLTAGE_UNIT_V
    low, high = joint.servo.supply_v
    if not low - 1e-9 <= volts <= high + 1e-9:
        found.errors.append(
            f'gets {volts:.1f} V, needs {low:g} to {high:g} V ({joint.model}): check the power '
            'supply'
        )
    delay = values['return_delay_time']
    if delay:
        found.warnings.append(
            f'waits {1e6 * delay * units.RETURN_DELAY_UNIT_S:.0f} µs before each reply, which '
            f'slows the bus down: {COMMISSION}'
        )
