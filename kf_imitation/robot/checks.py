"""Rules of robot files that need more than one key."""

from collections.abc import Sequence

from kf_imitation.actuators.dynamixel.units import current_unit_a, travel_rad
from kf_imitation.data_types import ANGLE_CHANNELS
from kf_imitation.errors import counted
from kf_imitation.robot.cycle_budget import cycle_budget
from kf_imitation.robot.model import (
    NO_PORT,
    SIMULATED_PORT,
    CoupledLimit,
    JointConfig,
    RobotConfig,
    ThermalLimits,
)

# Less of the stall current than this hardly turns the gears of a servo: the simulated joints that
# carry nothing begin to follow at 0.05.
LEAST_FORCE = 0.05
# Temperatures are whole degrees; with less between the two a head would stop where it slows down.
LEAST_DERATING_C = 2
LEAST_RATE_HZ = 10.0  # the lowest rate_hz of the servo node
LEAST_FACTOR = 0.01  # of a joint in a coupled limit


def cross_faults(robot: RobotConfig, sound: Sequence[JointConfig]) -> list[str]:
    """Check what needs more than one key; a number that is faulty by itself is NaN and passes."""
    faults = []
    if robot.thermal.rest_above_c < robot.thermal.derate_above_c + LEAST_DERATING_C:
        faults.append(
            f'thermal.rest_above_c = {robot.thermal.rest_above_c:g} must be {LEAST_DERATING_C} or '
            f'more above thermal.derate_above_c = {robot.thermal.derate_above_c:g}'
        )
    for joint in sound:
        faults += _joint_faults(joint, robot.thermal)
    faults += _bus_faults(robot)
    for limit in robot.coupled_limits if robot.joints else ():  # without joints that is the fault
        faults += _coupled_faults(limit, robot)
    return faults


def _coupled_faults(limit: CoupledLimit, robot: RobotConfig) -> list[str]:
    joints = {joint.name: joint for joint in robot.joints}
    subject = f'coupled limit {limit.name!r}: '
    faults = [f'{subject}{name} is not a joint' for name in limit.terms if name not in joints]
    faults += [
        f'{subject}terms.{name} = {factor:g} must be {LEAST_FACTOR:g} or more, or '
        f'{-LEAST_FACTOR:g} or less'
        for name, factor in limit.terms.items()
        if abs(factor) < LEAST_FACTOR
    ]
    if faults:
        return faults
    neutral = sum(factor * joints[name].neutral_rad for name, factor in limit.terms.items())
    if neutral > limit.maximum_rad:
        faults.append(
            f'{subject}neutral gives {neutral:.3f}, must be {limit.maximum_rad:g} or less'
        )
    most = sum(max(factor * rad for rad in joints[name].limits_rad)
               for name, factor in limit.terms.items())  # fmt: skip
    if most <= limit.maximum_rad:
        faults.append(
            f'{subject}maximum_rad = {limit.maximum_rad:g} limits nothing, it must be below '
            f'{most:.3f}, which the joints can reach'
        )
    return faults


def _bus_faults(robot: RobotConfig) -> list[str]:
    names = [line.name for line in robot.lines]
    known = f'must be one of buses: {", ".join(names)}' if robot.buses else 'needs buses'
    faults = [
        f'joints.{joint.name}.bus = {joint.bus!r} {known}'
        for joint in robot.joints
        if joint.bus not in names
    ]
    for line in robot.lines:
        servos = sum(joint.bus == line.name for joint in robot.joints)
        rate_hz = cycle_budget(servos, line.baud).rate_hz
        if rate_hz < LEAST_RATE_HZ:
            key = f'buses.{line.name}.baud' if robot.buses else 'baud'
            faults.append(
                f'{key} = {line.baud} must be so high that {counted(servos, "servo")} can be '
                f'driven {LEAST_RATE_HZ:g} times a second, not {rate_hz:.1f} times'
            )
    used = {joint.bus for joint in robot.joints}
    if used:
        faults += [f'buses.{name} has no joint' for name in names if name not in used]
    ports = [bus.port for bus in robot.buses]
    if NO_PORT in ports:
        faults.append(f'buses: port = {NO_PORT!r} is for a head without buses')
    devices = [port for port in ports if port != SIMULATED_PORT]
    if devices and len(devices) < len(ports):
        faults.append('buses: all must be simulated, or none')
    if twice := sorted({port for port in devices if devices.count(port) > 1}):
        faults.append(f'buses: {", ".join(twice)} is the port of two')
    return faults


def duplicates(joints: object) -> list[str]:
    """Find names and ids that several joints of the document share."""
    items = [j if isinstance(j, dict) else {} for j in joints] if isinstance(joints, list) else []
    faults = []
    for what, kind in (('name', str), ('id', int)):
        values = [v if type(v := item.get(what)) is kind else None for item in items]
        for value in sorted({v for v in values if v is not None and values.count(v) > 1}):
            holders = [f'joints[{i}]' for i, v in enumerate(values) if v == value]
            faults.append(f'{what} = {value!r} is used by {", ".join(holders)}; must be unique')
    return faults


def _joint_faults(joint: JointConfig, thermal: ThermalLimits) -> list[str]:
    faults = []
    prefix = f'joints.{joint.name}.'
    low, high = joint.limits_rad
    rests_inside = low <= joint.neutral_rad <= high
    if not rests_inside:
        faults.append(
            f'{prefix}neutral_rad = {joint.neutral_rad:g} must be inside '
            f'limits_rad = [{low:g}, {high:g}]'
        )
    first, last = travel_rad(joint.zero_tick, joint.direction)
    if low < first or high > last:
        faults.append(
            f"{prefix}limits_rad = [{low:g}, {high:g}] must be inside the servo's one turn, "
            f'[{first:.3f}, {last:.3f}] with zero_tick = {joint.zero_tick}'
        )
    servo = joint.servo
    if joint.max_velocity_rad_s > servo.no_load_speed_rad_s:
        faults.append(
            f'{prefix}max_velocity_rad_s = {joint.max_velocity_rad_s:g} must be '
            f'{servo.no_load_speed_rad_s:g} or less (no-load speed of {joint.model})'
        )
    limit = servo.registers.get('current_limit')
    largest = limit.maximum * current_unit_a(servo) if limit else servo.stall_current_a
    if joint.max_current_a > largest:
        faults.append(
            f'{prefix}max_current_a = {joint.max_current_a:g} must be {largest:.3g} or less '
            f'({joint.model})'
        )
    least = LEAST_FORCE * servo.stall_current_a
    if joint.max_current_a < least:
        faults.append(
            f'{prefix}max_current_a = {joint.max_current_a:g} must be {least:.3g} or more: '
            f'less hardly moves a {joint.model} that carries nothing'
        )
    shutdown_c = servo.initial('temperature_limit')
    if thermal.rest_above_c >= shutdown_c:
        faults.append(
            f'thermal.rest_above_c = {thermal.rest_above_c:g} must be below {shutdown_c}, '
            f'where {joint.name} ({joint.model}) shuts itself off'
        )
    for channel, alpha in joint.channels.items() if rests_inside else ():
        if channel in ANGLE_CHANNELS and channel not in joint.curves:
            continue
        for rad in [angle for _, angle in joint.curves.get(channel, ((1.0, alpha),))]:
            goal = joint.neutral_rad + rad
            if not low - 1e-9 <= goal <= high + 1e-9:
                faults.append(
                    f'{prefix}channels.{channel} = {rad:g} moves the joint to {goal:g}, '
                    f'must stay inside limits_rad = [{low:g}, {high:g}]'
                )
    return faults
