"""A head whose bus and motion run in a process of their own (motor_process.py).

Vision and ROS share an interpreter lock that would make the bus late. This end starts the motor
process, hands it commands, hears its reports, and starts it again when it ends or hangs: from the
measured positions, still stopped if it was.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.errors import KfImitationError
from kf_imitation.head.authority import NOBODY, STOP
from kf_imitation.head.clock import COMMAND_AGE_S, stamp_problem
from kf_imitation.head.motor_connection import MotorConnection, Values
from kf_imitation.head.motor_link import NOTHING, Message, MotorError
from kf_imitation.head.motor_messages import cycle_from, fingerprint, points_array
from kf_imitation.head.pending_confirmations import Answer, at_once
from kf_imitation.head.reports import (
    ERROR,
    OK,
    BusStatistics,
    ServoCycle,
    ServoStatus,
    servos_left,
)
from kf_imitation.head.stop_record import StopRecord
from kf_imitation.head.wanted_cycles import EVERY_HZ
from kf_imitation.motion.waypoints import LONGEST_S, TrajectoryPoint, trajectory_problems
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
OPEN_S = 60.0  # a whole head is asked for every servo, and set up, in less
CONFIRM_S = 1.5  # for a stop
ANSWER_S = 60.0  # for what takes as long as it takes; a motor process that hangs ends it earlier
RESTART_S = (0.0, 0.5, 1.0, 2.0, 5.0)  # pauses before a start, by the ends of the last minute
KEEP_ALIVE_S = 0.05  # between two signs that the goal is still meant
TOLD_S = 10.0  # after a restart the status tells of it for so long
ASKED_TO_END = 143  # `kill`: somebody wants the servos let go

TOLD_TO_END = (
    'the motor process was told to end and let go: start the head again (mimic, launch), or '
    'deactivate and activate the servo node'
)

_log = logging.getLogger('kf_imitation.head')


class RemoteHead:
    """The Head of a robot file's servos, by way of a motor process.

    Attributes:
        robot: the head.
        on_cycle: called with wanted cycles, by a thread of its own; must be quick and not raise.
        cycles_hz: returns how many cycles a second are wanted (wanted_cycles.py), every one if not
            set; called by that thread every PULSE_S.
        on_change: called, by that thread, when the motor process fell silent, ended or is back.
        warnings: what start() found noteworthy.
        restarts: of the motor process so far.
    """

    def __init__(
        self,
        robot: RobotConfig,
        port: str = '',
        rate_hz: float = 100.0,
        hold_s: float = 1.0,
        exit_policy: str = '',
        stamp_clock_ns: Callable[[], int] | None = time.time_ns,
        stop_record: StopRecord | None = None,
    ) -> None:
        """Start nothing yet; as ServoController, with the port in place of the bus."""
        self.robot = robot
        self.on_cycle: Callable[[ServoCycle], None] | None = None
        self.cycles_hz: Callable[[], float] = lambda: EVERY_HZ
        self.on_change: Callable[[], None] | None = None
        self.warnings: tuple[str, ...] = ()
        self.restarts = 0
        self._settings: dict[str, Any] = {
            'robot': robot.source,
            'fingerprint': fingerprint(robot),
            'port': port,
            'rate_hz': rate_hz,
            'exit_policy': exit_policy,
            'remembers': stop_record is not None,
        }
        self._stamp_clock_ns = stamp_clock_ns
        self._stop_record = stop_record
        self._hold_s, self._trajectory_most_s = hold_s, LONGEST_S
        self._latched = stop_record is not None and bool(stop_record.read())
        self._stop_asked = False  # and not confirmed: it counts, whatever reports say
        self._only_limp = False  # by torque(False), and nothing else has stopped the head
        self._motor: MotorConnection | None = None
        self._latest: MotorConnection | None = None  # that was started, whatever became of it
        self._started: MotorConnection | None = None  # in which the head runs
        self._report: Values = {}
        self._changing = threading.Lock()  # whoever opens, starts, rests or closes
        self._wanted_open = self._wanted_active = False
        self._noting = threading.Lock()
        self._restarting = False
        self._closing = threading.Event()
        self._ends_s: list[float] = []  # when a motor process ended by itself
        self._told_until_s = 0.0
        self._end = ''  # how the last one did
        self._trouble = ''  # why it is not back
        self._kept_alive_s = 0.0

    # --- start and end -------------------------------------------------------------------------

    def open(self) -> None:
        """Start the motor process, let it take the port and ask who is there.

        Raises:
            KfImitationError: of a kind that ServoController.open() raises, or MotorError.
        """
        with self._changing:
            self._closing.clear()
            self._bring_up(active=False)
            self._wanted_open = True

    def start(self) -> None:
        """Set up the servos, take torque and run.

        Raises:
            KfImitationError: as open(); torque is off.
        """
        with self._changing:
            self._bring_up(active=True)
            self._wanted_open = self._wanted_active = True

    def rest(self) -> str:
        """Leave by the exit policy; start() begins again.

        Returns:
            '' or what could not be carried out.
        """
        with self._changing:
            was_active, self._wanted_active = self._wanted_active, False
            if not was_active or (self._motor is not None and self._asked_to_end(self._motor)):
                return ''
            self._started = None
            try:
                return str(self._live().call('rest', ANSWER_S))
            except MotorError as error:
                _log.error('%s; a new one leaves the head by its exit policy', error)
                return self._leave_by_another()

    def _leave_by_another(self) -> str:
        """Rest through a new motor process, after the one that had torque on has ended."""
        try:
            self._bring_up(active=True)
            self._started = None
            return str(self._live().call('rest', ANSWER_S))
        except KfImitationError as error:
            return f'the head was not left by its exit policy: {error}. {servos_left(self.robot)}'

    def close(self) -> str:
        """Rest, release the port and end the motor process; may be called twice."""
        self._closing.set()
        problem = self.rest()
        with self._changing:
            self._wanted_open = False
            if self._motor is not None:
                self._motor.close()
                self._motor = None
        return problem

    def _bring_up(self, active: bool) -> None:
        """Start a motor process unless there is one, and the head in it; a killed one once more.

        Raises:
            KfImitationError: of a kind that ServoController raises, or MotorError.
        """
        try:
            self._try_to_bring_up(active)
        except MotorError:
            motor = self._latest
            if motor is None or not motor.ended.is_set() or motor.code >= 0:
                raise
            _log.error('%s and is started again', motor.end)
            try:
                self._try_to_bring_up(active)
            except MotorError as error:
                raise MotorError(f'{error}. {servos_left(self.robot)}') from error

    def _try_to_bring_up(self, active: bool) -> None:
        motor = self._motor
        if motor is None or motor.ended.is_set():
            motor = MotorConnection(
                self._take_cycle, self._take_report, self._note_change, self._cycles_hz
            )
            self._latest = motor
            try:
                motor.call('open', OPEN_S, **self._settings, latched=self._latched)
            except BaseException:
                motor.close()
                raise
            self._motor = motor
            self._tell_times()
            if self._stop_asked:
                self._tell('latch', latched=True)
        if active and self._started is not motor:
            self.warnings = tuple(motor.call('start', OPEN_S))
            self._started = motor

    def _live(self) -> MotorConnection:
        """Return the motor process.

        Raises:
            MotorError: it has ended.
        """
        motor = self._motor
        if motor is None:
            raise MotorError('the head is not open')
        if self._asked_to_end(motor):
            raise MotorError(TOLD_TO_END)
        if motor.ended.is_set():
            raise MotorError(f'{motor.end} and is being started again')
        return motor

    @property
    def is_gone(self) -> bool:
        """The motor process has ended, which the log says; commands are rejected meanwhile."""
        return self._motor is not None and self._motor.ended.is_set()

    @staticmethod
    def _asked_to_end(motor: MotorConnection) -> bool:
        return motor.ended.is_set() and motor.code == ASKED_TO_END

    # --- when it ends by itself ----------------------------------------------------------------

    def _note_change(self) -> None:
        """Look whether the motor process has ended unasked; runs in its listening thread."""
        motor = self._motor
        if motor is not None and motor.ended.is_set() and not self._closing.is_set():
            with self._noting:
                again = self._wanted_open and not self._restarting
                again = again and not self._asked_to_end(motor)
                self._restarting |= again
            if again:
                self._note_end(motor)
                threading.Thread(target=self._restart, name='motor-restart', daemon=True).start()
        if self.on_change is not None:
            self.on_change()

    def _note_end(self, motor: MotorConnection) -> None:
        self._ends_s = [t for t in self._ends_s if time.monotonic() - t < 60.0]
        self._ends_s.append(time.monotonic())
        self._end, self._trouble = motor.end, ''
        _log.error('%s and is started again', motor.end)

    def _restart(self) -> None:
        """Start it again until it runs or nobody wants it."""
        for attempt in itertools.count(len(self._ends_s) - 1):
            if self._closing.wait(RESTART_S[min(attempt, len(RESTART_S) - 1)]):
                break
            with self._changing:
                if not self._wanted_open:
                    break
                try:
                    self._bring_up(self._wanted_active)
                    self._trouble = ''
                except KfImitationError as error:
                    self._trouble = str(error)
                    _log.error('the motor process does not start: %s', error)
            with self._noting:
                if not self._trouble and self._motor and not self._motor.ended.is_set():
                    self._restarting = False
                    self._told_until_s = time.monotonic() + TOLD_S
                    self.restarts += 1
                    break
        with self._noting:
            self._restarting = False
        if self.on_change is not None:
            self.on_change()

    # --- commands ------------------------------------------------------------------------------

    def set_goal(self, position_rad: Array, stamp_ns: int) -> str:
        """Move to a pose (J,); returns why not, or ''."""
        return self._asked_by_stamp('goal', position_rad, stamp_ns)

    def set_reflex(self, joints: NDArray[np.intp], position_rad: Array, stamp_ns: int) -> str:
        """Move some joints (K,) at once, each for itself; returns why not, or ''."""
        return self._asked_by_stamp('reflex', position_rad, stamp_ns, joints=joints.tolist())

    def set_trajectory(
        self, names: Sequence[str], points: Sequence[TrajectoryPoint], delay_s: float = 0.0
    ) -> str:
        """Move some joints through poses in time; returns why not, or ''."""
        most_s = self._trajectory_most_s
        if problems := trajectory_problems(self.robot, names, points, delay_s, most_s):
            return self.reject(f'trajectory: {"; ".join(problems)}')
        array = points_array(points, len(names))
        return self._asked('trajectory', ANSWER_S, array, names=list(names), delay_s=delay_s)

    def _asked_by_stamp(self, act: str, position_rad: Array, stamp_ns: int, **values: Any) -> str:
        """Hand positions over unless their stamp lies in the future."""
        clock_ns = self._stamp_clock_ns() if self._stamp_clock_ns is not None else 0
        if reason := stamp_problem(stamp_ns, clock_ns):
            return self.reject(reason)
        goal = np.asarray(position_rad, np.float64)
        return self._asked(act, COMMAND_AGE_S, goal, stamp_ns=int(stamp_ns), **values)

    def _asked(self, act: str, timeout_s: float, array: Array, **values: Any) -> str:
        """Hand a command over; what waited for longer than COMMAND_AGE_S is void there."""
        try:
            return str(self._live().call(act, timeout_s, array, **values))
        except KfImitationError as error:
            return str(error)

    def reject(self, reason: str) -> str:
        """Count a command that the caller found faulty; returns the reason."""
        self._tell('reject', reason=reason)
        return reason

    def forget_order(self) -> None:
        """Take the next goal whatever its stamp: the clock of the stamps was set back."""
        self._tell('forget_order')

    def keep_alive(self) -> None:
        """Say that the last goal is still meant."""
        now_s = time.monotonic()
        if now_s - self._kept_alive_s >= KEEP_ALIVE_S:
            self._kept_alive_s = now_s
            self._tell('keep_alive')

    def ask_for_cycle(self) -> None:
        """Let on_cycle hear of the next cycle, whatever else is wanted."""
        self._tell('cycle')

    def relax(self) -> None:
        """Move to neutral."""
        self._tell('relax')

    def stop(self) -> 'Future[Answer]':
        """Stop and stay stopped, also if the motor process hears of it only after a restart."""
        self._only_limp = False
        return self._stop('stop')

    def torque(self, on: bool) -> 'Future[Answer]':
        """Let torque go, or bring back without motion what was let go; a stop needs reset()."""
        if on:
            stopped = self._latched and not self._only_limp
            return at_once(False, 'stopped: reset first') if stopped else self.reset()
        self._only_limp |= not self._latched
        return self._stop('torque', on=False)

    def _stop(self, act: str, **values: Any) -> 'Future[Answer]':
        self._stop_asked = self._latched = True
        if self._stop_record is not None:
            self._stop_record.write('stopped by a command')
        told: Future[Answer] = Future()
        answer = self._promised(act, CONFIRM_S, **values)
        answer.add_done_callback(lambda done: told.set_result(self._noted(done.result())))
        return told

    def _noted(self, stop: Answer) -> Answer:
        if not stop.done:
            return Answer(False, f'{stop.sentence}. The stop counts: the head comes back stopped')
        self._stop_asked = False  # from now on it is in the reports
        return stop

    def reset(self) -> 'Future[Answer]':
        """End a stop."""
        self._stop_asked = self._only_limp = False
        return self._promised('reset', ANSWER_S)

    def recover(self, careful: bool) -> 'Future[Answer]':
        """Reboot servos with hardware errors (careful), or all that are out of service."""
        return self._promised('recover', ANSWER_S, careful=careful)

    def _promised(self, act: str, timeout_s: float, **values: Any) -> 'Future[Answer]':
        try:
            asked = self._live().ask(act, timeout_s, NOTHING, **values)
        except MotorError as error:
            return at_once(False, str(error))
        promised: Future[Answer] = Future()
        asked.add_done_callback(lambda done: promised.set_result(_answer_of(done)))
        return promised

    def _tell(self, act: str, **values: Any) -> None:
        motor = self._motor
        if motor is not None and not motor.ended.is_set():
            motor.send(act, **values)

    # --- times and state -----------------------------------------------------------------------

    @property
    def hold_s(self) -> float:
        """Time without a goal or keep_alive() after which the head relaxes to neutral."""
        return self._hold_s

    @hold_s.setter
    def hold_s(self, value: float) -> None:
        self._hold_s = value
        self._tell_times()

    @property
    def trajectory_most_s(self) -> float:
        """How long a trajectory may last, or wait for its start."""
        return self._trajectory_most_s

    @trajectory_most_s.setter
    def trajectory_most_s(self, value: float) -> None:
        self._trajectory_most_s = value
        self._tell_times()

    def _tell_times(self) -> None:
        self._tell('times', hold_s=self._hold_s, trajectory_most_s=self._trajectory_most_s)

    @property
    def latched(self) -> bool:
        """Stopped until reset(); outlives the motor process."""
        return self._latched

    @latched.setter
    def latched(self, value: bool) -> None:
        self._latched = value
        self._tell('latch', latched=value)

    @property
    def pid(self) -> int:
        """Process id of the motor process.

        Raises:
            MotorError: there is none.
        """
        return self._live().pid

    def statistics(self) -> BusStatistics | None:
        """Return the figures of the last report; None before the first."""
        figures = self._report.get('figures')
        return BusStatistics(**figures) if figures else None

    def owners(self) -> tuple[str, ...]:
        """Return who may move each joint now, as of the last report."""
        owners, motor = self._report.get('owners', ()), self._motor
        if self._latched:
            return (STOP,) * len(self.robot.joints)
        if not owners or motor is None or self._problem(motor):
            return (NOBODY,) * len(self.robot.joints)
        return tuple(map(str, owners))

    def status(self) -> ServoStatus:
        """Return the state in a sentence with details, as of the last report."""
        report, motor = self._report, self._motor
        values = {**report.get('values', {}), 'motor restarts': str(self.restarts)}
        if motor is None:
            return ServoStatus(OK, 'off', values)
        values['motor process'] = str(motor.pid)
        if problem := self._problem(motor):
            return ServoStatus(ERROR, problem, values)
        sentence = str(report.get('sentence', 'starting'))
        if self._restarting or time.monotonic() < self._told_until_s:
            return ServoStatus(ERROR, f'{self._end} and was started again; {sentence}', values)
        return ServoStatus(int(report.get('level', OK)), sentence, values)

    def _problem(self, motor: MotorConnection) -> str:
        """Return what is wrong with the motor process, in a sentence; '' for nothing."""
        if self._asked_to_end(motor):
            return TOLD_TO_END
        if motor.ended.is_set():
            why = f': {self._trouble}' if self._trouble else ''
            left = 'the head was left by its exit policy'
            now = left if motor.code == 0 else 'the servos hold meanwhile'
            return f'{motor.end} and is being started again{why}; {now}'
        if silent_s := motor.silent_s:
            return f'the motor process has been silent for {silent_s:.1f} s'
        return ''

    def _cycles_hz(self) -> float:
        return self.cycles_hz() if self.on_cycle is not None else 0.0

    def _take_cycle(self, message: Message) -> None:
        if self.on_cycle is not None:
            self.on_cycle(cycle_from(message, self.robot.names))

    def _take_report(self, message: Message) -> None:
        self._report = message.values
        self._latched = self._stop_asked or bool(message.values['latched'])


def _answer_of(done: 'Future[Values]') -> Answer:
    if error := done.exception():
        return Answer(False, str(error))
    values = done.result()
    if 'error' in values:
        return Answer(False, str(values['message']))
    if 'done' in values:
        return Answer(bool(values['done']), str(values['sentence']))
    return Answer(False, str(values.get('result')))
