"""The motor process: bus, limiter, guards and supervision of one head, and nothing else.

`python -m kf_imitation.head.motor_process --fd N` is started by RemoteHead (remote_head.py), which
holds the other end of the socket. The bus thread is that of ServoController; the main thread takes
commands and reports. When whoever started it is gone or silent, the head brakes, goes to neutral
and is left by its exit policy; then the process ends.
"""

import argparse
import dataclasses
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from kf_imitation.actuators.dynamixel.host_tuning import prefer_realtime
from kf_imitation.errors import ConfigError, KfImitationError
from kf_imitation.head.bus_factory import make_bus
from kf_imitation.head.clock import COMMAND_AGE_S
from kf_imitation.head.controller import ServoController
from kf_imitation.head.cycle_faults import CYCLE_FAULTS, cause
from kf_imitation.head.motor_link import PULSE_S, Kind, Message, MotorError, MotorLink
from kf_imitation.head.motor_messages import (
    cycle_content,
    error_values,
    fingerprint,
    points_from,
)
from kf_imitation.head.pending_confirmations import Answer
from kf_imitation.head.reports import ServoCycle
from kf_imitation.head.stop_record import StopRecord
from kf_imitation.head.wanted_cycles import WantedCycles
from kf_imitation.robot import load_robot

SILENT_S = 1.0  # without a word from the other end: the head goes to neutral
GONE_S = 5.0  # and is left; busy computers make shorter pauses
REPORT_S = 0.2
SWITCH_INTERVAL_S = 0.0002  # how long the bus thread waits for the main thread at most
ASKED_TO_END = 128 + signal.SIGTERM  # exit code after `kill`: not to be started again
# What waited for longer than COMMAND_AGE_S is void; a stop never is.
PERISHABLE = ('goal', 'reflex', 'trajectory', 'keep_alive', 'relax', 'reset', 'torque', 'recover')

Act = Callable[[Message], object]

_log = logging.getLogger('kf_imitation.head')


class MotorProcess:
    """Carries out what comes over the link until the other end says or shows that it is over."""

    def __init__(self, link: MotorLink) -> None:
        self._link = link
        self._controller: ServoController | None = None
        self._slow = ThreadPoolExecutor(1)  # what takes seconds; the link is listened to meanwhile
        self._wanted = WantedCycles()
        self._dropped = 0  # wanted cycles that were not taken in time
        self._asked_to_end = False
        self._told = ''  # what of the exit policy could not be carried out, as the other end knows
        self._acts: dict[str, Act] = {
            'alive': lambda m: self._wanted.set_rate(float(m.values.get('cycles_hz', 0.0))),
            'cycle': lambda m: self._wanted.want_first(m.sent_ns),
            'goal': self._goal,
            'reflex': self._reflex,
            'reject': lambda m: self._head.reject(str(m.values['reason'])),
            'forget_order': lambda _: self._head.forget_order(),
            'keep_alive': lambda _: self._head.keep_alive(),
            'relax': lambda _: self._head.relax(),
            'times': self._times,
            'latch': self._latch,
            'stop': lambda _: self._head.stop(),
            'reset': lambda _: self._head.reset(),
            'torque': lambda m: self._head.torque(bool(m.values['on'])),
            'recover': lambda m: self._head.recover(bool(m.values['careful'])),
        }
        self._slow_acts: dict[str, Act] = {
            'open': self._open,
            'start': self._start,
            'rest': lambda _: self._head.rest(),
            'trajectory': self._trajectory,
        }

    @property
    def _head(self) -> ServoController:
        if self._controller is None:
            raise MotorError('the motor process has not been told which head it has')
        return self._controller

    def ask_to_end(self) -> None:
        """Leave by the exit policy soon; for a signal handler."""
        self._asked_to_end = True

    def run(self) -> int:
        """Serve until it is over; returns the exit code."""
        heard_s = looked_s = time.monotonic()
        report_s = 0.0
        relaxed = False  # because the other end is silent
        while not self._asked_to_end:
            self._link.wait(PULSE_S)
            now_s = time.monotonic()
            if now_s - looked_s > SILENT_S:
                heard_s = now_s  # this process stood still, which says nothing about the other
            looked_s = now_s
            try:
                for message in self._link.receive():
                    heard_s = now_s
                    self._take(message)
            except EOFError:
                self._leave('whoever started it is gone')
                return 0
            silent_s = now_s - heard_s
            if silent_s > GONE_S:
                self._leave(f'whoever started it has been silent for {silent_s:.0f} s')
                return 0
            if silent_s > SILENT_S and not relaxed and self._controller is not None:
                self._controller.relax()
            relaxed = silent_s > SILENT_S
            if now_s >= report_s:
                report_s = now_s + REPORT_S
                self._report()
        self._slow.shutdown()
        if self._controller is not None:
            self._tell_exit(self._controller.close())
        return ASKED_TO_END

    def _leave(self, why: str) -> None:
        self._slow.shutdown()
        if self._controller is not None:
            if self._controller.state != 'off':
                _log.error('motor process: %s; the head goes to neutral and is left', why)
            self._tell_exit(self._controller.abandon())

    def _tell_exit(self, problem: str) -> None:
        """Log what of the exit policy could not be carried out, unless the other end knows."""
        if problem and problem != self._told:
            _log.error('%s', problem)

    def _take(self, message: Message) -> None:
        """Carry out a call and answer it, now or when it is done."""
        name = str(message.values.get('act'))
        is_stop = name == 'torque' and not message.values.get('on')
        if name in PERISHABLE and not is_stop and message.age_s > COMMAND_AGE_S:
            old = f'{name}: sent {message.age_s:.1f} s ago, at most {COMMAND_AGE_S:g} s'
            self._answer(message, _guarded(lambda _: self._head.reject(old), message))
            return
        if name in self._slow_acts:
            future = self._slow.submit(_guarded, self._slow_acts[name], message)
            future.add_done_callback(lambda done: self._report_and_answer(message, done.result()))
            return
        outcome = _guarded(self._acts.get(name, _unknown), message)
        if isinstance(outcome, Future):
            outcome.add_done_callback(lambda done: self._answer(message, done.result()))
        else:
            self._answer(message, outcome)

    def _report_and_answer(self, message: Message, outcome: object) -> None:
        self._report()  # first, so that whoever waits for the answer knows the state after it
        self._answer(message, outcome)

    def _answer(self, message: Message, outcome: object) -> None:
        if not message.number:
            return
        values: dict[str, object]
        if isinstance(outcome, Answer):
            values = {'done': outcome.done, 'sentence': outcome.sentence}
        elif isinstance(outcome, KfImitationError):
            values = error_values(outcome)
        else:
            values = {'result': outcome}
        sent = self._link.send(Kind.ANSWER, values, number=message.number)
        if message.values.get('act') == 'rest':
            self._told = str(outcome) if sent else ''

    def _report(self) -> None:
        head = self._controller
        if head is None:
            self._link.send(Kind.REPORT)
            return
        status = head.status()
        values = {**status.values, 'states dropped': str(self._dropped)}
        self._link.send(
            Kind.REPORT,
            {
                'level': status.level,
                'sentence': status.sentence,
                'values': values,
                'latched': head.stopped,
                'owners': head.owners(),
                'figures': dataclasses.asdict(head.statistics()),
            },
        )

    def _on_cycle(self, cycle: ServoCycle) -> None:
        """Hand a cycle over if it is wanted; runs in the bus thread, which never waits."""
        if self._wanted.chooses(cycle):
            self._dropped += not self._link.send(Kind.CYCLE, *cycle_content(cycle))

    # --- what can be asked for -------------------------------------------------------------------

    def _open(self, message: Message) -> None:
        """Make the head of the first call; open its port."""
        if self._controller is None:
            self._controller = self._made(message)
        self._controller.open()

    def _made(self, message: Message) -> ServoController:
        given = message.values
        robot = load_robot(str(given['robot']))
        if fingerprint(robot) != given['fingerprint']:
            raise ConfigError(
                robot.source, ['changed after the servo node read it: cleanup and configure again']
            )
        head = ServoController(
            robot,
            make_bus(robot, str(given['port'])),
            rate_hz=float(given['rate_hz']),
            exit_policy=str(given['exit_policy']),
            stamp_clock_ns=None,  # the other end has the clock of the stamps
            stop_record=StopRecord(robot) if given['remembers'] else None,
        )
        head.latched = head.latched or bool(given['latched'])
        head.on_cycle = self._on_cycle
        return head

    def _start(self, message: Message) -> list[str]:
        """Start the head; returns its warnings."""
        self._told = ''
        gc.collect()
        gc.freeze()  # what is there stays; later collections need not look at it
        self._head.start()
        return list(self._head.warnings)

    def _goal(self, message: Message) -> str:
        return self._head.set_goal(message.array.copy(), int(message.values['stamp_ns']))

    def _reflex(self, message: Message) -> str:
        joints = np.array(message.values['joints'], np.intp)
        stamp_ns = int(message.values['stamp_ns'])
        return self._head.set_reflex(joints, message.array.copy(), stamp_ns)

    def _trajectory(self, message: Message) -> str:
        names = [str(name) for name in message.values['names']]
        delay_s = float(message.values['delay_s']) - message.age_s
        return self._head.set_trajectory(names, points_from(message.array, len(names)), delay_s)

    def _times(self, message: Message) -> None:
        self._head.hold_s = float(message.values['hold_s'])
        self._head.trajectory_most_s = float(message.values['trajectory_most_s'])

    def _latch(self, message: Message) -> None:
        self._head.latched = bool(message.values['latched'])


def _unknown(message: Message) -> None:
    raise MotorError(f'{message.values.get("act")!r} is not something to ask a motor process for')


def _guarded(act: Act, message: Message) -> object:
    """Return what came of an act, or the error that it ended with."""
    try:
        return act(message)
    except KfImitationError as error:
        return error
    except CYCLE_FAULTS as error:
        _log.error('motor process: %s', cause(error), exc_info=error)
        return MotorError(cause(error))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description='Bus and motion of one head.')
    parser.add_argument('--fd', type=int, required=True, help='the socket to whoever started it')
    link = MotorLink(socket.socket(fileno=parser.parse_args(arguments).fd))
    process = MotorProcess(link)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # of a terminal: the other end decides what it means
    signal.signal(signal.SIGTERM, lambda *_: process.ask_to_end())
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    prefer_realtime()
    code = process.run()
    gc.unfreeze()
    return code


if __name__ == '__main__':
    sys.exit(main())
