"""One robot head as data: joints, limits, channels. config/robots/NAME.yaml holds the values.

docs/your_own_head.md explains every key. Reading lists every fault of a file at once: key, value
and rule.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from kf_imitation.data_types import CHANNELS, UNIT_CHANNELS
from kf_imitation.errors import ConfigError
from kf_imitation.paths import share_path
from kf_imitation.servo.control_table import BAUD_RATES, MODELS, ServoModel
from kf_imitation.servo.units import current_unit_a, travel_rad

EXIT_POLICIES = ('limp', 'hold', 'neutral_limp')
STOP_ACTIONS = ('limp', 'hold')


@dataclass(frozen=True, slots=True)
class Measured:
    """What `servo selftest` found out about a joint; None where nobody measured.

    Attributes:
        speed_rad_s: fastest speed reached.
        delay_s: from goal to first movement.
        backlash_rad: play between the two directions.
        range_rad: travel reached, low and high.
    """

    speed_rad_s: float | None = None
    delay_s: float | None = None
    backlash_rad: float | None = None
    range_rad: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class JointConfig:
    """One joint and its servo.

    Attributes:
        name: of the joint, also in the URDF and in joint_states.
        id: of the servo on the bus, 0..252.
        model: a name of control_table.MODELS.
        limits_rad: lowest and highest angle.
        neutral_rad: angle of the face at rest, inside the limits.
        zero_tick: present position of the servo at 0 rad.
        direction: +1, or -1 where the servo turns the other way.
        max_velocity_rad_s, max_acceleration_rad_s2, max_jerk_rad_s3: of commanded motion.
        max_current_a: the servo's force limit.
        channels: rad per unit of a channel (the paper's alpha); goal = neutral + sum.
        measured: by `servo selftest`.
    """

    name: str
    id: int
    model: str
    limits_rad: tuple[float, float]
    neutral_rad: float
    zero_tick: int
    direction: int
    max_velocity_rad_s: float
    max_acceleration_rad_s2: float
    max_jerk_rad_s3: float
    max_current_a: float
    channels: Mapping[str, float]
    measured: Measured = field(default_factory=Measured)

    @property
    def servo(self) -> ServoModel:
        """The control table and figures of the model."""
        return MODELS[self.model]


@dataclass(frozen=True, slots=True)
class CoupledLimit:
    """Sum of terms[joint] * position[joint] must stay at or below maximum [rad].

    Attributes:
        name: for messages, for example `left lid against eyeball`.
        terms: factor by joint name, at least two.
        maximum_rad: bound of the sum.
    """

    name: str
    terms: Mapping[str, float]
    maximum_rad: float


@dataclass(frozen=True, slots=True)
class ThermalLimits:
    """When the head gets gentler and when it rests.

    Attributes:
        derate_above_c: motion shrinks from here …
        rest_above_c: … to nothing here; below the servo's own shutdown temperature.
    """

    derate_above_c: float = 55.0
    rest_above_c: float = 65.0


@dataclass(frozen=True, slots=True)
class RobotConfig:
    """One head.

    Attributes:
        name: of the robot.
        description: one sentence.
        port: serial device, `simulated`, or `none`.
        baud: of the bus.
        exit: what happens to torque at the end: limp, hold or neutral_limp.
        stop: what an emergency stop does: limp (torque off) or hold (freeze, torque stays).
        watchdog_s: the servos stop by themselves after this silence of the host; 0 disarms.
        urdf: file name in urdf/, '' for none.
        thermal: temperatures.
        joints: in the order of all position arrays.
        coupled_limits: linear limits between joints.
        source: file it was read from.
    """

    name: str
    description: str
    port: str
    baud: int
    exit: str
    stop: str
    watchdog_s: float
    urdf: str
    thermal: ThermalLimits
    joints: tuple[JointConfig, ...]
    coupled_limits: tuple[CoupledLimit, ...] = ()
    source: str = ''

    @property
    def names(self) -> tuple[str, ...]:
        """Joint names in array order."""
        return tuple(joint.name for joint in self.joints)

    @property
    def ids(self) -> tuple[int, ...]:
        """Servo ids in array order."""
        return tuple(joint.id for joint in self.joints)


def load_robot(name_or_path: str) -> RobotConfig:
    """Read a robot file.

    Args:
        name_or_path: a name of config/robots (`sim_face`), or the path of a YAML file.

    Raises:
        ConfigError: with every fault of the file.
    """
    path = Path(name_or_path)
    if not path.suffix and not path.is_file():
        path = share_path(f'config/robots/{name_or_path}.yaml')
        if not path.is_file():
            known = ', '.join(robot_names())
            raise ConfigError(f'robot {name_or_path}', [f'no such robot (known: {known})'])
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(str(path), [f'cannot be read: {error.strerror}']) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f'is not YAML: {error}']) from error
    return parse_robot(document, str(path))


def robot_names() -> list[str]:
    """Return the names of the robots that come with the package."""
    return sorted(path.stem for path in share_path('config/robots').glob('*.yaml'))


def parse_robot(document: object, subject: str) -> RobotConfig:
    """Turn the content of a robot file into a RobotConfig.

    Args:
        document: what YAML gave.
        subject: file name for the messages.

    Raises:
        ConfigError: with every fault.
    """
    faults: list[str] = []
    if not isinstance(document, dict):
        raise ConfigError(subject, ['must be a mapping with the keys name, joints, …'])
    top = _Section(document, '', faults)
    robot, sound = _read_robot(top)
    robot = replace(robot, source=subject)
    top.refuse_unknown()
    faults += _duplicates(document.get('joints')) + _cross_faults(robot, sound)
    if faults:
        raise ConfigError(subject, faults)
    return robot


class _Section:
    """Typed access to one mapping; notes faults instead of raising and returns a stand-in."""

    def __init__(self, values: Mapping[Any, Any], prefix: str, faults: list[str]) -> None:
        self.values = values
        self.prefix = prefix
        self.faults = faults
        self.known: set[str] = set()

    def fault(self, key: str, value: object, rule: str) -> None:
        self.faults.append(f'{self.prefix}{key} = {value!r} {rule}')

    def raw(self, key: str, default: object = None) -> Any:
        """Return the value; a missing key without default is a fault and gives None."""
        self.known.add(key)
        if key in self.values:
            return self.values[key]
        if default is None:
            self.faults.append(f'{self.prefix}{key} is missing')
        return default

    def number(
        self,
        key: str,
        low: float,
        high: float,
        default: float | None = None,
        above: bool = False,
    ) -> float:
        value = self.raw(key, default)
        if value is None and key not in self.values:
            return math.nan
        if type(value) not in (int, float) or not math.isfinite(value):
            self.fault(key, value, 'must be a finite number')
        elif not low <= value <= high or (above and value == low):
            bounds = f'above {low:g}, up to {high:g}' if above else f'from {low:g} to {high:g}'
            self.fault(key, value, f'must be {bounds}')
        else:
            return float(value)
        return math.nan

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self.raw(key, default)
        if value is None and key not in self.values:
            return low
        if type(value) is not int or not low <= value <= high:
            self.fault(key, value, f'must be a whole number from {low} to {high}')
            return low
        return value

    def text(self, key: str, default: str | None = None, one_of: Sequence[str] = ()) -> str:
        value = self.raw(key, default)
        if value is None and key not in self.values:
            return ''
        if type(value) is not str:
            self.fault(key, value, 'must be a text')
            return ''
        if one_of and value not in one_of:
            self.fault(key, value, f'must be one of {", ".join(one_of)}')
        return value

    def pair(self, key: str, default: Sequence[float] | None = None) -> tuple[float, float]:
        value = self.raw(key, default)
        if value is None and key not in self.values:
            return math.nan, math.nan
        good = isinstance(value, (list, tuple)) and len(value) == 2
        if not good or not all(type(v) in (int, float) and math.isfinite(v) for v in value):
            self.fault(key, value, 'must be two finite numbers, [low, high]')
        elif value[0] >= value[1]:
            self.fault(key, value, 'must have low < high')
        else:
            return float(value[0]), float(value[1])
        return math.nan, math.nan

    def mapping(self, key: str, optional: bool = False) -> Mapping[Any, Any]:
        value = self.raw(key, {} if optional else None)
        if isinstance(value, dict):
            return value
        if key in self.values:
            self.fault(key, value, 'must be a mapping')
        return {}

    def sections(self, key: str, optional: bool = False) -> list[Mapping[Any, Any]]:
        value = self.raw(key, [] if optional else None)
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return value
        if key in self.values:
            self.fault(key, value, 'must be a list of mappings')
        return []

    def refuse_unknown(self) -> None:
        for key in self.values:
            if key not in self.known:
                near = difflib.get_close_matches(str(key), self.known, 1)
                hint = f' (did you mean {near[0]}?)' if near else ''
                self.faults.append(f'{self.prefix}{key} is not a key of robot files{hint}')


def _read_robot(top: _Section) -> tuple[RobotConfig, list[JointConfig]]:
    """Return the robot and those of its joints whose values are each good alone."""
    defaults = top.mapping('joint_defaults', optional=True)
    joints, sound = [], []
    for index, values in enumerate(top.sections('joints')):
        before = len(top.faults)
        joints.append(
            _read_joint({**defaults, **values}, _joint_prefix(index, values), top.faults)
        )
        sound += joints[-1:] if len(top.faults) == before else []
    if isinstance(top.values.get('joints'), list) and not joints:
        top.fault('joints', [], 'must name at least one joint')
    coupled = [
        _read_coupled(values, f'coupled_limits[{index}].', top.faults)
        for index, values in enumerate(top.sections('coupled_limits', optional=True))
    ]
    thermal = _Section(top.mapping('thermal', optional=True), 'thermal.', top.faults)
    limits = ThermalLimits(
        thermal.number('derate_above_c', 20, 100, ThermalLimits().derate_above_c),
        thermal.number('rest_above_c', 20, 100, ThermalLimits().rest_above_c),
    )
    thermal.refuse_unknown()
    baud = top.raw('baud', 1_000_000)
    if baud not in BAUD_RATES.values():
        top.fault('baud', baud, f'must be one of {", ".join(map(str, BAUD_RATES.values()))}')
    robot = RobotConfig(
        name=top.text('name'),
        description=top.text('description', ''),
        port=top.text('port'),
        baud=baud,
        exit=top.text('exit', 'neutral_limp', EXIT_POLICIES),
        stop=top.text('stop', 'limp', STOP_ACTIONS),
        watchdog_s=top.number('watchdog_s', 0, 2.54, 0.3),
        urdf=top.text('urdf', ''),
        thermal=limits,
        joints=tuple(joints),
        coupled_limits=tuple(coupled),
    )
    return robot, sound


def _joint_prefix(index: int, values: Mapping[Any, Any]) -> str:
    name = values.get('name')
    return f'joints.{name}.' if isinstance(name, str) and name else f'joints[{index}].'


def _read_joint(values: Mapping[Any, Any], prefix: str, faults: list[str]) -> JointConfig:
    section = _Section(values, prefix, faults)
    direction = section.raw('direction', 1)
    if type(direction) is not int or direction not in (1, -1):
        section.fault('direction', direction, 'must be 1 or -1')
        direction = 1
    alphas = _Section(section.mapping('channels'), f'{prefix}channels.', faults)
    channels = {str(key): alphas.number(str(key), -6.3, 6.3) for key in alphas.values}
    for key in channels:
        if key not in CHANNELS:
            near = difflib.get_close_matches(key, CHANNELS, 1)
            hint = f' (did you mean {near[0]}?)' if near else ''
            faults.append(f'{prefix}channels.{key} is not an expression channel{hint}')
    measured = _Section(section.mapping('measured', optional=True), f'{prefix}measured.', faults)
    joint = JointConfig(
        name=section.text('name'),
        id=section.whole('id', 0, 252),
        model=section.text('model', one_of=tuple(MODELS)),
        limits_rad=section.pair('limits_rad'),
        neutral_rad=section.number('neutral_rad', -6.3, 6.3),
        zero_tick=section.whole('zero_tick', 0, 4095, 2048),
        direction=direction,
        max_velocity_rad_s=section.number('max_velocity_rad_s', 0, 50, above=True),
        max_acceleration_rad_s2=section.number('max_acceleration_rad_s2', 0, 5000, above=True),
        max_jerk_rad_s3=section.number('max_jerk_rad_s3', 0, 500_000, above=True),
        max_current_a=section.number('max_current_a', 0, 10, above=True),
        channels=channels,
        measured=_read_measured(measured),
    )
    measured.refuse_unknown()
    section.refuse_unknown()
    return joint


def _read_measured(section: _Section) -> Measured:
    def optional(key: str) -> float | None:
        section.known.add(key)
        return section.number(key, 0, 100) if key in section.values else None

    section.known.add('range_rad')
    return Measured(
        optional('speed_rad_s'),
        optional('delay_s'),
        optional('backlash_rad'),
        section.pair('range_rad') if 'range_rad' in section.values else None,
    )


def _read_coupled(values: Mapping[Any, Any], prefix: str, faults: list[str]) -> CoupledLimit:
    section = _Section(values, prefix, faults)
    terms = _Section(section.mapping('terms'), f'{prefix}terms.', faults)
    limit = CoupledLimit(
        name=section.text('name'),
        terms={str(key): terms.number(str(key), -100, 100) for key in terms.values},
        maximum_rad=section.number('maximum_rad', -100, 100),
    )
    if len(limit.terms) < 2:
        section.fault('terms', dict(limit.terms), 'must name at least two joints')
    section.refuse_unknown()
    return limit


def _cross_faults(robot: RobotConfig, sound: Sequence[JointConfig]) -> list[str]:
    """Check what needs more than one key; a number that is faulty by itself is NaN and passes."""
    faults = []
    if robot.thermal.rest_above_c <= robot.thermal.derate_above_c:
        faults.append(
            f'thermal.rest_above_c = {robot.thermal.rest_above_c:g} must be above '
            f'thermal.derate_above_c = {robot.thermal.derate_above_c:g}'
        )
    for joint in sound:
        faults += _joint_faults(joint, robot.thermal)
    neutral = {joint.name: joint.neutral_rad for joint in robot.joints}
    for limit in robot.coupled_limits:
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


def _duplicates(joints: object) -> list[str]:
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
    shutdown_c = servo.registers['temperature_limit'].initial
    if thermal.rest_above_c >= shutdown_c:
        faults.append(
            f'thermal.rest_above_c = {thermal.rest_above_c:g} must be below {shutdown_c}, '
            f'where {joint.name} ({joint.model}) shuts itself off'
        )
    for channel, alpha in joint.channels.items():
        goal = joint.neutral_rad + alpha
        if channel in UNIT_CHANNELS and not low - 1e-9 <= goal <= high + 1e-9:
            faults.append(
                f'{prefix}channels.{channel} = {alpha:g} moves the joint to {goal:g}, '
                f'must stay inside limits_rad = [{low:g}, {high:g}]'
            )
    return faults
