"""What the controller reports: one cycle, the bus statistics and its state in a sentence."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kf_imitation.head.servo_monitor import ServoMonitor, names_of, unknown_as_text
from kf_imitation.motion.motion_generator import STALL_FORCES
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
OFF, RUNNING, LOST, STOPPED = 'off', 'running', 'lost', 'stopped'  # states of the controller
OK, WARN, ERROR = 0, 1, 2  # levels of diagnostic_msgs/DiagnosticStatus
_WINDOW = 3000  # periods kept for the jitter, 30 s at 100 Hz


@dataclass(frozen=True, slots=True)
class ServoCycle:
    """One cycle of the bus thread; arrays are copies in robot-file order, (J,) float64.

    Attributes:
        stamp_ns: the controller's clock.
        names: joints.
        goal_rad: where the joints are going, after all guards.
        commanded_rad: what was sent in this cycle.
        present_rad, velocity_rad_s, current_a: what was read.
        fresh: false when this cycle's reading failed and the values are old.
        commanding: goals were sent.
        errors: one sentence each.
    """

    stamp_ns: int
    names: tuple[str, ...]
    goal_rad: Array
    commanded_rad: Array
    present_rad: Array
    velocity_rad_s: Array
    current_a: Array
    fresh: bool
    commanding: bool
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BusStatistics:
    """Counts since start.

    Attributes:
        rate_hz: mean over the last 30 s.
        jitter_p99_ms: 99th percentile of |period - nominal| over the last 30 s.
        longest_ms: longest period in it.
        cycles: all.
        overruns: cycles that took longer than a period.
        errors: failed exchanges.
        faults: exceptions in a cycle, each of which stopped the head.
        outages: times the whole bus was lost.
        unsynchronised: plans where the joints could not arrive together.
        gaps: times that the computer stood still.
        voided: commands that such a gap made void.
        rejected_proposals: proposals that the safety limiter replaced by a stop.
        rejected_commands: commands rejected.
        missed: waypoints of trajectories that were not reached in time.
        stalls: joints found pushing without moving.
    """

    rate_hz: float
    jitter_p99_ms: float
    longest_ms: float
    cycles: int
    overruns: int
    errors: int
    faults: int
    outages: int
    unsynchronised: int
    gaps: int
    voided: int
    rejected_proposals: int
    rejected_commands: int
    missed: int
    stalls: int


@dataclass(frozen=True, slots=True)
class ServoStatus:
    """State for people and /diagnostics.

    Attributes:
        level: OK, WARN or ERROR.
        sentence: what is going on.
        values: details by name, temperatures and voltages among them.
    """

    level: int
    sentence: str
    values: dict[str, str] = field(default_factory=dict)


class PeriodMeter:
    """Rate and jitter of the cycle from its start times."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._periods: deque[float] = deque(maxlen=_WINDOW)
        self._last_s: float | None = None

    def mark(self, now_s: float) -> None:
        """Note the start of a cycle."""
        if self._last_s is not None:
            self._periods.append(now_s - self._last_s)
        self._last_s = now_s

    def figures(self) -> tuple[float, float, float]:
        """Return rate [Hz], p99 of the jitter [ms] and the longest period [ms]; 0 if unknown."""
        periods = np.array(tuple(self._periods))
        if not len(periods):
            return 0.0, 0.0, 0.0
        jitter = np.percentile(np.abs(periods - self._period_s), 99)
        mean = float(periods.mean())
        return 1.0 / mean if mean > 0 else 0.0, float(jitter) * 1e3, float(periods.max()) * 1e3


@dataclass(frozen=True, slots=True)
class ControllerSnapshot:
    """The controller at one moment: what a status is made of.

    Attributes:
        state: off, running, lost or stopped.
        names: joints.
        derate_above_c: where joints count as warm.
        fault: what in the controller itself ended the motion; '' for nothing.
        alarm: what another program did to the servos that stopped the head; '' for nothing.
        last_error: of the bus.
        unconfirmed: joints whose stop was not read back.
        braking: stopped, and the joints are still coming to rest.
        refused: lost, because no servo that answers is fit to move.
        taken_in: false from a reset until the servos have been asked.
        warnings: of setup.
        resting, given_up, outside: (J,) bool; given_up rest until somebody says otherwise.
        beyond: how far joints were measured outside their limits, in words by joint or coupled
            limit.
        link: what is wrong with the connection, '' for nothing.
        relaxed: no command, neutral.
        scripted: a trajectory runs.
        gap_s: how long the computer stood still a moment ago; 0 if it did not.
        rejection: why the last rejected command was; '' if none was.
        rejected_just_now: it was a moment ago.
    """

    state: str
    names: tuple[str, ...]
    derate_above_c: float
    fault: str
    alarm: str
    last_error: str
    unconfirmed: list[str]
    braking: bool
    refused: bool
    taken_in: bool
    warnings: list[str]
    resting: NDArray[np.bool_]
    given_up: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    beyond: dict[str, str]
    link: str
    relaxed: bool
    scripted: bool
    gap_s: float
    rejection: str
    rejected_just_now: bool


def servos_left(robot: RobotConfig) -> str:
    """Return what servos do that nobody could let go, and what to do about it."""
    return (
        'Servos that have torque hold where they are, until their power is cut or '
        f'`kf_imitation servo off --robot {robot.source}`'
    )


def describe(
    now: ControllerSnapshot, monitor: ServoMonitor, figures: BusStatistics
) -> ServoStatus:
    """Return level, sentence and values."""
    level, sentence = _sentence(now, monitor)
    values = {
        'state': now.state,
        'rate': f'{figures.rate_hz:.1f} Hz',
        'jitter p99': f'{figures.jitter_p99_ms:.2f} ms',
        'overruns': str(figures.overruns),
        'failed exchanges': str(figures.errors),
        'faults of the motor loop': str(figures.faults),
        'outages': str(figures.outages),
        'gaps of the computer': str(figures.gaps),
        'commands void by a gap': str(figures.voided),
        'rejected commands': str(figures.rejected_commands),
        'last rejected command': now.rejection or 'none',
        'waypoints missed': str(figures.missed),
        'stalls': str(figures.stalls),
        'plans without synchronisation': str(figures.unsynchronised),
        'proposals replaced by a stop': str(figures.rejected_proposals),
    }
    heat = unknown_as_text(monitor.temperature_c, '°C')
    volts = unknown_as_text(monitor.voltage_v, 'V')
    for index, (name, warm, supply) in enumerate(zip(now.names, heat, volts, strict=True)):
        values[name] = f'{warm}, {supply}, {monitor.trouble(index) or "no error"}'
        values[name] += f', {now.beyond[name]}' if name in now.beyond else ''
    for number, warning in enumerate(now.warnings, 1):
        values[f'warning {number}'] = warning
    return ServoStatus(level, sentence, values)


def _sentence(now: ControllerSnapshot, monitor: ServoMonitor) -> tuple[int, str]:
    if now.state == STOPPED:
        why = f'stopped by a fault in the motor loop ({now.fault})' if now.fault else 'stopped'
        if now.alarm:
            why = f'stopped: {now.alarm}'
        if now.braking and not (now.fault or now.alarm):
            return WARN, 'stopping: the joints are coming to rest'
        if now.unconfirmed:
            left = f'stop not confirmed by {", ".join(now.unconfirmed)}; trying again'
            return ERROR, f'{why}; {left}' if now.fault or now.alarm else left
        where = [f'{name} is {far}' for name, far in now.beyond.items()]
        waiting = f'{"; ".join([why, *where])}; waiting for reset'
        return ERROR if now.fault or now.alarm else WARN, waiting
    if now.state == LOST:
        if not now.taken_in:
            return WARN, 'reset: the servos are being taken in'
        if now.refused:
            return ERROR, f'no joint can move: {"; ".join(monitor.sentences())}'
        return ERROR, f'bus lost, trying again: {now.last_error or "no servo replies"}'
    if now.state == OFF:
        return OK, 'off'
    stuck = names_of(np.flatnonzero(now.given_up).tolist(), now.names)
    if stuck:
        sentences = [
            f'{stuck} is stuck: it pushed {len(STALL_FORCES)} times without moving and rests '
            'until servo/clear_error or a reset',
            *monitor.sentences(),
        ]
        return ERROR, '; '.join(sentences)
    if monitor.reasons:
        return ERROR, '; '.join(monitor.sentences())
    if monitor.errors:
        return WARN, '; '.join(monitor.sentences())
    if now.gap_s:
        what = 'the computer stood still for' if now.gap_s > 0 else 'the clock went back by'
        return WARN, (
            f'{what} {abs(now.gap_s):.2f} s: earlier goals are void, motion begins again where '
            'the joints are'
        )
    if monitor.notes:
        return WARN, '; '.join(monitor.notes)
    if now.resting.any():
        stalled = names_of(np.flatnonzero(now.resting).tolist(), now.names)
        return WARN, f'{stalled} pushed without moving and rests'
    if now.outside.any():
        outside = names_of(np.flatnonzero(now.outside).tolist(), now.names)
        return WARN, f'{outside} started outside its limits and moves back slowly'
    warm = np.nan_to_num(monitor.temperature_c) > now.derate_above_c
    if warm.any():
        names = names_of(np.flatnonzero(warm).tolist(), now.names)
        return WARN, f'{names} is warm and moves less'
    if now.rejected_just_now:
        return WARN, f'rejected a command: {now.rejection}'
    if now.link:
        return WARN, now.link
    doing = 'at rest in neutral' if now.relaxed else 'following'
    doing = 'following a trajectory' if now.scripted else doing
    return OK, f'{doing}; {monitor.latest}' if monitor.latest else doing
