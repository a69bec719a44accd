"""From the mappings of a robot file to RobotConfig; every fault is noted, none raised."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from kf_imitation.actuators.dynamixel.control_tables import BAUD_RATES, MODELS, table_name
from kf_imitation.data_types import FRAME_CHANNELS
from kf_imitation.errors import nearest
from kf_imitation.robot.channel_gains import READ_IN_FRAMES, channel_name, read_alphas
from kf_imitation.robot.model import (
    EXIT_POLICIES,
    NO_PORT,
    PORTS_APART,
    SIMULATED_PORT,
    STOP_ACTIONS,
    BusConfig,
    Combination,
    CoupledLimit,
    JointConfig,
    Measured,
    RobotConfig,
    ThermalLimits,
)
from kf_imitation.robot.section import Section, name_rule

# With less a head would stand still without a word: each of these alone takes 2 to 5 s for a tenth
# of a radian from rest to rest. 0.02 rad/s is also as slow as a servo can measure a speed.
LEAST_VELOCITY = 0.02  # rad/s
LEAST_ACCELERATION = 0.1  # rad/s²
LEAST_JERK = 0.1  # rad/s³
# With more there is no limit at all: a cycle of 10 ms ends at full speed of any servo.
MOST_ACCELERATION = 1000  # rad/s²
MOST_JERK = 100_000  # rad/s³
# 13 ticks; play and friction take most of what is less.
LEAST_RANGE_RAD = 0.02
# A computer under load keeps servos waiting for 50 ms now and then; they would stop every time.
LEAST_WATCHDOG_S = 0.1
# Servos that only hold a face warm up to 40 °C in a warm room.
LEAST_DERATE_C = 40


def read_robot(top: Section) -> tuple[RobotConfig, list[JointConfig]]:
    """Return the robot and those of its joints whose values are each good alone."""
    defaults = top.mapping('joint_defaults', optional=True)
    joints, sound = [], []
    for index, values in top.sections('joints').items():
        before = len(top.faults)
        joints.append(
            _read_joint({**defaults, **values}, _joint_prefix(index, values), top.faults)
        )
        sound += joints[-1:] if len(top.faults) == before else []
    if top.values.get('joints') == []:
        top.fault('joints', [], 'must name at least one joint')
    coupled = [
        _read_coupled(values, f'coupled_limits[{index}].', top.faults)
        for index, values in top.sections('coupled_limits', optional=True).items()
    ]
    combinations = tuple(
        _read_combination(values, f'combinations[{index}].', top.faults)
        for index, values in top.sections('combinations', optional=True).items()
    )
    thermal = Section(top.mapping('thermal', optional=True), 'thermal.', top.faults)
    limits = ThermalLimits(
        thermal.number('derate_above_c', LEAST_DERATE_C, 100, ThermalLimits().derate_above_c),
        thermal.number('rest_above_c', LEAST_DERATE_C, 100, ThermalLimits().rest_above_c),
    )
    thermal.reject_unknown()
    buses = _read_buses(top)
    robot = RobotConfig(
        name=top.name('name'),
        description=top.text('description', ''),
        port=_port_of(buses) if buses else _read_port(top),
        baud=min(bus.baud for bus in buses) if buses else _read_baud(top),
        exit=top.text('exit', 'neutral_limp', EXIT_POLICIES),
        stop=top.text('stop', 'limp', STOP_ACTIONS),
        watchdog_s=top.number('watchdog_s', LEAST_WATCHDOG_S, 2.54, 0.3, or_zero=True),
        urdf=top.text('urdf', ''),
        thermal=limits,
        joints=tuple(joints),
        coupled_limits=tuple(coupled),
        combinations=combinations,
        reflex=_read_reflex(top, joints, combinations),
        buses=buses,
        commissioned=top.text('commissioned', ''),
    )
    return robot, sound


def _read_buses(top: Section) -> tuple[BusConfig, ...]:
    """Return the buses by name; () where port and baud are those of the only one."""
    buses = []
    for name, values in top.mapping('buses', optional=True).items():
        if not isinstance(values, dict):
            top.fault(f'buses.{name}', values, 'must be a mapping with port and baud')
            continue
        section = Section(values, f'buses.{name}.', top.faults)
        buses.append(BusConfig(str(name), _read_port(section), _read_baud(section)))
        section.reject_unknown()
    if buses:
        for key in ('port', 'baud'):
            top.known.add(key)
            if key in top.values:
                top.fault(key, top.values[key], 'belongs to each of the buses')
    return tuple(buses)


def _port_of(buses: Sequence[BusConfig]) -> str:
    return PORTS_APART.join(dict.fromkeys(bus.port for bus in buses))


def _read_port(section: Section) -> str:
    port = section.text('port')
    rule = f'must be a serial device, {SIMULATED_PORT} or {NO_PORT}'
    if section.values.get('port') == '':
        section.fault('port', port, rule)
    elif port not in (SIMULATED_PORT, NO_PORT):
        for kind, found in (('file', os.path.isfile(port)), ('folder', os.path.isdir(port))):
            if found:
                section.fault('port', port, f'is a {kind}, {rule}')
    return port


def _read_baud(section: Section) -> int:
    baud = section.raw('baud', 1_000_000)
    if baud not in BAUD_RATES.values():
        rule = f'must be one of {", ".join(map(str, BAUD_RATES.values()))}'
        section.fault('baud', baud, rule)
        return 1_000_000
    return int(baud)  # 1e6


def _read_reflex(
    top: Section, joints: list[JointConfig], combinations: Sequence[Combination]
) -> tuple[str, ...]:
    """Return the joints of the reflex lane; by default all that it can move."""
    slow = {rule.channel for rule in combinations if not {*rule.add, *rule.damp} <= READ_IN_FRAMES}
    able = [j.name for j in joints if j.channels and set(j.channels) <= READ_IN_FRAMES - slow]
    chosen = top.raw('reflex', able)
    if not isinstance(chosen, list):
        top.fault('reflex', chosen, 'must be a list of joints')
        return ()
    known = [joint.name for joint in joints]
    for name in chosen:
        if known and name not in known:
            top.fault('reflex', name, f'is not a joint{nearest(str(name), known)}')
        elif known and name not in able:
            rule = f'must be a joint that {", ".join(FRAME_CHANNELS)} move alone'
            top.fault('reflex', name, f'{rule}: {", ".join(able) or "there is none"}')
    return tuple(str(name) for name in chosen)


def _joint_prefix(index: int, values: Mapping[Any, Any]) -> str:
    name = values.get('name')
    good = isinstance(name, str) and not name_rule(name)
    return f'joints.{name}.' if good else f'joints[{index}].'


def _read_joint(values: Mapping[Any, Any], prefix: str, faults: list[str]) -> JointConfig:
    section = Section(values, prefix, faults)
    direction = section.raw('direction', 1)
    if type(direction) is not int or direction not in (1, -1):
        section.fault('direction', direction, 'must be 1 or -1')
        direction = 1
    channels, curves = read_alphas(section, prefix, faults)
    measured = Section(section.mapping('measured', optional=True), f'{prefix}measured.', faults)
    joint = JointConfig(
        name=section.name('name'),
        id=section.whole('id', 0, 252),
        model=_read_model(section),
        limits_rad=section.pair('limits_rad', LEAST_RANGE_RAD),
        neutral_rad=section.number('neutral_rad', -6.3, 6.3),
        zero_tick=section.whole('zero_tick', 0, 4095, 2048),
        direction=direction,
        max_velocity_rad_s=section.number('max_velocity_rad_s', LEAST_VELOCITY, 50),
        max_acceleration_rad_s2=section.number(
            'max_acceleration_rad_s2', LEAST_ACCELERATION, MOST_ACCELERATION
        ),
        max_jerk_rad_s3=section.number('max_jerk_rad_s3', LEAST_JERK, MOST_JERK),
        max_current_a=section.number('max_current_a', 0, 10, above=True),
        channels=channels,
        curves=curves,
        measured=_read_measured(measured),
        bus=section.text('bus', ''),
    )
    measured.reject_unknown()
    section.reject_unknown()
    return joint


def _read_model(section: Section) -> str:
    """Return the name of a control table; any model where it is faulty."""
    model = section.text('model')
    if not model:
        return next(iter(MODELS))
    try:
        return table_name(model)
    except ValueError as error:
        section.fault('model', model, str(error))
        return next(iter(MODELS))


def _read_measured(section: Section) -> Measured:
    def optional(key: str) -> float | None:
        section.known.add(key)
        return section.number(key, 0, 100) if key in section.values else None

    section.known.add('range_rad')
    return Measured(
        optional('speed_rad_s'),
        optional('delay_s'),
        optional('backlash_rad'),
        section.pair('range_rad') if 'range_rad' in section.values else None,
        optional('yield_rad_a'),
    )


def _read_coupled(values: Mapping[Any, Any], prefix: str, faults: list[str]) -> CoupledLimit:
    section = Section(values, prefix, faults)
    terms = Section(section.mapping('terms'), f'{prefix}terms.', faults)
    limit = CoupledLimit(
        name=section.text('name'),
        terms={str(key): terms.number(str(key), -100, 100) for key in terms.values},
        maximum_rad=section.number('maximum_rad', -100, 100),
    )
    if len(limit.terms) < 2:
        section.fault('terms', dict(limit.terms), 'must name at least two joints')
    section.reject_unknown()
    return limit


def _read_combination(values: Mapping[Any, Any], prefix: str, faults: list[str]) -> Combination:
    section = Section(values, prefix, faults)

    def others(key: str, low: float) -> dict[str, float]:
        terms = Section(section.mapping(key, optional=True), f'{prefix}{key}.', faults)
        return {
            channel_name(str(name), terms): terms.number(str(name), low, 1)
            for name in terms.values
        }

    rule = Combination(
        channel_name(section.text('channel'), section), others('add', -1), others('damp', 0)
    )
    if not rule.add and not rule.damp:
        section.fault('add', {}, 'must name a channel, or damp must')
    section.reject_unknown()
    return rule
