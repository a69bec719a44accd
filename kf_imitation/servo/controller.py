"""The servo controller: one thread owns the bus and runs its cycle on the monotonic clock.

Commands come from any thread and go through a mailbox; the cycle itself is bus_cycle.py.
"""

import threading
from collections.abc import Mapping

import numpy as np

from kf_imitation.errors import KfImitationError
from kf_imitation.servo.bus_cycle import LOST, OFF, RUNNING, STOPPED, Array, BusCycle
from kf_imitation.servo.cycle import BusStatistics, ServoStatus
from kf_imitation.servo.realtime import prefer_realtime
from kf_imitation.servo.status import Situation, describe

__all__ = ['LOST', 'OFF', 'RUNNING', 'STOPPED', 'ServoController']


class ServoController(BusCycle):
    """Moves one robot; arguments and attributes are those of BusCycle."""

    # The thread's own; everything else is made by BusCycle.__init__().
    _thread: threading.Thread | None = None
    _failure: KfImitationError | None = None
    _closing: threading.Event
    _ready: threading.Event

    # --- commands, from any thread -------------------------------------------------------------

    def start(self, threaded: bool = True) -> None:
        """Open the bus, set the servos up, switch torque on and run.

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
            '' or why the command was refused; a refused one changes nothing.
        """
        if self.state == STOPPED or self._requests.stop:
            return 'stopped: reset first'
        goal = np.asarray(position_rad, np.float64)
        with self._requests.lock:
            reason = self._motion.limiter.fault(goal, stamp_ns)
            if not reason:
                self._requests.goal(goal, self._clock())
        return reason

    def set_joint_goals(self, goals: Mapping[str, float], stamp_ns: int) -> str:
        """Move some joints by name, the others keep their goal; returns as set_goal()."""
        unknown = [name for name in goals if name not in self.robot.names]
        if unknown:
            return f'unknown joints: {", ".join(unknown)}'
        with self._requests.lock:
            full = self._requests.wanted_rad.copy()
        for name, value in goals.items():
            full[self.robot.names.index(name)] = value
        return self.set_goal(full, stamp_ns)

    def keep_alive(self) -> None:
        """Say that the last goal is still meant, for example while the face is in sight."""
        with self._requests.lock:
            self._requests.heard_s = self._clock()

    @property
    def hold_s(self) -> float:
        """Time without set_goal() or keep_alive() after which the head relaxes to neutral."""
        return self._requests.hold_s

    @hold_s.setter
    def hold_s(self, value: float) -> None:
        self._requests.hold_s = value

    def relax(self) -> None:
        """Move to the neutral pose."""
        with self._requests.lock:
            self._requests.relax()

    def stop(self) -> None:
        """Stop now and stay stopped until reset(): torque off, or frozen (robot file: stop)."""
        with self._requests.lock:
            self._requests.stop = True

    def torque(self, on: bool) -> None:
        """Let torque go, or bring it back without motion, as reset() does."""
        with self._requests.lock:
            self._requests.reset = on
            self._requests.stop = self._requests.limp = not on

    def reset(self) -> None:
        """End a stop: torque on without motion, then neutral."""
        with self._requests.lock:
            self._requests.reset = True

    def reboot(self, joint: str) -> None:
        """Restart a servo, which also clears its hardware error, and take it back in.

        Raises:
            KeyError: no joint of that name.
        """
        if joint not in self.robot.names:
            raise KeyError(joint)
        with self._requests.lock:
            self._requests.reboots.append(self.robot.names.index(joint))

    def close(self) -> None:
        """Leave by the exit policy, join the thread, release the port; may be called twice."""
        if self._thread is not None:
            self._closing.set()
            self._thread.join()
            self._thread = None
        elif self.state != OFF:
            self._leave()

    # --- reports -------------------------------------------------------------------------------

    @property
    def warnings(self) -> tuple[str, ...]:
        """What setup found noteworthy."""
        return tuple(self._joints.warnings)

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
            unsynchronised=motion.planner.unsynchronised,
            rejected=motion.limiter.rejected,
            refused=motion.limiter.refused,
            stalls=motion.stalls.count,
        )

    def status(self) -> ServoStatus:
        """Return the state in a sentence with all details."""
        situation = Situation(
            state=self.state,
            names=self.robot.names,
            derate_above_c=self.robot.thermal.derate_above_c,
            last_error=self._last_error,
            unconfirmed=list(self._unconfirmed),
            warnings=self._joints.warnings,
            resting=self._motion.stalls.resting.copy(),
            outside=self._motion.limiter.outside,
            relaxed=self._requests.relaxed,
        )
        return describe(situation, self._watch, self.statistics())

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
