"""Alphas by themselves: a channel needs a direction only, the joint's limits say how far.

`channels: {jaw_open: up}` opens the jaw to its upper limit when the channel is 1, `down` goes to
the lower one. Angles move one radian per radian as far as the joint can show all of what people
do, else less, so that a wide look is a look to the limit and not cut short before.
"""

from collections.abc import Mapping
from typing import Any

from kf_imitation.data_types import UNIT_CHANNELS
from kf_imitation.robot.section import Section

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
        channel: of data_types.CHANNELS.
        direction: 'up' or 'down', which way the joint goes when the channel grows.
        limits_rad: of the joint.
        neutral_rad: of the joint.
    """
    sign = DIRECTIONS[direction]
    up, down = limits_rad[1] - neutral_rad, neutral_rad - limits_rad[0]
    if channel in UNIT_CHANNELS:
        return sign * max(0.0, up if sign > 0 else down)
    room = max(0.0, min(up, down))
    return sign * min(1.0, room / PEOPLE_RAD.get(channel, 1.0))


def read_alphas(section: Section, prefix: str, faults: list[str]) -> dict[str, float]:
    """Read `channels` of a joint.

    Args:
        section: of the joint; its limits and neutral angle are read too.
        prefix: of the joint, for messages.
        faults: gets what is wrong.

    Returns:
        Rad per unit by channel; NaN where faulty.
    """
    alphas = Section(section.mapping('channels'), f'{prefix}channels.', faults)
    limits, neutral = _plain(section.values)
    channels: dict[str, float] = {}
    for key, value in alphas.values.items():
        if not isinstance(value, str):
            channels[str(key)] = alphas.number(str(key), -6.3, 6.3)
        elif value not in DIRECTIONS:
            alphas.fault(str(key), value, 'must be a number, up or down')
        elif limits is not None and neutral is not None:
            channels[str(key)] = automatic_alpha(str(key), value, limits, neutral)
    return channels


def _plain(values: Mapping[Any, Any]) -> tuple[tuple[float, float] | None, float | None]:
    """Limits and neutral angle if they are sound; their faults are reported elsewhere."""
    limits, neutral = values.get('limits_rad'), values.get('neutral_rad')
    if not isinstance(neutral, (int, float)) or not isinstance(limits, (list, tuple)):
        return None, None
    if len(limits) != 2 or not all(isinstance(limit, (int, float)) for limit in limits):
        return None, None
    return (float(limits[0]), float(limits[1])), float(neutral)
