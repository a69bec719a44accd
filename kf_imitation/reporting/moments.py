"""Which blinks and apexes of the person the robot reached: benchmark.md, section 3b."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.bags.reader import read_joints
from kf_imitation.data_types import ANGLE_CHANNELS, CHANNELS, REFLEX_CHANNELS
from kf_imitation.evaluation.imitation.formulas import tracking
from kf_imitation.evaluation.imitation.size import (
    BLINK_SHOWN,
    DELAY_STEP_S,
    LONGEST_DELAY_S,
    apex_shares,
    apexes,
    blink_shares,
)
from kf_imitation.reporting.curves import ChannelsOf, Held

_LIDS = ('eye_close_left', 'eye_close_right')


def moments(
    bag: Path, held: Held, channels_of: ChannelsOf, joint_names: tuple[str, ...], start_ns: int
) -> list[dict[str, Any]]:
    """Return blinks, and apexes of the other channels that are read in every frame.

    Args:
        bag: to read.
        held: its topics.
        channels_of: inverse joint mapping of the robot.
        joint_names: of that robot.
        start_ns: zero of the time axis.

    Returns:
        name, time_s, share that the robot showed after the one delay that fits best, reached; in
        order of time. Nothing where the run has no reading of every frame.
    """
    if not held.get('/face/reflex', ('', 0))[1] or not held.get('/joint_states', ('', 0))[1]:
        return []
    stamps, names, human = read_joints(bag, 'face/reflex')
    joint_stamps, found, positions = read_joints(bag, 'joint_states')
    if len(stamps) < 2 or not set(joint_names) <= set(found):
        return []
    order = [found.index(name) for name in joint_names]
    robot = np.stack([channels_of(row) for row in positions[:, order]]).astype(np.float64)
    signals = [n for n in REFLEX_CHANNELS if n in names and n not in ANGLE_CHANNELS]
    human = human[:, [names.index(name) for name in signals]]
    robot = robot[:, [CHANNELS.index(name) for name in signals]]
    time_s, robot_s = stamps * 1e-9, joint_stamps * 1e-9

    def robot_at(delay_s: float) -> NDArray[np.float64]:
        columns = [np.interp(time_s + delay_s, robot_s, column) for column in robot.T]
        return np.stack(columns, axis=1)

    delay_s = tracking(human, robot_at, LONGEST_DELAY_S, DELAY_STEP_S).delay_s
    shown = robot_at(0.0 if np.isnan(delay_s) else delay_s)
    rate_hz = 1.0 / float(np.median(np.diff(time_s)))
    rows: list[tuple[int, str, float]] = []
    if set(_LIDS) <= set(signals):
        lids = [signals.index(name) for name in _LIDS]
        rows += [(k, 'blink', s) for k, s in blink_shares(human[:, lids], shown[:, lids], rate_hz)]
    for column, name in enumerate(signals):
        if name not in _LIDS:
            shares = apex_shares(human[:, column], shown[:, column], rate_hz)
            places = [place for place, _ in apexes(human[:, column])]
            rows += [(k, name, s) for k, s in zip(places, shares, strict=True)]
    return [
        {
            'name': name.replace('_', ' '),
            'time_s': round(float((stamps[place] - start_ns) * 1e-9), 3),
            'share': round(share, 2),
            'reached': share >= BLINK_SHOWN,
        }
        for place, name, share in sorted(rows)
    ]
