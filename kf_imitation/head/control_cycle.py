"""The cycle of the bus thread: take commands, advance the motion, send goals, read state.

A missing reply is never acted upon; a lost bus stops commanding, is retried with growing pauses,
and motion starts again from the measured pose. docs/safety.md lists every fault and what happens.
"""

import contextlib
import logging
import math
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.bus import NotSentError, ServoBus
from kf_imitation.errors import BusError
from kf_imitation.head.clock import COMMAND_AGE_S
from kf_imitation.head.command_mailbox import CommandMailbox
from kf_imitation.head.cycle_faults import CYCLE_FAULTS, cause
from kf_imitation.head.link_monitor import LinkMonitor
from kf_imitation.head.pending_confirmations import Answer, PendingConfirmations
from kf_imitation.head.recovery import Recovery
from kf_imitation.head.reports import (
    LOST,
    OFF,
    RUNNING,
    STOPPED,
    BusStatistics,
    ControllerSnapshot,
    PeriodMeter,
    ServoCycle,
    servos_left,
)
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.head.servo_monitor import TRIPPED, ServoMonitor
from kf_imitation.motion.joint_states import JointMeasurement, JointTrajectoryState
from kf_imitation.motion.motion_generator import MotionGenerator
from kf_imitation.robot import EXIT_POLICIES, RobotConfig

Array = NDArray[np.float64]
# A longer silence, or pause between two cycles, than this ends the motion that was under way: a
# joint at full speed moves by 5 degrees in it. It goes on, from rest, to the same goal.
GRACE_S = 0.05
VOID_S = 0.3  # goals of before a pause as long are void; a busy computer alone makes shorter ones
STALLED_S = 0.3  # a cycle of a bus that answers takes no longer: the computer stood still in it
PROBE_S = 0.1  # after this long every servo is asked alone whether it is there
UNUSABLE_S = 0.3  # servos answer alone, but no cycle works: as good as lost
RETRY_S = (0.1, 0.2, 0.3, 0.5)  # pauses between attempts to get a lost bus back
REPORT_S = 5.0  # a rejected command stays in the status for as long
EXIT_TIMEOUT_S = 3.0  # for the way to neutral before limp
RECOVERY_CURRENT = 0.35  # fraction of max_current_a while a joint is outside its limits
BRAKE_S = 2.0  # for joints to come to rest after a fault; then torque goes off all the same
SETTLED_RAD = 1e-4

_log = logging.getLogger('kf_imitation.head')


class ControlCycle:
    """Connects, moves and leaves one robot, cycle by cycle, in whatever thread calls it.

    Attributes:
        robot: the head.
        servos: its servos on the bus.
        motion: of its joints, with all guards.
        monitor: which servos take part.
        present: what was read last.
        state: OFF, RUNNING, LOST (bus gone, retrying) or STOPPED (latched until a reset).
        latched: a stop was asked for and not reset yet; outlives leave() and connect().
        fault: what ended the motion and latched the stop, '' for a stop that was asked for.
        faults: exceptions in a cycle so far.
        exit_policy: limp, hold or neutral_limp.
        exit_problem: what of it could not be carried out when the head was left; '' for nothing.
        abandoned: nobody is there any more; leave() goes to neutral before the exit policy.
        on_cycle: called after each cycle; must be quick and not raise.
        on_fault: called with the reason when a fault or another program latches the stop.
    """

    def __init__(
        self,
        robot: RobotConfig,
        bus: ServoBus,
        mailbox: CommandMailbox,
        confirmations: PendingConfirmations,
        rate_hz: float,
        clock: Callable[[], float],
        exit_policy: str,
        pause: Callable[[float], None],
    ) -> None:
        """Send nothing yet: verify() or connect() opens the bus.

        Args:
            robot: the head.
            bus: not yet opened.
            mailbox: what other threads ask for.
            confirmations: who waits for an answer.
            rate_hz: cycles per second.
            clock: seconds, monotonic.
            exit_policy: '' takes the robot file's.
            pause: waits in real time; a no-op for virtual clocks.

        Raises:
            ValueError: there is no such exit policy.
        """
        self.robot = robot
        self.exit_policy = exit_policy or robot.exit
        if self.exit_policy not in EXIT_POLICIES:
            raise ValueError(f'exit_policy = {exit_policy!r} is not one of {EXIT_POLICIES}')
        self.on_cycle: Callable[[ServoCycle], None] | None = None
        self.on_fault: Callable[[str], None] | None = None
        self.state = OFF
        self.latched = self.abandoned = False
        self.fault = ''
        self.alarm = ''  # what another program did to the servos, which stopped the head
        self.faults = 0
        self.exit_problem = ''
        self.servos = ServoGroup(robot, bus, pause)
        self.motion = MotionGenerator(robot, 1.0 / rate_hz)
        self.monitor = ServoMonitor(self.servos)
        self.present = JointMeasurement.zeros(len(robot.joints))
        self._bus = bus
        self._mailbox = mailbox
        self._confirmations = confirmations
        self._period_s = 1.0 / rate_hz
        self._clock = clock
        self._pause = pause
        self._meter = PeriodMeter(self._period_s)
        self._link = LinkMonitor()
        self._unconfirmed: list[str] = []  # joints whose stop was not read back
        self._let_go = True  # since the stop, torque was told to go off
        # Fraction of max_current_a that each servo was told to use; NaN: not known.
        self._force = np.full(len(robot.joints), np.nan)
        self._now_s = self._fresh_s = self._retry_at_s = 0.0
        self._cycles = self._overruns = self._errors = self._outages = self._retries = 0
        self._last_error = ''
        self._refused = False  # no joint could be taken in, though servos answer
        self._taken_in = True  # servos were asked for since the reset
        self._ended_s = 0.0  # when the cycle before was done
        self._long_work = False  # it asked many servos alone, which takes its time
        self._gaps = 0
        self._gap_s, self._gap_at_s = 0.0, -math.inf  # the last one: how long, and when
        self._void_since_s: float | None = None  # after a gap: older commands are to be forgotten
        self._missing = False  # the last exchange of the cycle failed
        self._unsent: list[int] = []  # joints whose planned goals did not go out
        self._braking = False  # it comes to rest before it is left
        self._brake_until_s = -math.inf  # until then a motion that had a fault may come to rest

    def verify(self) -> None:
        """Open the port and ask whether every servo is there; nothing is set, nothing moves.

        Raises:
            PortError, ServoSetupError: the port is released.
        """
        self._bus.open()
        self._bus.use_short_timeouts(False)
        try:
            self.servos.verify()
        except BaseException:
            self._bus.shutdown()
            raise

    def connect(self) -> None:
        """Open, set up, start from the measured pose.

        Raises:
            PortError, ServoSetupError, BusError: everything is off again.
        """
        self._now_s = self._clock()
        self.exit_problem = ''
        self._void_since_s = None
        self._bus.tick(self._now_s)
        self._bus.open()
        self._bus.use_short_timeouts(False)
        try:
            self.servos.setup()
            self.monitor.all_present()
            active = self.monitor.active
            self.servos.read_state(active, self.present)
            self._begin()
            if self.latched:
                self._unconfirmed = self.servos.torque_off()
                self.state = STOPPED
            else:
                self.servos.torque_on(active)
                self.servos.arm_watchdog(active)
            self._bus.use_short_timeouts(True)
            self._confirmations.open()
            self._now_s = self._ended_s = self._clock()
        except BaseException:
            self.servos.torque_off()
            self._bus.shutdown()
            raise

    def run(self, closing: threading.Event) -> None:
        """Cycle at absolute deadlines until `closing` is set, then leave."""
        try:
            deadline = self._clock()
            while not closing.is_set():
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
            self.leave()

    def step(self, now_s: float) -> ServoCycle:
        """Run one cycle; offline the caller gives the time and keeps the rate.

        Failed exchanges do not raise: they are counted and handled. Nor do mistakes: a fault in a
        cycle ends the motion by the stop that was checked a cycle before, and latches.
        """
        self._watch_time(now_s)
        self._now_s = now_s
        fresh = commanding = False
        before = self.motion.limiter.state
        try:
            fresh, commanding = self._exchange(now_s)
            self._confirmations.poll(now_s)
        except CYCLE_FAULTS as error:
            if self._fail(error):
                commanding = self._brake_from(before)
        self._cycles += 1
        cycle = ServoCycle(
            stamp_ns=round(now_s * 1e9),
            names=self.robot.names,
            goal_rad=self.motion.goal_rad.copy(),
            commanded_rad=self.motion.limiter.state.position.copy(),
            present_rad=self.present.position_rad.copy(),
            velocity_rad_s=self.present.velocity_rad_s.copy(),
            current_a=self.present.current_a.copy(),
            fresh=fresh,
            commanding=commanding,
            errors=tuple(self.monitor.sentences()),
        )
        if self.on_cycle is not None:
            try:
                self.on_cycle(cycle)
            except CYCLE_FAULTS as error:
                self._fail(error, while_moving=False)
        self._ended_s = max(now_s, self._clock())
        return cycle

    def _watch_time(self, now_s: float) -> None:
        """Look at the length of the cycle before, and of the pause since.

        Servos whose host was silent for longer than their watchdog allows have stopped: they are
        taken in again like after a lost bus. A clock that was set back counts as a gap, too.
        """
        pause_s, cycle_s = now_s - self._ended_s, self._ended_s - self._now_s
        late_s = pause_s if abs(pause_s) > self._period_s + GRACE_S else 0.0
        if cycle_s > STALLED_S and not self._long_work:
            late_s += cycle_s
        self._long_work = False
        if not late_s or self.state == OFF:
            return
        self._gaps += 1
        self._gap_s, self._gap_at_s = late_s, now_s
        self._missing, self._fresh_s = True, now_s - 1.5 * GRACE_S
        self._retry_at_s = min(self._retry_at_s, now_s)
        if self.state != STOPPED and not 0.0 < late_s < VOID_S:
            self._void_since_s = max(self._ended_s, now_s - COMMAND_AGE_S)
        if self.state == RUNNING and 0.0 < self.robot.watchdog_s <= late_s:
            self.monitor.all_down(TRIPPED)
            self.state = LOST

    def _void(self) -> None:
        """After a gap, once it is known where the joints are: forget the goals of before."""
        if self._void_since_s is not None:
            self._mailbox.void(self._void_since_s, self._now_s, self.present.position_rad)
            self._void_since_s = None

    def _exchange(self, now_s: float) -> tuple[bool, bool]:
        """Do the work of a cycle; returns whether state was read, and whether goals were sent."""
        self._bus.tick(now_s)
        self._take_commands()
        fresh = commanding = False
        if self.state == RUNNING:
            commanding = True
            fresh = self._move()
        elif self.state == LOST and now_s >= self._retry_at_s:
            self._try_again()
        elif self.state == STOPPED:
            commanding = self._holds_when_stopped
            fresh = self._stay_stopped()
        if self.state == RUNNING and not self.monitor.reasons:
            self._link.note(now_s, self._bus.misses)
        else:
            self._link.forget(self._bus.misses)
        return fresh, commanding

    def _fail(self, error: BaseException, while_moving: bool = True) -> bool:
        """End the motion for an exception that nobody expected, and stay stopped until a reset.

        The joints brake first, then the stop is that of the robot file. A fault while they brake
        ends it at once, unless it was in somebody who only looks on.

        Returns:
            Whether joints moved and are to brake.
        """
        moved = self.state == RUNNING
        self.faults += 1
        if self.fault and self.state == STOPPED:
            if while_moving:
                self._brake_until_s = -math.inf
                self._mailbox.limp = True
        else:
            self.fault = cause(error)
            _log.error('a fault in the motor loop: %s', self.fault, exc_info=error)
            if moved:
                self._brake_until_s = self._now_s + BRAKE_S
            self.latched = True
            self._await_stop()
            self.state = STOPPED
            if self.on_fault is not None:
                self.on_fault(self.fault)
        return moved

    def _brake_from(self, before: JointTrajectoryState) -> bool:
        """Command this cycle's part of the stop, unless its motion was planned before the fault.

        Args:
            before: commanded in the cycle before.

        Returns:
            Whether goals were sent.
        """
        try:
            if self.motion.limiter.state is before and not self._unsent:
                self.motion.brake()
            self._send_goals()
        except BusError as error:
            self._note(error)
        except CYCLE_FAULTS as error:
            self._fail(error)
        else:
            return True
        return False

    def leave(self) -> None:
        """Carry out the exit policy; torque ends up off (or held) whatever happens before."""
        problems: list[str] = []
        try:
            if self._holds_when_stopped:
                self._carry_out_reset()
            to_neutral = self.abandoned or self.exit_policy == 'neutral_limp'
            if to_neutral and self.state != STOPPED and not self._walk_to_neutral():
                problems.append('the head did not reach neutral')
            elif self.exit_policy == 'hold' and self.state == RUNNING:
                self._come_to_rest()
        finally:
            hold = self.exit_policy == 'hold' and self.state == RUNNING
            self._bus.use_short_timeouts(False)
            try:
                if self.state == LOST:
                    self._bus.close()
                    self._bus.open()
                if hold:
                    self.servos.disarm_watchdog(self.monitor.active)
                elif left := self.servos.torque_off():
                    problems.append(f'torque off is not confirmed by {", ".join(left)}')
            except BusError as error:
                problems.append(str(error))
            finally:
                self.state = OFF
                self._note_exit(problems)
                self._confirmations.abandon('the head was switched off')

    def _note_exit(self, problems: list[str]) -> None:
        if problems:
            self.exit_problem = (
                f'the head was not left as its exit policy says ({self.exit_policy}): '
                f'{"; ".join(problems)}. {servos_left(self.robot)}'
            )

    def release(self) -> None:
        """Release the port and everything that was started for it."""
        self._bus.shutdown()

    # --- reports, for any thread ---------------------------------------------------------------

    @property
    def stop_confirmed(self) -> bool:
        """Stopped, and every servo has shown it."""
        return self.state == STOPPED and not self._unconfirmed

    @property
    def all_running(self) -> bool:
        """Every joint takes part in the motion."""
        return self.state == RUNNING and not self.latched and not self.monitor.reasons

    def snapshot(self) -> ControllerSnapshot:
        """Return what a status is made of."""
        now_s, mailbox = self._clock(), self._mailbox
        return ControllerSnapshot(
            state=self.state,
            names=self.robot.names,
            derate_above_c=self.robot.thermal.derate_above_c,
            fault=self.fault,
            alarm=self.alarm,
            last_error=self._last_error,
            unconfirmed=list(self._unconfirmed),
            braking=self.state == STOPPED and self._brakes,
            refused=self._refused,
            taken_in=self._taken_in,
            warnings=self.servos.warnings,
            resting=self.motion.stalls.resting.copy(),
            given_up=self.motion.stalls.given_up.copy(),
            outside=self.motion.limiter.outside,
            beyond=self.motion.limiter.beyond(self.present.position_rad),
            link=self._link.sentence,
            relaxed=mailbox.relaxed,
            scripted=mailbox.running is not None,
            gap_s=self._gap_s if abs(now_s - self._gap_at_s) < REPORT_S else 0.0,
            rejection=mailbox.rejection,
            rejected_just_now=now_s - mailbox.rejected_s < REPORT_S,
        )

    def statistics(self) -> BusStatistics:
        """Return the figures since start."""
        rate, jitter, longest = self._meter.figures()
        motion = self.motion
        return BusStatistics(
            rate_hz=rate,
            jitter_p99_ms=jitter,
            longest_ms=longest,
            cycles=self._cycles,
            overruns=self._overruns,
            errors=self._errors,
            faults=self.faults,
            outages=self._outages,
            unsynchronised=motion.planner.unsynchronised + motion.passages.unsynchronised,
            gaps=self._gaps,
            voided=self._mailbox.voided,
            rejected_proposals=motion.limiter.rejected_proposals,
            rejected_commands=self._mailbox.rejected,
            missed=motion.missed,
            stalls=motion.stalls.count,
        )

    def advance_recovery(self, recovery: Recovery) -> Answer | None:
        """Carry on a recovery, in the bus thread; None until it is finished."""
        if self.state == LOST:
            self._long_work = True
            if not (recovery.begun or self._refused):
                return None
        alerts = np.flatnonzero(self.present.alert).tolist()
        return recovery.check(self.state != STOPPED, alerts)

    # --- parts of a cycle ----------------------------------------------------------------------

    def _begin(self) -> None:
        """Plan from the present pose; with less force while it is outside the limits."""
        whereabouts = self._whereabouts()
        self.motion.begin(whereabouts)
        self.motion.follow(self.monitor.down, whereabouts)
        self._force[:] = 1.0  # every servo has just been set up
        self._limit_force()
        self._fresh_s = self._clock()
        self._missing, self._unsent = False, []
        self._retries = 0
        self._refused, self._taken_in = False, True
        if self._void_since_s is None:
            with self._mailbox.lock:
                self._mailbox.relax()
        self._void()
        self.state = RUNNING

    def _whereabouts(self) -> Array:
        """Return (J,) where joints are: measured, but some may go on to their last goal."""
        measured = self.present.position_rad
        coasting = self.monitor.coasting
        if not coasting:
            return measured
        found: Array = measured.copy()
        found[coasting] = self.motion.limiter.less_room(measured)[coasting]
        return found

    def _limit_force(self) -> None:
        """Set the force limits of active joints: less outside their limits and after stalls."""
        outside = self.motion.limiter.outside
        wanted = np.where(outside, RECOVERY_CURRENT, 1.0)
        np.minimum(wanted, self.motion.stalls.force, out=wanted)
        if (wanted == self._force).all():
            return
        for index in self.monitor.active:
            if wanted[index] != self._force[index]:
                self.servos.limit_current(index, float(wanted[index]))
                self._force[index] = wanted[index]

    def _take_commands(self) -> None:
        mailbox = self._mailbox
        stop, reset, reboots = mailbox.take(self._now_s)
        for index in reboots:
            self.monitor.ask_reboot(index)
        if stop:
            self.state, self.latched = STOPPED, True
            self._await_stop()
            self._brake_until_s = -math.inf
        elif reset and self.state == STOPPED and (self._brakes or self._is_to_let_go):
            mailbox.reset_later()
        elif reset and self.state == STOPPED:
            mailbox.limp = self.latched = False
            mailbox.rejected_s = -math.inf  # while it was stopped: no news any more
            self.fault = self.alarm = ''
            self.motion.stalls.release()
            self.monitor.all_down('was stopped')
            self._refused = self._taken_in = False
            self.state = LOST
            self._retry_at_s = self._now_s

    def _move(self) -> bool:
        """Move for one cycle; returns whether state was read.

        After a missing reply nothing is sent until state was read again: time stands still for
        the plan, and goals that did not go out go out first. After more than GRACE_S motion
        starts again at rest from what was read. The same after a cycle that took so long although
        every reply came.
        """
        motion, monitor = self.motion, self.monitor
        late = self._now_s - self._fresh_s > max(GRACE_S, 2.0 * self._period_s)
        try:
            if (self._missing or late) and monitor.active:
                self.servos.read_state(monitor.active, self.present)
                if late:
                    motion.begin_joints(monitor.active, self.present.position_rad)
                    self._unsent = []
                self._void()
            self._missing = True
            if monitor.following.suspects.any():
                monitor.look_before_goals()
            self._follow_limp()  # whoever a probe has just put down moves no more
            if not self._unsent:
                self._advance()
            if monitor.active:
                self._send_goals()
                self.servos.read_state(monitor.active, self.present)
            self._missing = False
            self._fresh_s = self._now_s
            self._limit_force()
            revived = monitor.poll(
                self._now_s,
                self.present,
                motion.limiter.state.position,
                motion.limiter.leaves_room,
                stopped=self.state == STOPPED,
            )
            self._follow_limp()
            if revived:
                self._force[revived] = np.nan  # the monitor has set it up anew
                motion.begin_joints(revived, self.present.position_rad)
                self._limit_force()
            if monitor.alarm and self.state == RUNNING:
                self._stop_for(monitor.alarm)
        except BusError as error:
            self._note(error)
            if self._now_s - self._fresh_s > PROBE_S:
                self._probe()
            return False
        return True

    def _follow_limp(self) -> None:
        """Let joints that are down be planned where they are, not on their way."""
        if self.monitor.reasons or self.motion.limiter.limp.any():
            self.motion.follow(self.monitor.down, self._whereabouts())

    def _send_goals(self) -> None:
        """Send the goals to whom they did not go out before, or else to everybody."""
        active = self.monitor.active
        self._unsent = [index for index in self._unsent if index in active] or active
        try:
            self.servos.write_goals(self._unsent, self.motion.limiter.state.position)
        except NotSentError as error:
            self._unsent = [i for i in self._unsent if self.robot.ids[i] in error.ids]
            raise
        self._unsent = []

    def _stop_for(self, alarm: str) -> None:
        """Stop, as if asked for, because another program is at the servos."""
        if not self.alarm:
            _log.error('stopped: %s', alarm)
            if self.on_fault is not None:
                self.on_fault(alarm)
        self.alarm = alarm
        self.state, self.latched = STOPPED, True
        self._await_stop()
        self._brake_until_s = -math.inf

    def _await_stop(self) -> None:
        """Count no joint as stopped: none was told to let go, and none has shown that it did."""
        self._unconfirmed = list(self.robot.names)
        self._let_go = False

    def _advance(self) -> None:
        motion = self.motion
        if self.state == STOPPED or self._braking:
            motion.watch_stalls(self._now_s, self.present)  # what is held does not press, either
            motion.brake()
            return
        wanted, waypoint = self._mailbox.pose(self._now_s, motion.limiter.state)
        reflex = self._mailbox.reflexes(self._now_s, wanted)
        if waypoint is not None:  # a trajectory has its joints for itself
            wanted[waypoint.joints] = waypoint.position_rad
        motion.advance(
            self._now_s, wanted, self.present, self.monitor.temperature_c, waypoint, reflex
        )

    def _probe(self) -> None:
        """After a silence: ask every servo alone, give up the silent ones or the bus."""
        self._long_work = True
        try:
            if self.monitor.probe() and self._now_s - self._fresh_s < UNUSABLE_S:
                return
        except BusError as error:
            self._note(error)
        self._outages += 1
        self._retries = 0
        self._retry_at_s = self._now_s
        self.monitor.all_down('does not reply')
        if self.state == RUNNING:
            self.state = LOST

    def _try_again(self) -> None:
        """Try to get the bus back; motion starts from the measured pose."""
        self._long_work = True
        pause = RETRY_S[min(self._retries, len(RETRY_S) - 1)]
        self._retries += 1
        try:
            self._bus.close()
            self._bus.open()
            self.monitor.carry_out_reboots()
            if self.monitor.revive_all(self.present):
                self._begin()
                return
            self._refused = self.monitor.refusing
        except BusError as error:
            self._refused = False
            self._note(error)
        self._taken_in = True
        self._retry_at_s = self._clock() + pause

    def _stay_stopped(self) -> bool:
        """Freeze or limp, until read-back confirms; then only look."""
        if self._holds_when_stopped:
            fresh = self._move()
            if fresh and self.motion.limiter.at_rest:
                if self._stop_holds:
                    self._unconfirmed = []
                self._brake_until_s = -math.inf
            return fresh
        try:
            self._let_go = True
            if self._unconfirmed:
                self._unconfirmed = self.servos.torque_off()
            self.servos.read_state(range(len(self.robot.joints)), self.present)
        except BusError as error:
            self._note(error)
            if self._unconfirmed:  # torque_off() has paused between its tries
                self._bus.close()
                with contextlib.suppress(BusError):
                    self._bus.open()
            return False
        return True

    @property
    def _holds_when_stopped(self) -> bool:
        return self._now_s < self._brake_until_s or self._stop_holds

    @property
    def _brakes(self) -> bool:
        """Whether joints are still coming to rest in a stop; what is taken over stands still."""
        held = self._holds_when_stopped and bool(self.monitor.active)
        return held and not self.motion.limiter.at_rest

    @property
    def _is_to_let_go(self) -> bool:
        """Whether a stop without holding has not reached the servos yet: their joints move on."""
        return not (self._let_go or self._holds_when_stopped)

    @property
    def _stop_holds(self) -> bool:
        return self.robot.stop == 'hold' and not self._mailbox.limp

    def _note(self, error: BusError) -> None:
        self._errors += 1
        self._last_error = str(error)
        _log.debug('%s', error)

    def _come_to_rest(self) -> None:
        """Brake by the stop that was checked, so that nothing is held in mid-motion."""
        self._braking = True
        try:
            self._go_on(BRAKE_S, lambda: self.motion.limiter.at_rest and not self._unsent, RUNNING)
        finally:
            self._braking = False

    def _walk_to_neutral(self) -> bool:
        """Move to neutral at the usual rate; returns whether the head arrived or was stopped."""
        with self._mailbox.lock:
            self._mailbox.relax()
        self._go_on(EXIT_TIMEOUT_S, self._is_neutral, RUNNING)
        return self.state == STOPPED or (self.state == RUNNING and self._is_neutral())

    def _is_neutral(self) -> bool:
        """Whether the head is where it relaxes to; asks for that again if a gap has voided it."""
        with self._mailbox.lock:
            if not self._mailbox.relaxed:
                self._mailbox.relax()
                return False
        waits = self._missing or self.motion.comes_in or bool(self.motion.stalls.resting.any())
        return not waits and self._is_there()

    def _is_there(self) -> bool:
        way = np.abs(self.motion.limiter.state.position - self.motion.goal_rad)
        return self.motion.limiter.at_rest and bool((way[self.monitor.active] < SETTLED_RAD).all())

    def _carry_out_reset(self) -> None:
        """Let joints come to rest for a reset that came before the head is left."""
        if self._mailbox.reset:
            self._go_on(BRAKE_S, lambda: not self._mailbox.reset, STOPPED)

    def _go_on(self, most_s: float, done: Callable[[], bool], state: str) -> None:
        """Cycle at the usual rate until something is done, for at most so long, in one state."""
        now = begin = self._clock()
        while now - begin < most_s and self.state == state:
            self.step(now)
            if done():
                return
            now += self._period_s
            self._pause(max(0.0, now - self._clock()))
            now = max(now, self._clock())
