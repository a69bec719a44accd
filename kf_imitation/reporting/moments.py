"""Which blinks and apexes of the person the robot reached: benchmark.md, section 3b."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from kf_imitation.reporting.recording import Recording

_LIDS = ('eye_close_left', 'eye_close_right')


def moments(recording: Recording) -> list[dict[str, Any]]:
    """Return blinks, and apexes of the other channels that are read in every frame.

    Returns:
        name, time_s, share that the robot showed after the one delay that fits best, reached; in
        order of time. Nothing where the run has no reading of every frame.
    """
    reflex, joints = recording.signals('face/reflex'), recording.signals('joint_states')
    if reflex is None or len(reflex.stamps) < 2 or joints is None or recording.shown is None:
        return []
    stamps, names, human = reflex
    signals = [n for n in REFLEX_CHANNELS if n in names and n not in ANGLE_CHANNELS]
    human = human[:, [names.index(name) for name in signals]]
    robot = recording.shown[:, [CHANNELS.index(name) for name in signals]]
    time_s, robot_s = stamps * 1e-9, joints.stamps * 1e-9

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
            'time_s': round(float((stamps[place] - recording.start_ns) * 1e-9), 3),
            'share': round(share, 2),
            'reached': share >= BLINK_SHOWN,
        }
        for place, name, share in sorted(rows)
    ]
