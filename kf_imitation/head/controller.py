"""The servo controller: one thread owns the bus and runs its cycle on the monotonic clock.

Commands come from any thread and go through a mailbox; the cycle itself is control_cycle.py.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np

from kf_imitation.actuators.dynamixel.host_tuning import prefer_realtime
from kf_imitation.errors import KfImitationError
from kf_imitation.head.control_cycle import LOST, OFF, RUNNING, STOPPED, Array, ControlCycle
from kf_imitation.head.pending_confirmations import Answer, at_once
from kf_imitation.head.recovery import Recovery
from kf_imitation.head.reports import BusStatistics, ControllerSnapshot, ServoStatus, describe
from kf_imitation.head.servo_monitor import REVIVE_S
from kf_imitation.motion.waypoints import (
    TimedTrajectory,
    TrajectoryPoint,
    trajectory_problems,
)

# What a caller is given to hear whether a request was carried out; it goes on all the same.
CONFIRM_S = 1.0
RESET_S = 5.0
RECOVERY_S = 3.0
REPORT_S = 5.0  # a rejected command stays in the status for as long

__all__ = ['LOST', 'OFF', 'RUNNING', 'STOPPED', 'ServoController']


class ServoController(ControlCycle):
    """Moves one robot; arguments and attributes are those of ControlCycle."""

    # The thread's own; everything else is made by ControlCycle.__init__().
    _thread: threading.Thread | None = None
    _failure: KfImitationError | None = None
    _closing: threading.Event
    _ready: threading.Event
    _rejected = 0
    _rejection = -math.inf, ''  # when, why

    # --- commands, from any thread -------------------------------------------------------------

    def open(self) -> None:
        """Open the port and ask whether every servo is there; nothing is set, nothing moves.

        Raises:
            PortError, ServoSetupError: the port is released.
        """
        self._bus.open()
        self._bus.use_short_timeouts(False)
        try:
            self._servos.verify()
        except BaseException:
            self._bus.shutdown()
            raise

    def start(self, threaded: bool = True) -> None:
        """Open the bus (again), set the servos up, switch torque on and run.

        Args:
            threaded: spawn the bus thread; false leaves the cycles to step().

        Raises:
            PortError, ServoSetupError, BusError: nothing runs and torque is off.
        """
        if not threaded:
            self._connect()
            return
        self._closing, self._ready, self._failure = threading.Event(), threading.Event(), None
        self._thread = threading.Thread(target=self._run, name='servo-bus', daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            self._thread = None
            raise self._failure

    def set_goal(self, position_rad: Array, stamp_ns: int) -> str:
        """Move to a pose; a later call replaces it at once.

        Args:
            position_rad: (J,) in robot-file order, inside the limits.
            stamp_ns: of the expression; must grow from call to call.

        Returns:
            '' or why the command was rejected; a rejected one changes nothing.
        """
        goal = np.asarray(position_rad, np.float64)
        if stopped := self._stopped():
            return self.reject(stopped)
        with self._mailbox.lock:
            reason = self._motion.limiter.problem_of(goal, stamp_ns)
            if not reason:
                self._mailbox.goal(goal, self._clock())
        return self.reject(reason) if reason else ''

    def set_joint_goals(self, goals: Mapping[str, float], stamp_ns: int) -> str:
        """Move some joints by name, the others keep their goal; returns as set_goal()."""
        unknown = [name for name in goals if name not in self.robot.names]
        if unknown:
            return self.reject(f'unknown joints: {", ".join(unknown)}')
        with self._mailbox.lock:
            full = self._mailbox.wanted_rad.copy()
        for name, value in goals.items():
            full[self.robot.names.index(name)] = value
        return self.set_goal(full, stamp_ns)

    def set_trajectory(
        self, names: Sequence[str], points: Sequence[TrajectoryPoint], delay_s: float = 0.0
    ) -> str:
        """Move some joints through poses in time; a later trajectory replaces it.

        Until its end the trajectory has its joints and goals move the others only.

        Args:
            names: joints, any of the head's.
            points: with growing times; the last one at rest.
            delay_s: from now to the start. The present motion goes on until then; after a start
                in the past (negative) only the points that are still ahead count.

        Returns:
            '' or everything that is wrong; a rejected trajectory changes nothing.
        """
        reason = self._stopped()
        if not reason:
            reason = '; '.join(trajectory_problems(self.robot, names, points, delay_s))
        if reason:
            return self.reject(f'trajectory: {reason}')
        start_s = self._clock() + delay_s
        with self._mailbox.lock:
            self._mailbox.waiting = TimedTrajectory(self.robot, names, points, start_s)
        return ''

    def forget_order(self) -> None:
        """Take the next goal whatever its stamp: the clock of the stamps was set back."""
        with self._mailbox.lock:
            self._motion.limiter.forget_order()

    def reject(self, reason: str) -> str:
        """Count a rejected command and report it in the next status; returns the reason."""
        self._rejected += 1
        self._rejection = self._clock(), reason
        return reason

    def _stopped(self) -> str:
        return 'stopped: reset first' if self.latched or self._mailbox.stop else ''

    def keep_alive(self) -> None:
        """Say that the last goal is still meant, for example while the face is in sight."""
        with self._mailbox.lock:
            self._mailbox.heard_s = self._clock()

    @property
    def hold_s(self) -> float:
        """Time without set_goal() or keep_alive() after which the head relaxes to neutral."""
        return self._mailbox.hold_s

    @hold_s.setter
    def hold_s(self, value: float) -> None:
        self._mailbox.hold_s = value

    def relax(self) -> None:
        """Move to the neutral pose; a trajectory ends."""
        with self._mailbox.lock:
            self._mailbox.relax()

    def stop(self) -> 'Future[Answer]':
        """Stop now and stay stopped until reset(): torque off, or frozen (robot file: stop)."""
        with self._mailbox.lock:
            self._mailbox.stop = True
            self._mailbox.reset = False
        if self.state == OFF:
            self.latched = True
            return at_once(True, 'nothing moves; stopped until reset')
        return self._confirmations.add(
            self._stop_answer, CONFIRM_S, lambda: self.status().sentence
        )

    def torque(self, on: bool) -> 'Future[Answer]':
        """Let torque go, or bring it back without motion, as reset() does."""
        if on:
            return self.reset()
        if self.state == OFF:
            return at_once(True, 'torque is off: the servos are not in use')
        with self._mailbox.lock:
            self._mailbox.limp = True
        return self.stop()

    def reset(self) -> 'Future[Answer]':
        """End a stop: torque on where the joints are, without motion, then neutral."""
        with self._mailbox.lock:
            self._mailbox.reset = self.state != OFF
            self._mailbox.stop = False
        if self.state == OFF:
            self.latched = False
            return at_once(True, 'not stopped any more; activate the servo node')
        return self._confirmations.add(self._reset_answer, RESET_S, lambda: self.status().sentence)

    def reboot(self, joint: str) -> None:
        """Restart a servo, which also clears its hardware error, and take it back in.

        Raises:
            KeyError: no joint of that name.
        """
        if joint not in self.robot.names:
            raise KeyError(joint)
        with self._mailbox.lock:
            self._mailbox.reboots.append(self.robot.names.index(joint))

    def recover(self, careful: bool) -> 'Future[Answer]':
        """Reboot servos, take them in from where they are, end the pauses of stuck joints.

        Args:
            careful: only those with a hardware error whose cause is gone; otherwise all with a
                hardware error and all that are out of service.
        """
        recovery = Recovery(self._monitor, careful)
        released: list[str] = []
        asked = False

        def check() -> Answer | None:
            if self.state not in (RUNNING, STOPPED):
                return None  # the bus may come back in time
            nonlocal asked
            if not asked:
                asked = True
                released.extend(self.robot.names[i] for i in self._motion.stalls.release())
            alerts = np.flatnonzero(self._present.alert).tolist()
            answer = recovery.check(self.state == RUNNING, alerts)
            if answer is None or not released:
                return answer
            return Answer(answer.done, f'{answer.sentence}; {", ".join(released)} may move again')

        if self.state == OFF:
            return at_once(False, 'the servos are not in use')
        timeout_s = RECOVERY_S + REVIVE_S * len(self.robot.joints)
        return self._confirmations.add(check, timeout_s, recovery.why_not)

    def _stop_answer(self) -> Answer | None:
        if self.state == STOPPED and not self._unconfirmed:
            return Answer(True, f'{self.status().sentence}; every servo confirmed')
        return None

    def _reset_answer(self) -> Answer | None:
        if self.state == RUNNING and not self.latched and not self._monitor.reasons:
            return Answer(True, 'runs again from where the joints are')
        return None

    def rest(self) -> None:
        """Leave by the exit policy and join the thread; the port stays open."""
        if self._thread is not None:
            self._closing.set()
            self._thread.join()
            self._thread = None
        elif self.state != OFF:
            self._leave()

    def close(self) -> None:
        """Rest and release the port; may be called twice."""
        try:
            self.rest()
        finally:
            self._bus.shutdown()

    # --- reports -------------------------------------------------------------------------------

    @property
    def warnings(self) -> tuple[str, ...]:
        """What setup found noteworthy."""
        stopped = ('stopped before and not reset yet: torque stays off',) if self.latched else ()
        return (*self._servos.warnings, *stopped)

    def statistics(self) -> BusStatistics:
        """Return the figures since start."""
        rate, jitter, longest = self._meter.figures()
        motion = self._motion
        return BusStatistics(
            rate_hz=rate,
            jitter_p99_ms=jitter,
            longest_ms=longest,
            cycles=self._cycles,
            overruns=self._overruns,
            errors=self._errors,
            outages=self._outages,
            unsynchronised=motion.planner.unsynchronised + motion.passages.unsynchronised,
            rejected_proposals=motion.limiter.rejected_proposals,
            rejected_commands=self._rejected,
            missed=motion.missed,
            stalls=motion.stalls.count,
        )

    def status(self) -> ServoStatus:
        """Return the state in a sentence with all details."""
        situation = ControllerSnapshot(
            state=self.state,
            names=self.robot.names,
            derate_above_c=self.robot.thermal.derate_above_c,
            last_error=self._last_error,
            unconfirmed=list(self._unconfirmed),
            warnings=self._servos.warnings,
            resting=self._motion.stalls.resting.copy(),
            outside=self._motion.limiter.outside,
            line=self._link.sentence,
            relaxed=self._mailbox.relaxed,
            scripted=self._mailbox.running is not None,
            rejection=self._rejection[1],
            rejected_just_now=self._clock() - self._rejection[0] < REPORT_S,
        )
        return describe(situation, self._monitor, self.statistics())

    # --- the bus thread ------------------------------------------------------------------------

    def _run(self) -> None:
        """Be the bus thread: connect, cycle at absolute deadlines, leave."""
        prefer_realtime()
        try:
            self._connect()
        except KfImitationError as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        try:
            deadline = self._clock()
            while not self._closing.is_set():
                now = self._clock()
                self._meter.mark(now)
                self.step(now)
                deadline += self._period_s
                late = self._clock() - deadline
                if late < 0.0:
                    self._pause(-late)
                else:
                    self._overruns += 1
                    deadline += self._period_s * int(late / self._period_s)
        finally:
            self._leave()
