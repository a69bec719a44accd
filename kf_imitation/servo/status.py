"""The controller's state in one sentence and a table, for /diagnostics and the terminal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kf_imitation.servo.cycle import ERROR, OK, WARN, BusStatistics, ServoStatus
from kf_imitation.servo.joint_watch import JointWatch, names_of, unknown_as_text


@dataclass(frozen=True, slots=True)
class Situation:
    """What the sentence is made of.

    Attributes:
        state: off, running, lost or stopped.
        names: joints.
        derate_above_c: where joints count as warm.
        last_error: of the bus.
        unconfirmed: joints whose stop was not read back.
        warnings: of setup.
        resting, outside: (J,) bool.
        line: what is wrong with the line, '' for nothing.
        relaxed: no command, neutral.
        scripted: a trajectory runs.
        refusal: why the last refused command was; '' if none was.
        refused_just_now: it was a moment ago.
    """

    state: str
    names: tuple[str, ...]
    derate_above_c: float
    last_error: str
    unconfirmed: list[str]
    warnings: list[str]
    resting: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    line: str
    relaxed: bool
    scripted: bool
    refusal: str
    refused_just_now: bool


def describe(now: Situation, watch: JointWatch, figures: BusStatistics) -> ServoStatus:
    """Return level, sentence and values."""
    level, sentence = _sentence(now, watch)
    values = {
        'state': now.state,
        'rate': f'{figures.rate_hz:.1f} Hz',
        'jitter p99': f'{figures.jitter_p99_ms:.2f} ms',
        'overruns': str(figures.overruns),
        'failed exchanges': str(figures.errors),
        'outages': str(figures.outages),
        'refused commands': str(figures.refused),
        'last refused command': now.refusal or 'none',
        'waypoints missed': str(figures.missed),
        'stalls': str(figures.stalls),
        'plans without synchronisation': str(figures.unsynchronised),
        'proposals replaced by a stop': str(figures.rejected),
    }
    heat = unknown_as_text(watch.temperature_c, '°C')
    volts = unknown_as_text(watch.voltage_v, 'V')
    for index, (name, warm, supply) in enumerate(zip(now.names, heat, volts, strict=True)):
        values[name] = f'{warm}, {supply}, {watch.trouble(index) or "no error"}'
    for number, warning in enumerate(now.warnings, 1):
        values[f'warning {number}'] = warning
    return ServoStatus(level, sentence, values)


def _sentence(now: Situation, watch: JointWatch) -> tuple[int, str]:
    if now.state == 'stopped':
        if now.unconfirmed:
            return ERROR, f'stop not confirmed by {", ".join(now.unconfirmed)}; trying again'
        return WARN, 'stopped; waiting for reset'
    if now.state == 'lost':
        return ERROR, f'bus lost, trying again: {now.last_error}'
    if now.state == 'off':
        return OK, 'off'
    if watch.reasons:
        return ERROR, '; '.join(watch.sentences())
    if watch.errors:
        return WARN, '; '.join(watch.sentences())
    if now.resting.any():
        stalled = names_of(np.flatnonzero(now.resting).tolist(), now.names)
        return WARN, f'{stalled} pushed without moving and rests'
    if now.outside.any():
        outside = names_of(np.flatnonzero(now.outside).tolist(), now.names)
        return WARN, f'{outside} started outside its limits and creeps back'
    warm = np.nan_to_num(watch.temperature_c) > now.derate_above_c
    if warm.any():
        names = names_of(np.flatnonzero(warm).tolist(), now.names)
        return WARN, f'{names} is warm and moves less'
    if now.refused_just_now:
        return WARN, f'refused a command: {now.refusal}'
    if now.line:
        return WARN, now.line
    if now.scripted:
        return OK, 'following a trajectory'
    return OK, 'at rest in neutral' if now.relaxed else 'following'
