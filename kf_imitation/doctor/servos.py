"""Checks of every servo against the robot file, over the bus; nothing is written."""

from collections.abc import Iterator

from kf_imitation.actuators.bus import PingReply, ServoBus
from kf_imitation.actuators.bus_group import BusGroup
from kf_imitation.actuators.dynamixel import units
from kf_imitation.actuators.dynamixel.control_tables import (
    BAUD_RATES,
    hardware_error_text,
    model_name,
)
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.doctor.finding import ERROR, OK, WARN, Finding
from kf_imitation.doctor.port import check_latency
from kf_imitation.errors import BusError, ConfigError
from kf_imitation.head.bus_factory import SIMULATED, SimulatorProcessBus, make_bus
from kf_imitation.head.commissioning import Commissioning
from kf_imitation.head.servo_inspection import read_registers
from kf_imitation.robot import JointConfig, RobotConfig
from kf_imitation.robot.cycle_budget import budget_text, fits
from kf_imitation.robot.model import PORTS_APART

RATE_HZ = 100.0
SDK_FASTEST = 4_000_000  # the Dynamixel SDK opens no port beyond


def check_servos(robot: RobotConfig, port: str) -> Iterator[Finding]:
    """Open the bus, check every servo, close it again."""
    enough = fits(robot, RATE_HZ)
    remedy = '' if enough else ': raise baud, of the servos first (kf_imitation servo set-baud)'
    sentence = budget_text(robot, RATE_HZ)
    yield Finding(OK if enough else WARN, 'bus time', sentence + remedy)
    bus = make_bus(robot, port)
    try:
        bus.open()
        if port != SIMULATED:
            for one in port.split(PORTS_APART):
                yield from check_latency(one, opened=True)
        yield from _ask(robot, bus)
    except BusError as error:
        yield Finding(ERROR, f'bus on {port}', str(error))
    finally:
        bus.shutdown()


def _ask(robot: RobotConfig, bus: ServoBus) -> Iterator[Finding]:
    places = {joint.id: joint.bus for joint in robot.joints}
    by_bus = bus.scan_lines() if isinstance(bus, BusGroup) else {'': bus.scan()}
    found: dict[int, PingReply] = {}
    astray: dict[int, str] = {}  # on another bus than the robot file says
    for name, replies in by_bus.items():
        for reply in replies:
            if len(by_bus) == 1 or places.get(reply.id, name) == name:
                found[reply.id] = reply
            else:
                astray[reply.id] = name
    for joint in robot.joints:  # a broadcast may lose an answer
        if joint.id not in found and joint.id not in astray:
            try:
                found[joint.id] = bus.ping(joint.id)
            except BusError:
                continue
    missing = [joint for joint in robot.joints if joint.id not in found]
    others = _at_other_speeds(robot, bus) if any(j.id not in astray for j in missing) else {}
    if not (found or astray or others):
        yield Finding(ERROR, 'servos', 'no servo replies at any speed: is the servo power on?')
        return
    slow: dict[str, float] = {}
    bauds = {line.name: line.baud for line in robot.lines}
    commissioning = Commissioning(robot)
    for joint in robot.joints:
        if joint in missing and joint.id in astray:
            yield Finding(
                ERROR,
                f'servo {joint.id} ({joint.name})',
                f'answers on bus {astray[joint.id]}, the robot file says bus {joint.bus}: are the '
                'two cables swapped?',
            )
        elif joint in missing:
            yield _missing(joint, bauds[joint.bus], others.get(joint.id))
        else:
            yield _check(bus, commissioning, joint, found[joint.id], slow)
    for warning in commissioning.warnings:
        yield Finding(WARN, 'commissioning', warning)
    if slow:
        yield Finding(
            WARN,
            'return delay',
            f'up to {1e6 * max(slow.values()):.0f} µs in {len(slow)} servos (factory value: '
            '500 µs): kf_imitation servo commission sets it to 0',
        )
    deaf = [joint.name for joint in robot.joints if not joint.servo.watchdog_stops]
    if robot.watchdog_s and deaf:
        yield Finding(
            WARN,
            'bus watchdog',
            'if this computer dies, servos of the 330 size move on to their last goal before they '
            f'rest (docs/safety.md): {", ".join(deaf)}',
        )
    for id_ in sorted(astray.keys() & found.keys()):
        yield Finding(
            WARN,
            f'servo {id_}',
            f'another one with this id answers on bus {astray[id_]}, where no joint has it: '
            'kf_imitation servo set-id with the --port of that bus gives it its own',
        )
    unknown = sorted(set(found) - set(robot.ids))
    if unknown:
        listed = ', '.join(f'{i} ({model_name(found[i].model_number)})' for i in unknown)
        yield Finding(WARN, 'servos', f'in no joint of {robot.name}: id {listed}')


def _at_other_speeds(robot: RobotConfig, bus: ServoBus) -> dict[int, int]:
    """Return at which other bit rates servos of the robot answer, by id; takes some seconds."""
    found: dict[int, int] = {}
    lines = bus.lines.values() if isinstance(bus, BusGroup) else (bus,)
    for line in lines:
        if not isinstance(line, DynamixelBus) or isinstance(line, SimulatorProcessBus):
            continue
        line.close()
        for rate in BAUD_RATES.values():
            if rate == line.baud or rate > SDK_FASTEST:
                continue
            other = DynamixelBus(line.port, rate)
            try:
                other.open()
                found |= {reply.id: rate for reply in other.scan()}
            finally:
                other.close()
        line.open()
    return found


def _missing(joint: JointConfig, baud: int, other: int | None) -> Finding:
    subject = f'servo {joint.id} ({joint.name})'
    if other is not None:
        return Finding(
            ERROR,
            subject,
            f'answers at {other} bit/s, the robot file says {baud}: '
            f'kf_imitation servo set-baud {joint.id} {baud} --baud {other} --yes',
        )
    return Finding(
        ERROR,
        subject,
        f'{joint.model} does not reply: check its cable and its id (new servos have id 1 at '
        '57600 bit/s: kf_imitation servo scan --all-bauds)',
    )


def _check(
    bus: ServoBus,
    commissioning: Commissioning,
    joint: JointConfig,
    reply: PingReply,
    slow: dict[str, float],
) -> Finding:
    """Return one finding about a joint's servo; its return delay goes into `slow`."""
    subject = f'servo {joint.id} ({joint.name})'
    if reply.model_number != joint.servo.number:
        found = model_name(reply.model_number)
        return Finding(
            ERROR, subject, f'is {found}, the robot file says {joint.model}: fix it there'
        )
    try:
        errors, warnings, figures = _read(bus, commissioning, joint, slow)
    except BusError as error:
        return Finding(ERROR, subject, f'answers a ping but no read: {error}')
    except ConfigError as error:
        return Finding(ERROR, subject, '; '.join(error.faults))
    reading = f'{joint.model}, firmware {reply.firmware}, {figures}'
    if errors:
        return Finding(ERROR, subject, '; '.join([reading, *errors]))
    return Finding(WARN if warnings else OK, subject, '; '.join([reading, *warnings]))


def _read(
    bus: ServoBus, commissioning: Commissioning, joint: JointConfig, slow: dict[str, float]
) -> tuple[list[str], list[str], str]:
    """Return what keeps torque off, what is worth knowing, and the figures."""
    values = read_registers(bus, joint)
    found = commissioning.inspect(joint, values)
    volts = values['present_input_voltage'] * units.VOLTAGE_UNIT_V
    nominal = joint.servo.nominal_voltage_v
    if abs(volts - nominal) > 0.2 * nominal:
        found.warnings.append(f'made for {nominal:g} V: speed and force will differ')
    if error := values['hardware_error_status']:
        found.errors.append(
            f'hardware error: {hardware_error_text(error)}. Take the cause away, then '
            'ros2 service call /servo/clear_error std_srvs/srv/Trigger, or power off and on'
        )
    if delay := values['return_delay_time']:
        slow[joint.name] = delay * units.RETURN_DELAY_UNIT_S
    return found.errors, found.warnings, f'{volts:.1f} V, {values["present_temperature"]} °C'
