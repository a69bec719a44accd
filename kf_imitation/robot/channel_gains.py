"""Alphas by themselves: a channel needs a direction only, the joint's limits say how far.

`channels: {mouth_smile_left: up}` lifts the corner to its upper limit when the channel is 1,
`down` goes to the lower one. Lids and jaw get there as people's do (face_geometry/apertures.py).
Angles move one radian per radian as far as the joint can show all of what people do, else less,
so that a wide look is a look to the limit and not cut short before.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kf_imitation.data_types import ANGLE_CHANNELS, BLENDSHAPES, CHANNELS, FRAME_CHANNELS
from kf_imitation.errors import nearest
from kf_imitation.face_geometry.apertures import APERTURES
from kf_imitation.face_geometry.arkit import LOOKS, SAME_AS
from kf_imitation.robot.model import Points
from kf_imitation.robot.section import Section

# What can move joints, and in which bounds: all but angles in 0..1.
INPUTS = (*CHANNELS, *(name for name in BLENDSHAPES if name not in SAME_AS))
HIGHEST = np.array([np.inf if name in ANGLE_CHANNELS else 1.0 for name in INPUTS])
LOWEST = np.where(np.isinf(HIGHEST), -np.inf, 0.0)
READ_IN_FRAMES = {*FRAME_CHANNELS, *LOOKS}  # of these, what a frame alone says
DIRECTIONS = {'up': 1, 'down': -1}
# How far people turn eyes and head while they talk, to each side [rad].
PEOPLE_RAD = {
    'gaze_yaw': 0.5,
    'gaze_pitch': 0.4,
    'head_yaw': 0.7,
    'head_pitch': 0.45,
    'head_roll': 0.4,
}


def automatic_alpha(
    channel: str, direction: str, limits_rad: tuple[float, float], neutral_rad: float
) -> float:
    """Rad per unit of a channel.

    Args:
        channel: of INPUTS.
        direction: 'up' or 'down', which way the joint goes when the channel grows.
        limits_rad: of the joint.
        neutral_rad: of the joint.
    """
    sign = DIRECTIONS[direction]
    up, down = limits_rad[1] - neutral_rad, neutral_rad - limits_rad[0]
    if channel not in ANGLE_CHANNELS:
        return sign * max(0.0, up if sign > 0 else down)
    room = max(0.0, min(up, down))
    return sign * min(1.0, room / PEOPLE_RAD.get(channel, 1.0))


def read_alphas(
    section: Section, prefix: str, faults: list[str]
) -> tuple[dict[str, float], dict[str, Points]]:
    """Read `channels` of a joint.

    Args:
        section: of the joint; its limits and neutral angle are read too.
        prefix: of the joint, for messages.
        faults: gets what is wrong.

    Returns:
        Rad per unit by channel, NaN where faulty, and the points of those that have some: lids
        and jaw by a direction, others where the file gives points.
    """
    alphas = Section(section.mapping('channels'), f'{prefix}channels.', faults)
    limits, neutral = _plain(section.values)
    channels: dict[str, float] = {}
    curves: dict[str, Points] = {}
    for key, value in alphas.values.items():
        name = channel_name(str(key), alphas)
        if name in channels:
            alphas.fault(str(key), value, f'is {name}, which is there already')
        elif isinstance(value, list):
            curves[name] = _points(alphas, str(key), value, name)
            channels[name] = float(np.interp(1.0, *np.transpose(curves[name])))
        elif type(value) in (int, float):
            channels[name] = alphas.number(str(key), -6.3, 6.3)
        elif value not in DIRECTIONS:
            alphas.fault(str(key), value, 'must be a number, up, down or points')
        elif limits is not None and neutral is not None:
            channels[name] = automatic_alpha(name, value, limits, neutral)
            if channels[name] == 0.0 and limits[0] <= neutral <= limits[1] != limits[0]:
                alphas.fault(str(key), value, 'has no room: neutral_rad is at that limit')
            if name in APERTURES:
                curves[name] = tuple((v, share * channels[name]) for v, share in APERTURES[name])
    return channels, curves


def channel_name(key: str, section: Section) -> str:
    """Return the channel or blendshape that a key names; a fault where there is none."""
    name = SAME_AS.get(key, key)
    if name not in INPUTS:
        section.faults.append(
            f'{section.prefix}{key} is neither an expression channel nor a blendshape'
            f'{nearest(key, INPUTS)}'
        )
    return name


def _points(section: Section, key: str, value: list[Any], name: str) -> Points:
    """Read points; a straight line that does nothing where they are faulty."""
    rows = [row for row in value if isinstance(row, list) and len(row) == 2]
    numbers = [n for row in rows for n in row if type(n) in (int, float) and math.isfinite(n)]
    if len(rows) != len(value) or len(numbers) != 2 * len(rows) or len(rows) < 2:
        section.fault(key, value, 'must be two or more points [value, rad]')
        return ((0.0, 0.0), (1.0, 0.0))
    at, rad = np.array(rows, np.float64).T
    steps = np.diff(rad)
    if (np.diff(at) <= 0).any() or not ((steps >= 0).all() or (steps <= 0).all()):
        section.fault(
            key, value, 'must have rising values, and angles that only rise or only fall'
        )
    elif not steps.any():
        section.fault(key, value, 'must move the joint')
    if name not in ANGLE_CHANNELS and not (at[0] == 0 and at[-1] == 1):
        section.fault(key, value, 'must begin at 0 and end at 1')
    elif not at[0] <= 0.0 <= at[-1]:
        section.fault(key, value, 'must have values on both sides of 0, or begin or end there')
    elif np.interp(0.0, at, rad) != 0.0:
        section.fault(key, value, 'must leave the joint at neutral where the channel is 0')
    return tuple((float(a), float(r)) for a, r in zip(at, rad, strict=True))


def _plain(values: Mapping[Any, Any]) -> tuple[tuple[float, float] | None, float | None]:
    """Limits and neutral angle if they are sound; their faults are reported elsewhere."""
    limits, neutral = values.get('limits_rad'), values.get('neutral_rad')
    if not isinstance(neutral, (int, float)) or not isinstance(limits, (list, tuple)):
        return None, None
    if len(limits) != 2 or not all(isinstance(limit, (int, float)) for limit in limits):
        return None, None
    return (float(limits[0]), float(limits[1])), float(neutral)
