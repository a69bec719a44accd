"""A motor process seen by whoever started it: calls, answers, signs of life, and its end."""

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from typing import Any

from kf_imitation.child_process import end_child, start_child
from kf_imitation.head.motor_link import (
    NOTHING,
    PULSE_S,
    Array,
    Kind,
    Message,
    MotorError,
    MotorLink,
    socket_pair,
)
from kf_imitation.head.motor_messages import error_from

PROGRAM = 'kf_imitation.head.motor_process'
SILENT_S = 0.8  # reports come five times a second
HUNG_S = 5.0  # it is killed; the Bus Watchdog has stopped the servos long before
START_S = 60.0  # until its first word: a busy machine is slow to start a program
PATIENCE_S = 0.3  # for room in the socket
END_S = 10.0  # for the way to neutral and torque off
# Threads of numerical libraries would only get in the way of the bus.
_ONE_THREAD = dict.fromkeys(('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'), '1')

_log = logging.getLogger('kf_imitation.head')
Values = Mapping[str, Any]


class MotorConnection:
    """Starts a motor process and listens to it in a thread.

    Attributes:
        pid: of the process.
        ended: it is gone; nothing is answered any more.
        end: how it ended, for people.
        code: its exit code, negative for a signal.
    """

    def __init__(
        self,
        on_cycle: Callable[[Message], None],
        on_report: Callable[[Message], None],
        on_change: Callable[[], None],
        cycles_hz: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Start it.

        Args:
            on_cycle: called with wanted cycles, by the listening thread; quick.
            on_report: called with every report, by the same thread.
            on_change: called, by the same thread, when it fell silent, is heard again, or ended.
            cycles_hz: returns how many cycles a second are wanted (wanted_cycles.py); called by
                the same thread every PULSE_S.
        """
        self._cycles_hz = cycles_hz
        self._on_cycle, self._on_report, self._on_change = on_cycle, on_report, on_change
        own, other = socket_pair()
        with other:
            self._process = start_child(
                PROGRAM,
                ['--fd', str(other.fileno())],
                _ONE_THREAD,
                stdin=subprocess.DEVNULL,
                pass_fds=(other.fileno(),),
            )
        self.pid = self._process.pid
        self.code = 0
        self.end = ''
        self.ended = threading.Event()
        self._hung = False
        self._link = MotorLink(own, PATIENCE_S)
        self._sending = threading.Lock()
        self._waiting: dict[int, tuple[Future[Values], float]] = {}
        self._number = 0
        self._heard_s = time.monotonic() + START_S
        self._thread = threading.Thread(target=self._listen, name='motor-link', daemon=True)
        self._thread.start()

    @property
    def silent_s(self) -> float:
        """For how long it has said nothing, once that is remarkable; otherwise 0."""
        silent_s = time.monotonic() - self._heard_s
        return silent_s if silent_s > SILENT_S else 0.0

    def send(self, act: str, **values: Any) -> None:
        """Ask for something without an answer."""
        self._send(act, values, NOTHING, 0)

    def ask(
        self, act: str, timeout_s: float, array: Array = NOTHING, **values: Any
    ) -> 'Future[Values]':
        """Ask for something; what comes is its answer or a MotorError."""
        future: Future[Values] = Future()
        with self._sending:
            self._number += 1
            number = self._number
            self._waiting[number] = future, time.monotonic() + timeout_s
        sent = self._send(act, values, array, number)
        if self.ended.is_set():
            self._fail(number, self.end)
        elif not (sent or self._link.closed):  # once it is closed, _note_end() says why
            self._fail(number, 'the motor process does not take commands')
        return future

    def call(self, act: str, timeout_s: float, array: Array = NOTHING, **values: Any) -> Any:
        """Ask for something and wait; returns the result.

        Raises:
            KfImitationError: what went wrong there, or with the process (MotorError).
        """
        try:
            answer = self.ask(act, timeout_s, array, **values).result(timeout_s + 1.0)
        except NotInTime as error:
            raise MotorError('the motor process does not answer') from error
        if 'error' in answer:
            raise error_from(answer)
        return answer.get('result')

    def close(self) -> None:
        """Let it end by itself and wait for that; may be called twice."""
        self._link.shutdown()
        self._thread.join()

    def _send(self, act: str, values: Values, array: Array, number: int) -> bool:
        with self._sending:
            return self._link.send(Kind.CALL, {'act': act, **values}, array, number)

    def _listen(self) -> None:
        """Be the listening thread until the process is gone."""
        looked_s = time.monotonic()
        told_s = 0.0
        reported_silent = False
        while True:
            self._link.wait(PULSE_S)
            now_s = time.monotonic()
            if now_s - looked_s > SILENT_S:
                # This process stood still, which says nothing about that one.
                self._heard_s = max(now_s, self._heard_s)
            looked_s = now_s
            try:
                for message in self._link.receive():
                    self._take(message)
            except EOFError:
                break
            except MotorError as error:
                _log.error('%s', error)
                break
            if now_s - told_s >= PULSE_S:
                told_s = now_s
                self._send('alive', {'cycles_hz': self._cycles_hz()}, NOTHING, 0)
                self._expire(now_s)
            if bool(self.silent_s) != reported_silent:
                reported_silent = not reported_silent
                self._on_change()
            if now_s - self._heard_s > HUNG_S:
                _log.error('the motor process %d hangs and is killed', self.pid)
                self._hung = True
                self._process.kill()
        self._note_end()

    def _take(self, message: Message) -> None:
        self._heard_s = time.monotonic()
        if message.kind is Kind.CYCLE:
            self._on_cycle(message)
        elif message.kind is Kind.REPORT and message.values:
            self._on_report(message)
        elif message.kind is Kind.ANSWER:
            with self._sending:
                waiting = self._waiting.pop(message.number, None)
            if waiting is not None:
                waiting[0].set_result(message.values)

    def _expire(self, now_s: float) -> None:
        with self._sending:
            late = [number for number, (_, until_s) in self._waiting.items() if now_s > until_s]
        for number in late:
            self._fail(number, 'the motor process does not answer')

    def _fail(self, number: int, why: str) -> None:
        with self._sending:
            waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting[0].set_exception(MotorError(why))

    def _note_end(self) -> None:
        self.code = end_child(self._process, END_S)
        self._link.close()
        by = f'was killed by signal {-self.code}' if self.code < 0 else f'ended ({self.code})'
        if self._hung:
            by = f'hung for {HUNG_S:.0f} s'
        self.end = f'the motor process {by}'
        self.ended.set()
        for number in list(self._waiting):
            self._fail(number, self.end)
        self._on_change()
