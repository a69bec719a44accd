"""The cycle of the bus thread: take requests, advance the motion, send goals, read state.

A missing reply is never acted upon; a lost bus stops commanding, is retried with growing pauses,
and motion starts again from the measured pose. docs/safety.md lists every fault and what happens.
"""

import contextlib
import logging
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.bus import ServoBus
from kf_imitation.errors import BusError
from kf_imitation.head.command_mailbox import CommandMailbox
from kf_imitation.head.link_monitor import LinkMonitor
from kf_imitation.head.pending_confirmations import PendingConfirmations
from kf_imitation.head.reports import PeriodMeter, ServoCycle
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.head.servo_monitor import ServoMonitor
from kf_imitation.motion.joint_states import JointMeasurement
from kf_imitation.motion.motion_generator import MotionGenerator
from kf_imitation.robot import EXIT_POLICIES, RobotConfig

Array = NDArray[np.float64]
GRACE_S = 0.05  # a longer silence than this ends the motion that was under way
PROBE_S = 0.1  # after this long every servo is asked alone whether it is there
UNUSABLE_S = 0.3  # servos answer alone, but no cycle works: as good as lost
RETRY_S = (0.1, 0.2, 0.3, 0.5)  # pauses between attempts to get a lost bus back
EXIT_TIMEOUT_S = 3.0  # for the way to neutral before limp
RECOVERY_CURRENT = 0.35  # fraction of max_current_a while a joint is outside its limits
SETTLED_RAD = 1e-4

OFF, RUNNING, LOST, STOPPED = 'off', 'running', 'lost', 'stopped'
_log = logging.getLogger('kf_imitation.head')


class ControlCycle:
    """Connects, moves and leaves one robot, cycle by cycle, in whatever thread calls it.

    Attributes:
        robot: the head.
        state: OFF, RUNNING, LOST (bus gone, retrying) or STOPPED (latched until reset()).
        on_cycle: called by the bus thread after each cycle; must be quick and not raise.
        exit_policy: limp, hold or neutral_limp.
        latched: a stop was asked for and not reset yet; outlives close() and start().
    """

    def __init__(
        self,
        robot: RobotConfig,
        bus: ServoBus,
        rate_hz: float = 100.0,
        clock: Callable[[], float] = time.monotonic,
        hold_s: float = 1.0,
        exit_policy: str = '',
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is sent before start().

        Args:
            robot: the head.
            bus: not yet opened.
            rate_hz: cycles per second.
            clock: seconds, monotonic.
            hold_s: relax to neutral after this time without set_goal() or keep_alive().
            exit_policy: '' takes the robot file's.
            pause: waits in real time; a no-op for virtual clocks.
        """
        self.robot = robot
        self.exit_policy = exit_policy or robot.exit
        if self.exit_policy not in EXIT_POLICIES:
            raise ValueError(f'exit_policy = {exit_policy!r} is not one of {EXIT_POLICIES}')
        self.on_cycle: Callable[[ServoCycle], None] | None = None
        self.state = OFF
        self.latched = False
        self._bus = bus
        self._period_s = 1.0 / rate_hz
        self._clock = clock
        self._pause = pause
        self._servos = ServoGroup(robot, bus, pause)
        self._motion = MotionGenerator(robot, self._period_s)
        self._monitor = ServoMonitor(self._servos)
        self._present = JointMeasurement.zeros(len(robot.joints))
        self._neutral = np.array([j.neutral_rad for j in robot.joints])
        self._mailbox = CommandMailbox(self._neutral, hold_s)
        self._confirmations = PendingConfirmations()
        self._meter = PeriodMeter(self._period_s)
        self._link = LinkMonitor()
        self._unconfirmed: list[str] = []
        self._recovering = np.zeros(len(robot.joints), np.bool_)
        self._now_s = self._fresh_s = self._retry_at_s = 0.0
        self._cycles = self._overruns = self._errors = self._outages = self._retries = 0
        self._last_error = ''
        self._missing = False  # the last exchange of the cycle failed

    def step(self, now_s: float) -> ServoCycle:
        """Run one cycle; offline the caller gives the time and keeps the rate.

        Failed exchanges do not raise: they are counted and handled.
        """
        self._now_s = now_s
        self._bus.tick(now_s)
        self._take_requests()
        fresh = commanding = False
        if self.state == RUNNING:
            commanding = True
            fresh = self._move()
        elif self.state == LOST and now_s >= self._retry_at_s:
            self._try_again()
        elif self.state == STOPPED:
            commanding = self._holds_when_stopped
            fresh = self._stay_stopped()
        if self.state == RUNNING and not self._monitor.reasons:
            self._link.note(now_s, self._bus.misses)
        else:
            self._link.forget(self._bus.misses)
        self._confirmations.poll(now_s)
        self._cycles += 1
        cycle = ServoCycle(
            stamp_ns=round(now_s * 1e9),
            names=self.robot.names,
            goal_rad=self._motion.goal_rad.copy(),
            commanded_rad=self._motion.limiter.state.position.copy(),
            present_rad=self._present.position_rad.copy(),
            velocity_rad_s=self._present.velocity_rad_s.copy(),
            current_a=self._present.current_a.copy(),
            fresh=fresh,
            commanding=commanding,
            errors=tuple(self._monitor.sentences()),
        )
        if self.on_cycle is not None:
            self.on_cycle(cycle)
        return cycle

    def _connect(self) -> None:
        """Open, set up, start from the measured pose; on any error everything is off again."""
        self._now_s = self._clock()
        self._bus.tick(self._now_s)
        self._bus.open()
        self._bus.use_short_timeouts(False)
        try:
            self._servos.setup()
            self._monitor.all_present()
            active = self._monitor.active
            self._servos.read_state(active, self._present)
            self._begin()
            if self.latched:
                self._unconfirmed = self._servos.torque_off()
                self.state = STOPPED
            else:
                self._servos.torque_on(active)
                self._servos.arm_watchdog(active)
            self._bus.use_short_timeouts(True)
            self._confirmations.open()
        except BaseException:
            self._servos.torque_off()
            self._bus.shutdown()
            raise

    def _begin(self) -> None:
        """Plan from the present pose; gently while it is outside the limits."""
        self._motion.begin(self._present.position_rad)
        self._limit_current(self._motion.limiter.outside)
        self._fresh_s = self._clock()
        self._missing = False
        self._retries = 0
        with self._mailbox.lock:
            self._mailbox.relax()
        self.state = RUNNING

    def _limit_current(self, recovering: NDArray[np.bool_]) -> None:
        """Set the force limits of active joints whose recovering changes or starts."""
        for index in self._monitor.active:
            if recovering[index] or recovering[index] != self._recovering[index]:
                self._servos.limit_current(index, RECOVERY_CURRENT if recovering[index] else 1.0)
        self._recovering = recovering.copy()

    def _take_requests(self) -> None:
        mailbox = self._mailbox
        stop, reset, reboots = mailbox.take(self._now_s)
        for index in reboots:
            self._monitor.ask_reboot(index)
        if stop:
            self.state, self.latched = STOPPED, True
            self._unconfirmed = list(self.robot.names)
        elif reset and self.state == STOPPED:
            mailbox.limp = self.latched = False
            self._monitor.all_down('was stopped')
            self.state = LOST
            self._retry_at_s = self._now_s

    def _move(self) -> bool:
        """Do one cycle of motion; returns whether state was read.

        After a missing reply nothing is sent until state was read again: time stands still for
        the plan, and after more than GRACE_S motion starts again at rest from what was read.
        """
        motion, monitor = self._motion, self._monitor
        try:
            if self._missing and monitor.active:
                self._servos.read_state(monitor.active, self._present)
                if self._now_s - self._fresh_s > GRACE_S:
                    motion.begin_joints(monitor.active, self._present.position_rad)
            self._advance()
            self._missing = True
            if monitor.active:
                self._servos.write_goals(monitor.active, motion.limiter.state.position)
                self._servos.read_state(monitor.active, self._present)
            self._missing = False
            self._fresh_s = self._now_s
            self._end_slow_recovery()
            revived = monitor.poll(self._now_s, self._present)
        except BusError as error:
            self._note(error)
            if self._now_s - self._fresh_s > PROBE_S:
                self._probe()
            return False
        if revived:
            motion.begin_joints(revived, self._present.position_rad)
        if monitor.reasons:
            motion.follow(monitor.down, self._present.position_rad)
        return True

    def _advance(self) -> None:
        if self.state == STOPPED:
            self._motion.brake()
            return
        motion = self._motion
        wanted, waypoint = self._mailbox.pose(self._now_s, motion.limiter.state)
        motion.advance(self._now_s, wanted, self._present, self._monitor.temperature_c, waypoint)

    def _end_slow_recovery(self) -> None:
        """Give joints that are back inside their limits their full current."""
        if self._recovering.any():
            outside = self._motion.limiter.outside
            if not np.array_equal(outside, self._recovering):
                self._limit_current(outside & self._recovering)

    def _probe(self) -> None:
        """After a silence: ask every servo alone, give up the silent ones or the bus."""
        try:
            if self._monitor.probe() and self._now_s - self._fresh_s < UNUSABLE_S:
                return
        except BusError as error:
            self._note(error)
        self._outages += 1
        self._retries = 0
        self._retry_at_s = self._now_s
        self._monitor.all_down('does not answer')
        if self.state == RUNNING:
            self.state = LOST

    def _try_again(self) -> None:
        """Try to get the bus back; motion starts from the measured pose."""
        pause = RETRY_S[min(self._retries, len(RETRY_S) - 1)]
        self._retries += 1
        try:
            self._bus.close()
            self._bus.open()
            if self._monitor.revive_all(self._present):
                self._begin()
                return
        except BusError as error:
            self._note(error)
        self._retry_at_s = self._clock() + pause

    def _stay_stopped(self) -> bool:
        """Freeze or limp, until read-back confirms; then only look."""
        if self._holds_when_stopped:
            fresh = self._move()
            if fresh and self._motion.limiter.at_rest:
                self._unconfirmed = []
            return fresh
        try:
            if self._unconfirmed:
                self._unconfirmed = self._servos.torque_off()
            self._servos.read_state(range(len(self.robot.joints)), self._present)
        except BusError as error:
            self._note(error)
            if self._unconfirmed and self._now_s >= self._retry_at_s:
                self._retry_at_s = self._now_s + RETRY_S[0]
                self._bus.close()
                with contextlib.suppress(BusError):
                    self._bus.open()
            return False
        return True

    @property
    def _holds_when_stopped(self) -> bool:
        return self.robot.stop == 'hold' and not self._mailbox.limp

    def _note(self, error: BusError) -> None:
        self._errors += 1
        self._last_error = str(error)
        _log.debug('%s', error)

    def _leave(self) -> None:
        """Carry out the exit policy; torque ends up off (or held) whatever happens before."""
        try:
            if self.state == RUNNING and self.exit_policy == 'neutral_limp':
                self._walk_to_neutral()
        finally:
            hold = self.exit_policy == 'hold' and self.state == RUNNING
            self._bus.use_short_timeouts(False)
            try:
                if self.state == LOST:
                    self._bus.close()
                    self._bus.open()
                if hold:
                    self._servos.disarm_watchdog(self._monitor.active)
                elif left := self._servos.torque_off():
                    _log.error('torque off is not confirmed by %s', ', '.join(left))
            except BusError as error:
                _log.error('at exit: %s', error)
            finally:
                self.state = OFF
                self._confirmations.abandon('the head was switched off')

    def _walk_to_neutral(self) -> None:
        """Move to neutral at the usual rate, for at most EXIT_TIMEOUT_S."""
        now = begin = self._clock()
        with self._mailbox.lock:
            self._mailbox.relax()
        while now - begin < EXIT_TIMEOUT_S and self.state == RUNNING:
            self.step(now)
            motion = self._motion
            way = np.abs(motion.limiter.state.position - motion.goal_rad)
            if motion.limiter.at_rest and way.max() < SETTLED_RAD:
                return
            now += self._period_s
            self._pause(max(0.0, now - self._clock()))
            now = max(now, self._clock())
