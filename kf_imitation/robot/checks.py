"""Rules of robot files that need more than one key."""

from collections.abc import Sequence

from kf_imitation.actuators.dynamixel.units import current_unit_a, travel_rad
from kf_imitation.data_types import ANGLE_CHANNELS
from kf_imitation.robot.model import (
    NO_PORT,
    SIMULATED_PORT,
    JointConfig,
    RobotConfig,
    ThermalLimits,
)


def cross_faults(robot: RobotConfig, sound: Sequence[JointConfig]) -> list[str]:
    """Check what needs more than one key; a number that is faulty by itself is NaN and passes."""
    faults = []
    if robot.thermal.rest_above_c <= robot.thermal.derate_above_c:
        faults.append(
            f'thermal.rest_above_c = {robot.thermal.rest_above_c:g} must be above '
            f'thermal.derate_above_c = {robot.thermal.derate_above_c:g}'
        )
    for joint in sound:
        faults += _joint_faults(joint, robot.thermal)
    faults += _bus_faults(robot)
    neutral = {joint.name: joint.neutral_rad for joint in robot.joints}
    for limit in robot.coupled_limits if neutral else ():  # without joints that is the fault
        unknown = [name for name in limit.terms if name not in neutral]
        faults += [f'coupled limit {limit.name!r}: {name} is not a joint' for name in unknown]
        if unknown:
            continue
        value = sum(factor * neutral[name] for name, factor in limit.terms.items())
        if value > limit.maximum_rad:
            faults.append(
                f'coupled limit {limit.name!r}: neutral gives {value:.3f}, '
                f'must be {limit.maximum_rad:g} or less'
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
    if not low <= joint.neutral_rad <= high:
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
    shutdown_c = servo.initial('temperature_limit')
    if thermal.rest_above_c >= shutdown_c:
        faults.append(
            f'thermal.rest_above_c = {thermal.rest_above_c:g} must be below {shutdown_c}, '
            f'where {joint.name} ({joint.model}) shuts itself off'
        )
    for channel, alpha in joint.channels.items():
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
