"""The servo controller: commands from any thread, carried out by a thread that owns the bus.

Commands go through a mailbox; what the bus thread does with them is control_cycle.py.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.bus import ServoBus
from kf_imitation.actuators.dynamixel.host_tuning import prefer_realtime
from kf_imitation.errors import KfImitationError
from kf_imitation.head.authority import owners
from kf_imitation.head.clock import boottime_s, stamp_problem
from kf_imitation.head.command_mailbox import CommandMailbox, Reflex
from kf_imitation.head.control_cycle import ControlCycle
from kf_imitation.head.cycle_faults import CYCLE_FAULTS, cause
from kf_imitation.head.pending_confirmations import Answer, PendingConfirmations, at_once
from kf_imitation.head.recovery import Recovery
from kf_imitation.head.reports import (
    ERROR,
    OFF,
    RUNNING,
    BusStatistics,
    ServoCycle,
    ServoStatus,
    describe,
)
from kf_imitation.head.servo_monitor import REVIVE_S
from kf_imitation.head.stop_record import StopRecord
from kf_imitation.motion.waypoints import (
    LONGEST_S,
    TimedTrajectory,
    TrajectoryPoint,
    trajectory_problems,
)
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
# What a caller is given to hear whether a request was carried out; it goes on all the same.
CONFIRM_S = 1.0
RESET_S = 5.0
RECOVERY_S = 3.0
ENDED = 'the motor loop has ended, which it never should: start the servo node again'


class ServoController:
    """Moves one robot.

    Attributes:
        robot: the head.
        trajectory_most_s: how long a trajectory may last, or wait for its start.
        cycle: what the bus thread does, with its state; not for commands.
    """

    def __init__(
        self,
        robot: RobotConfig,
        bus: ServoBus,
        rate_hz: float = 100.0,
        clock: Callable[[], float] = boottime_s,
        hold_s: float = 1.0,
        exit_policy: str = '',
        pause: Callable[[float], None] = time.sleep,
        stamp_clock_ns: Callable[[], int] | None = time.time_ns,
        stop_record: StopRecord | None = None,
    ) -> None:
        """Send nothing yet: open() or start() opens the bus.

        Args:
            robot: the head.
            bus: not yet opened.
            rate_hz: cycles per second.
            clock: seconds, monotonic; counts while the computer sleeps.
            hold_s: above 0; relax to neutral after this time without set_goal() or keep_alive().
            exit_policy: limp, hold or neutral_limp; '' takes the robot file's.
            pause: waits in real time; a no-op for virtual clocks.
            stamp_clock_ns: what time it is on the clock of the commands' stamps; None where
                recordings may come from the future.
            stop_record: keeps a stop across restarts; None: in this process alone.

        Raises:
            ValueError: there is no such exit policy, or hold_s is not a time.
        """
        self.robot = robot
        self.trajectory_most_s = LONGEST_S
        self._stamp_clock_ns = stamp_clock_ns
        self._clock = clock
        self._mailbox = CommandMailbox(robot.neutral_rad, hold_s)
        self._confirmations = PendingConfirmations()
        self.cycle = ControlCycle(
            robot, bus, self._mailbox, self._confirmations, rate_hz, clock, exit_policy, pause
        )
        self._stop_record = stop_record
        self._stopped_before = stop_record.read() if stop_record is not None else ''
        self.cycle.latched = bool(self._stopped_before)
        if stop_record is not None:
            self.cycle.on_fault = stop_record.write_soon
        self._thread: threading.Thread | None = None
        self._closing, self._ready = threading.Event(), threading.Event()
        self._failure: KfImitationError | None = None  # what kept the thread from connecting

    @property
    def state(self) -> str:
        """off, running, lost (bus gone, retrying) or stopped (latched until reset())."""
        return self.cycle.state

    @property
    def latched(self) -> bool:
        """A stop was asked for and not reset yet; outlives close() and start()."""
        return self.cycle.latched

    @latched.setter
    def latched(self, value: bool) -> None:
        self.cycle.latched = value

    @property
    def stopped(self) -> bool:
        """Latched, or about to be."""
        return self.latched or self._mailbox.stop

    @property
    def on_cycle(self) -> Callable[[ServoCycle], None] | None:
        """Called by the bus thread after each cycle; must be quick and not raise."""
        return self.cycle.on_cycle

    @on_cycle.setter
    def on_cycle(self, value: Callable[[ServoCycle], None] | None) -> None:
        self.cycle.on_cycle = value

    # --- the bus thread ------------------------------------------------------------------------

    def open(self) -> None:
        """Open the port and ask whether every servo is there; nothing is set, nothing moves.

        Raises:
            PortError, ServoSetupError: the port is released.
        """
        self.cycle.verify()

    def start(self, threaded: bool = True) -> None:
        """Open the bus (again), set the servos up, switch torque on and run.

        Args:
            threaded: spawn the bus thread; false leaves the cycles to step().

        Raises:
            PortError, ServoSetupError, BusError: nothing runs and torque is off.
        """
        if not threaded:
            self.cycle.connect()
            return
        self._closing, self._ready, self._failure = threading.Event(), threading.Event(), None
        self._thread = threading.Thread(target=self._run, name='servo-bus', daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            self._thread = None
            raise self._failure

    def _run(self) -> None:
        """Be the bus thread: connect, then cycle until rest() asks to leave."""
        prefer_realtime()
        try:
            self.cycle.connect()
        except KfImitationError as error:
            self._failure = error
            return
        except CYCLE_FAULTS as error:
            self._failure = KfImitationError(f'the head does not start: {cause(error)}')
            return
        finally:
            self._ready.set()
        self.cycle.run(self._closing)

    def step(self, now_s: float) -> ServoCycle:
        """Run one cycle after start(threaded=False); the caller gives the time."""
        return self.cycle.step(now_s)

    def rest(self) -> str:
        """Leave by the exit policy and join the thread; the port stays open.

        Returns:
            '' or what could not be carried out.
        """
        if self._thread is not None:
            self._closing.set()
            self._thread.join()
            self._thread = None
        elif self.state != OFF:
            self.cycle.leave()
        return self.cycle.exit_problem

    def abandon(self) -> str:
        """Close for somebody who is gone: brake, go to neutral first, whatever the exit policy."""
        self.cycle.abandoned = True
        return self.close()

    def close(self) -> str:
        """Rest and release the port; may be called twice; returns as rest()."""
        try:
            return self.rest()
        finally:
            self.cycle.release()

    # --- commands, from any thread -------------------------------------------------------------

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
        if self._stamp_clock_ns is not None and (
            reason := stamp_problem(stamp_ns, self._stamp_clock_ns())
        ):
            return self.reject(reason)
        with self._mailbox.lock:
            reason = self.cycle.motion.limiter.problem_of(goal, stamp_ns)
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

    def set_reflex(self, joints: NDArray[np.intp], position_rad: Array, stamp_ns: int) -> str:
        """Move some joints at once, each for itself; goals and time soon take over again.

        Args:
            joints: (K,) places of the joints.
            position_rad: (K,) inside the limits.
            stamp_ns: of the frame in which the person looked so.

        Returns:
            '' or why it was rejected; a rejected one changes nothing.
        """
        if stopped := self._stopped():
            return self.reject(stopped)
        reason = ''
        if self._stamp_clock_ns is not None:
            reason = stamp_problem(stamp_ns, self._stamp_clock_ns())
        with self._mailbox.lock:
            pose = self._mailbox.wanted_rad.copy()
            pose[joints] = position_rad
            reason = reason or self.cycle.motion.limiter.position_problem(pose)
            if not reason:
                self._mailbox.reflex = Reflex(joints, pose[joints], self._clock())
        return self.reject(f'reflex: {reason}') if reason else ''

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
            reason = '; '.join(
                trajectory_problems(self.robot, names, points, delay_s, self.trajectory_most_s)
            )
        if reason:
            return self.reject(f'trajectory: {reason}')
        trajectory = TimedTrajectory(self.robot, names, points, self._clock(), delay_s)
        with self._mailbox.lock:
            self._mailbox.waiting = trajectory
        return ''

    def forget_order(self) -> None:
        """Take the next goal whatever its stamp: the clock of the stamps was set back."""
        with self._mailbox.lock:
            self.cycle.motion.limiter.forget_order()

    def reject(self, reason: str) -> str:
        """Count a rejected command and report it in the next status; returns the reason."""
        return self._mailbox.reject(reason, self._clock())

    def _stopped(self) -> str:
        if self._ended:
            return ENDED
        return 'stopped: reset first' if self.stopped else ''

    @property
    def _ended(self) -> bool:
        """The bus thread is gone although nobody asked it to leave."""
        return self._thread is not None and not self._thread.is_alive()

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
        if self._stop_record is not None:
            self._stop_record.write('stopped by a command')
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
        runs = self.cycle.all_running and not self.stopped
        with self._mailbox.lock:
            self._mailbox.reset = self.state != OFF
            self._mailbox.stop = False
        if self._ended:
            return at_once(False, ENDED)
        if self._stop_record is not None:
            self._stop_record.clear()
        self._stopped_before = ''
        if self.state == OFF:
            self.latched = False
            return at_once(True, 'not stopped any more; activate the servo node')
        if runs:
            return at_once(True, 'was not stopped, and goes on')
        return self._confirmations.add(
            self._reset_answer,
            RESET_S,
            lambda: f'the stop has ended, but {self.status().sentence}',
        )

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
        if self.state == OFF:
            return at_once(False, 'the servos are not in use')
        recovery = Recovery(self.cycle.monitor, self.cycle.motion.stalls, careful)
        timeout_s = RECOVERY_S + REVIVE_S * len(self.robot.joints)
        return self._confirmations.add(
            lambda: self.cycle.advance_recovery(recovery), timeout_s, recovery.why_not
        )

    def _stop_answer(self) -> Answer | None:
        if self.cycle.stop_confirmed:
            problem = self._stop_record.problem if self._stop_record is not None else ''
            sentences = [self.status().sentence, 'every servo confirmed', *filter(None, [problem])]
            return Answer(True, '; '.join(sentences))
        return None

    def _reset_answer(self) -> Answer | None:
        if self.cycle.all_running:
            return Answer(True, 'runs again from where the joints are')
        return None

    # --- reports -------------------------------------------------------------------------------

    @property
    def warnings(self) -> tuple[str, ...]:
        """What setup found noteworthy."""
        before = f' ({self._stopped_before})' if self._stopped_before else ''
        sentence = (
            f'stopped before{before} and not reset yet: torque stays off until servo/reset '
            '(kf_imitation servo reset, or Reset on the page)'
        )
        stopped = (sentence,) if self.latched else ()
        return (*self.cycle.servos.warnings, *stopped)

    def owners(self) -> tuple[str, ...]:
        """Return who may move each joint now."""
        runs = self.state == RUNNING and not self._ended
        count, down = len(self.robot.joints), list(self.cycle.monitor.reasons)
        return owners(count, self.stopped, runs, self._mailbox, self._clock(), down)

    def statistics(self) -> BusStatistics:
        """Return the figures since start."""
        return self.cycle.statistics()

    def status(self) -> ServoStatus:
        """Return the state in a sentence with all details."""
        status = describe(self.cycle.snapshot(), self.cycle.monitor, self.statistics())
        return ServoStatus(ERROR, ENDED, status.values) if self._ended else status
