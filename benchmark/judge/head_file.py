"""The robot file as the judge reads it: limits and promises, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Joint:
    """One joint; units as in the names, jerk in rad/s³."""

    name: str
    id: int
    model: str
    low_rad: float
    high_rad: float
    neutral_rad: float
    zero_tick: int
    direction: int
    speed_rad_s: float
    acceleration_rad_s2: float
    jerk_rad_s3: float
    current_a: float


@dataclass(frozen=True)
class Coupled:
    """The sum of factor * position stays at or below maximum_rad."""

    name: str
    terms: Mapping[str, float]
    maximum_rad: float


@dataclass(frozen=True)
class Head:
    """What a robot file promises."""

    joints: tuple[Joint, ...]
    coupled: tuple[Coupled, ...]
    watchdog_s: float
    stop: str
    exit: str
    derate_above_c: float
    rest_above_c: float


def read_head(path: Path) -> Head:
    """Read a robot file; it must be a good one (`kf_imitation robot check`)."""
    return head_of(yaml.safe_load(path.read_text(encoding='utf-8')))


def head_of(document: Mapping[str, Any]) -> Head:
    """Return the head of a robot file's content."""
    defaults = document.get('joint_defaults') or {}
    thermal = document.get('thermal') or {}
    return Head(
        joints=tuple(_joint({**defaults, **values}) for values in document['joints']),
        coupled=tuple(
            Coupled(one['name'], one['terms'], float(one['maximum_rad']))
            for one in document.get('coupled_limits') or ()
        ),
        watchdog_s=float(document.get('watchdog_s', 0.3)),
        stop=document.get('stop', 'limp'),
        exit=document.get('exit', 'neutral_limp'),
        derate_above_c=float(thermal.get('derate_above_c', 55.0)),
        rest_above_c=float(thermal.get('rest_above_c', 65.0)),
    )


def _joint(values: Mapping[str, Any]) -> Joint:
    low, high = values['limits_rad']
    return Joint(
        name=values['name'],
        id=values['id'],
        model=values['model'],
        low_rad=float(low),
        high_rad=float(high),
        neutral_rad=float(values['neutral_rad']),
        zero_tick=values.get('zero_tick', 2048),
        direction=values.get('direction', 1),
        speed_rad_s=float(values['max_velocity_rad_s']),
        acceleration_rad_s2=float(values['max_acceleration_rad_s2']),
        jerk_rad_s3=float(values['max_jerk_rad_s3']),
        current_a=float(values['max_current_a']),
    )
