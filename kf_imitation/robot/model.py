"""A robot head as data; units are in the names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.dynamixel.control_tables import MODELS, ServoModel

Points = tuple[tuple[float, float], ...]
EXIT_POLICIES = ('limp', 'hold', 'neutral_limp')
STOP_ACTIONS = ('limp', 'hold')
SIMULATED_PORT = 'simulated'
NO_PORT = 'none'
PORTS_APART = ' + '  # between the ports of several buses in one text


@dataclass(frozen=True, slots=True)
class Measured:
    """What `servo selftest` found out about a joint; None where nobody measured.

    Attributes:
        speed_rad_s: fastest speed reached.
        delay_s: from goal to first movement.
        backlash_rad: play between the two directions.
        range_rad: travel reached, low and high.
        yield_rad_a: how far it stays back per A that it holds a load with.
    """

    speed_rad_s: float | None = None
    delay_s: float | None = None
    backlash_rad: float | None = None
    range_rad: tuple[float, float] | None = None
    yield_rad_a: float | None = None


@dataclass(frozen=True, slots=True)
class BusConfig:
    """One line with servos.

    Attributes:
        name: of the bus, '' where a robot file has only one.
        port: serial device, `simulated`, or `none`.
        baud: of the line.
    """

    name: str
    port: str
    baud: int


@dataclass(frozen=True, slots=True)
class JointConfig:
    """One joint and its servo.

    Attributes:
        name: of the joint, also in the URDF and in joint_states.
        id: of the servo, 0..252; unique in a head, also on several buses.
        model: of the servo, as it is sold.
        limits_rad: lowest and highest angle, 0.02 rad or more apart.
        neutral_rad: angle of the face at rest, inside the limits.
        zero_tick: present position of the servo at 0 rad.
        direction: +1, or -1 where the servo turns the other way.
        max_velocity_rad_s, max_acceleration_rad_s2, max_jerk_rad_s3: of commanded motion.
        max_current_a: the servo's force limit, 0.05 of its stall current or more.
        channels: rad per unit of a channel or blendshape (the paper's alpha); goal = neutral +
            sum.
        curves: of those that do not move it in proportion, points (value, rad from neutral), both
            rising or the angles falling; `channels` then has the angle at 1.
        measured: by `servo selftest`.
        bus: name of the bus that the servo is on, '' where there is only one.
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
    curves: Mapping[str, Points] = field(default_factory=dict)
    measured: Measured = field(default_factory=Measured)
    bus: str = ''

    @property
    def servo(self) -> ServoModel:
        """The control table and figures of the model."""
        return MODELS[self.model]


@dataclass(frozen=True, slots=True)
class CoupledLimit:
    """Sum of terms[joint] * position[joint] must stay at or below maximum [rad].

    Attributes:
        name: for messages, for example `left lid against eyeball`.
        terms: factor by joint name, at least two; none nearer to 0 than 0.01.
        maximum_rad: bound of the sum, below what the joints can reach.
    """

    name: str
    terms: Mapping[str, float]
    maximum_rad: float


@dataclass(frozen=True, slots=True)
class Combination:
    """What other channels do to one: (value + sum of adds) * product of (1 - damping).

    All values are those that were read, so the order of the rules does not matter.

    Attributes:
        channel: channel or blendshape that is changed.
        add: what a full other one adds to it.
        damp: which share of it a full other one takes away, 0..1.
    """

    channel: str
    add: Mapping[str, float]
    damp: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ThermalLimits:
    """When the head moves less and when it rests.

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
        port: serial device, `simulated`, or `none`; of several buses the devices as one text.
        baud: of the bus; of several the slowest.
        exit: what happens to torque at the end: limp, hold or neutral_limp.
        stop: what an emergency stop does: limp (torque off) or hold (freeze, torque stays).
        watchdog_s: the servos stop by themselves after this silence of the host; 0 disarms.
        urdf: file next to the robot file or in the package's urdf/, '' for none.
        thermal: when the head moves less, and when it rests.
        commissioned: '' looks for the record beside this file, `trust` goes without one, anything
            else is the record's path.
        joints: in the order of all position arrays.
        coupled_limits: linear limits between joints.
        combinations: what channels do to each other before they move joints.
        reflex: names of the joints that follow every frame instead of keyframes alone; by default
            all that no head angle moves and no blendshape that is not a channel's.
        buses: in the order of the file; () for one bus, that of port and baud.
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
    combinations: tuple[Combination, ...] = ()
    reflex: tuple[str, ...] = ()
    buses: tuple[BusConfig, ...] = ()
    commissioned: str = ''
    source: str = ''

    @property
    def names(self) -> tuple[str, ...]:
        """Joint names in array order."""
        return tuple(joint.name for joint in self.joints)

    @property
    def ids(self) -> tuple[int, ...]:
        """Servo ids in array order."""
        return tuple(joint.id for joint in self.joints)

    @property
    def lines(self) -> tuple[BusConfig, ...]:
        """Every bus, also where there is only one."""
        return self.buses or (BusConfig('', self.port, self.baud),)

    def part_on(self, line: BusConfig) -> 'RobotConfig':
        """Return the head as far as it is on one of its buses; coupled limits are left out."""
        joints = tuple(replace(one, bus='') for one in self.joints if one.bus == line.name)
        return replace(
            self, joints=joints, coupled_limits=(), buses=(), port=line.port, baud=line.baud
        )

    @property
    def reflex_joints(self) -> NDArray[np.intp]:
        """Places of the reflex joints, (K,)."""
        return np.array([k for k, name in enumerate(self.names) if name in self.reflex], np.intp)

    @property
    def neutral_rad(self) -> NDArray[np.float64]:
        """The pose at rest, a new (J,) array."""
        return np.array([joint.neutral_rad for joint in self.joints], np.float64)
