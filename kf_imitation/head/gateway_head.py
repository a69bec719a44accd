"""A head whose servos somebody else drives (ros2_control): goals become trajectories, no more.

The same planner and limiter as on our own bus; what they would command is handed out ahead of
time, as points for a joint_trajectory_controller. Nothing here is measured or pretended to be:
nothing moves before the driver has said where the joints are, and again after every gap in time.
"""

import copy
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kf_imitation.head.authority import owners
from kf_imitation.head.clock import boottime_s, stamp_problem
from kf_imitation.head.command_mailbox import CommandMailbox
from kf_imitation.head.cycle_faults import CYCLE_FAULTS, cause
from kf_imitation.head.pending_confirmations import Answer, at_once
from kf_imitation.head.reports import ERROR, OK, WARN, ServoStatus
from kf_imitation.head.stop_record import StopRecord
from kf_imitation.motion.joint_states import JointMeasurement
from kf_imitation.motion.motion_generator import MotionGenerator
from kf_imitation.motion.waypoints import (
    LONGEST_S,
    TimedTrajectory,
    TrajectoryPoint,
    trajectory_problems,
)
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
POINT_S = 0.05  # between two points handed out
HORIZON_S = 2.0  # a plan that goes on for longer is handed out again half way
GAP_S = HORIZON_S  # after a longer time without a tick nobody knows what the driver has made of it
APART_RAD = 0.1  # a resting head that is further from its goal was moved by somebody else
LAG_S = 0.3  # by which a driver may be behind what it was given
APART_S = 1.0  # a joint that is further behind for so long does not follow
SILENT_S = 2.0  # a driver that says nothing for so long
FAR_OUTSIDE_RAD = 0.5  # a joint that is said to be so far outside its limits has a wrong zero
_DRIVER = 'port is none: torque and errors belong to the driver of the head'

_log = logging.getLogger('kf_imitation.head')


@dataclass(frozen=True, slots=True)
class PlannedTrajectory:
    """What to hand to the driver, starting now.

    Attributes:
        names: all joints of the head.
        times_s: (P,) from now, growing.
        position_rad, velocity_rad_s: (P, J); the last point is at rest.
    """

    names: tuple[str, ...]
    times_s: Array
    position_rad: Array
    velocity_rad_s: Array


class GatewayHead:
    """Plans without a bus; every method belongs to one thread.

    Attributes:
        robot: the head.
        trajectory_most_s: how long a trajectory may last, or wait for its start.
        on_trajectory: takes every trajectory; set before start().
        latched: stopped until reset().
    """

    def __init__(
        self,
        robot: RobotConfig,
        rate_hz: float = 100.0,
        clock: Callable[[], float] = boottime_s,
        hold_s: float = 1.0,
        exit_policy: str = '',
        stamp_clock_ns: Callable[[], int] | None = time.time_ns,
        stop_record: StopRecord | None = None,
    ) -> None:
        """Take what ServoController takes, without a bus."""
        self.robot = robot
        self.trajectory_most_s = LONGEST_S
        self.on_trajectory: Callable[[PlannedTrajectory], None] | None = None
        self._stop_record = stop_record
        self.latched = stop_record is not None and bool(stop_record.read())
        self._exit_policy = exit_policy or robot.exit
        self._period_s = 1.0 / rate_hz
        self._clock = clock
        self._stamp_clock_ns = stamp_clock_ns
        self._neutral = robot.neutral_rad
        self._mailbox = CommandMailbox(self._neutral, hold_s)
        self._motion = MotionGenerator(robot, self._period_s)
        self._unknown_c = np.full(len(robot.joints), np.nan)
        self._low, self._high = np.array([joint.limits_rad for joint in robot.joints]).T
        self._measured: Array = np.full(len(robot.joints), np.nan)
        self._heard_s = 0.0  # when the driver last said where joints are
        self._apart_since_s: Array = np.full(len(robot.joints), np.inf)
        self._arrived = False  # the head rests and the driver was there
        self._gap_s = 0.0  # the last gap in time
        self._fault = ''  # of ours, which stopped the head
        self._now_s = 0.0  # where the motion is
        self._renew_s: float | None = None  # when to hand out what lies beyond the horizon
        self._listening = False  # for the pose to begin from
        self._active = False
        self._sent = 0

    @property
    def hold_s(self) -> float:
        """Time without a goal or keep_alive() after which the head relaxes to neutral."""
        return self._mailbox.hold_s

    @hold_s.setter
    def hold_s(self, value: float) -> None:
        self._mailbox.hold_s = value

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know."""
        return ('port is none: goals are published, nothing is measured or guarded here',)

    def open(self) -> None:
        """Do nothing: the driver has the port."""

    def start(self) -> None:
        """Begin to listen for the pose of the head; goals count once it is known."""
        self._active = True
        self._gap_s = 0.0
        self._listen()
        self._mailbox.relax()

    def rest(self) -> str:
        """Leave the head in neutral (neutral_limp) or where it is; may be called twice."""
        if self._active and self._exit_policy == 'neutral_limp' and not self.latched:
            self.relax()
        elif self._active:
            self._hand_out(brake=True)
        self._active = False
        return ''

    def close(self) -> str:
        """Rest; there is no port to release."""
        return self.rest()

    def measured(self, position_rad: Mapping[str, float]) -> None:
        """Take where the driver says that joints are; a head starts from there."""
        for index, name in enumerate(self.robot.names):
            if np.isfinite(value := position_rad.get(name, np.nan)):
                self._measured[index] = value
                self._heard_s = self._clock()

    def set_goal(self, position_rad: Array, stamp_ns: int) -> str:
        """Move to a pose (J,); as ServoController.set_goal()."""
        if reason := self._not_now():
            return self.reject(reason)
        clock_ns = self._stamp_clock_ns() if self._stamp_clock_ns is not None else 0
        if reason := stamp_problem(stamp_ns, clock_ns):
            return self.reject(reason)
        goal = np.asarray(position_rad, np.float64)
        if reason := self._motion.limiter.problem_of(goal, stamp_ns):
            return self.reject(reason)
        self._mailbox.goal(goal, self._clock())
        self._hand_out()
        return ''

    def forget_order(self) -> None:
        """Take the next goal whatever its stamp; as ServoController.forget_order()."""
        self._motion.limiter.forget_order()

    def set_reflex(
        self, joints: NDArray[np.intp], position_rad: NDArray[np.float64], stamp_ns: int
    ) -> str:
        """Leave these joints to the goals: what is published ahead cannot follow at once."""
        return ''

    def set_trajectory(
        self, names: Sequence[str], points: Sequence[TrajectoryPoint], delay_s: float = 0.0
    ) -> str:
        """Move some joints through poses in time; as ServoController.set_trajectory()."""
        longest_s = self.trajectory_most_s
        problems = trajectory_problems(self.robot, names, points, delay_s, longest_s)
        if reason := self._not_now():
            problems = [reason]
        if problems:
            return self.reject(f'trajectory: {"; ".join(problems)}')
        self._mailbox.waiting = TimedTrajectory(self.robot, names, points, self._clock(), delay_s)
        self._hand_out()
        return ''

    def reject(self, reason: str) -> str:
        """Count a rejected command; returns the reason."""
        return self._mailbox.reject(reason, self._clock())

    def keep_alive(self) -> None:
        """Say that the last goal is still meant."""
        self._mailbox.heard_s = self._clock()

    def relax(self) -> None:
        """Move to neutral; a trajectory ends."""
        if not self.latched:
            self._guarded(self._catch_up)
            self._mailbox.relax()
            self._hand_out()

    def stop(self) -> 'Future[Answer]':
        """Come to rest and reject goals until reset()."""
        self._guarded(self._catch_up)
        self.latched = True
        if self._stop_record is not None:
            self._stop_record.write('stopped by a command')
        self._mailbox.relax()
        self._hand_out(brake=True)
        return at_once(True, 'the last trajectory comes to rest; waiting for reset')

    def reset(self) -> 'Future[Answer]':
        """End a stop."""
        self.latched, self._fault = False, ''
        if self._stop_record is not None:
            self._stop_record.clear()
        self._apart_since_s[:] = np.inf
        self.relax()
        return at_once(True, 'goals count again')

    def torque(self, on: bool) -> 'Future[Answer]':
        """Reject: the driver has the servos."""
        return at_once(False, _DRIVER)

    def recover(self, careful: bool) -> 'Future[Answer]':
        """Reject: the driver has the servos."""
        return at_once(False, _DRIVER)

    def tick(self) -> None:
        """Relax when no command comes, begin waiting trajectories; call it some times a second."""
        if not self._active:
            return
        self._guarded(self._catch_up)
        if self._listening:
            return
        now = self._clock()
        self._watch(now)
        was_relaxed = self._mailbox.relaxed
        self._mailbox.take(now)
        stale = self._mailbox.relaxed and not was_relaxed
        if not self.latched and (stale or (self._renew_s is not None and now >= self._renew_s)):
            self._hand_out()

    def owners(self) -> tuple[str, ...]:
        """Return who may move each joint now."""
        runs = self._active and not self._listening
        return owners(len(self.robot.joints), self.latched, runs, self._mailbox, self._clock())

    def status(self) -> ServoStatus:
        """Return the state in a sentence."""
        values = {
            'trajectories published': str(self._sent),
            'rejected commands': str(self._mailbox.rejected),
            'last rejected command': self._mailbox.rejection or 'none',
            'commands void by a gap': str(self._mailbox.voided),
        }
        if self.latched:
            if self._fault:
                why = f'stopped by a fault in the planning ({self._fault}); waiting for reset'
                return ServoStatus(ERROR, why, values)
            return ServoStatus(WARN, 'stopped; waiting for reset', values)
        if not self._active:
            return ServoStatus(OK, 'off', values)
        if problem := self._problem():
            return ServoStatus(WARN, problem, values)
        pose = 'at rest in neutral' if self._mailbox.relaxed else 'following'
        return ServoStatus(OK, f'{pose}; publishes goals for another driver', values)

    def _problem(self) -> str:
        """Return what keeps the driver from following, in a sentence; '' for nothing."""
        now = self._clock()
        if self._listening:
            after = f' after a gap of {self._gap_s:.1f} s' if self._gap_s else ''
            return f'nothing moves{after}: {self._unknown()}'
        if (silence_s := now - self._heard_s) > SILENT_S:
            return f'joint_states of the driver are silent for {silence_s:.0f} s'
        late = np.flatnonzero(now - self._apart_since_s > APART_S)
        if late.size:
            target = self._motion.limiter.state.position
            each = (
                f'{self.robot.names[i]} is at {self._measured[i]:.2f} rad, not {target[i]:.2f}'
                for i in late.tolist()
            )
            return f'the driver does not follow: {", ".join(each)}'
        return ''

    def _unknown(self) -> str:
        """Return why motion cannot begin from what the driver says; '' if it can."""
        unknown = np.flatnonzero(np.isnan(self._measured)).tolist()
        if unknown:
            names = ', '.join(self.robot.names[i] for i in unknown)
            return f'joint_states of the driver do not say where {names} is'
        beyond = np.maximum(self._low - self._measured, self._measured - self._high)
        wrong = np.flatnonzero(beyond > FAR_OUTSIDE_RAD).tolist()
        if wrong:
            each = (f'{self.robot.names[i]} is at {self._measured[i]:.2f} rad' for i in wrong)
            return f'the driver says that {", ".join(each)}, far outside the limits'
        return ''

    def _not_now(self) -> str:
        """Bring the motion to the present; returns why no command is taken, '' if one is."""
        self._guarded(self._catch_up)
        if self.latched:
            return 'stopped: reset first'
        if self._listening and self._active:
            return self._unknown() or 'not begun yet'
        return ''

    def _listen(self) -> None:
        """Wait until the driver says where every joint is; what it said before does not count."""
        self._listening, self._arrived = True, False
        self._measured[:] = np.nan
        self._apart_since_s[:] = np.inf
        self._renew_s = None
        self._now_s = self._clock()

    def _watch(self, now: float) -> None:
        """Note since when joints are not where they should be by now."""
        state = self._motion.limiter.state
        allowed = APART_RAD + np.abs(state.velocity) * LAG_S
        apart = np.abs(self._measured - state.position) > allowed
        self._apart_since_s = np.where(apart, np.minimum(self._apart_since_s, now), np.inf)

    def _guarded(self, act: Callable[[], None]) -> None:
        """Carry out a part of the planning; a mistake in it stops the head, not the node."""
        try:
            act()
        except CYCLE_FAULTS as error:
            self._fault, self.latched = cause(error), True
            if self._stop_record is not None:
                self._stop_record.write_soon(self._fault)
            _log.error('a fault in the planning: %s', self._fault, exc_info=error)
            self._mailbox.relax()

    def _catch_up(self) -> None:
        """Bring the motion to the present: as far as what was handed out has been carried out.

        After a gap the driver has carried out what it had, or not: motion begins again.
        """
        now = self._clock()
        if self._listening:
            if self._active and not self._unknown():
                self._listening = False
                self._now_s = now
                self._motion.begin(self._measured)
                if not self.latched:
                    self._hand_out()
            return
        if not -GAP_S <= now - self._now_s <= GAP_S:
            self._gap_s = now - self._now_s
            self._mailbox.voided += not self._mailbox.relaxed
            self._mailbox.relax()
            self._listen()
            return
        while self._now_s + self._period_s <= now:
            self._now_s += self._period_s
            self._step(self._motion, self._mailbox, self._now_s)
        limiter = self._motion.limiter
        rests = limiter.at_rest and self._rests(self._motion)
        off = np.abs(self._measured - limiter.state.position).max()
        if rests and self._arrived and off > APART_RAD:
            self._motion.begin(self._measured)
        self._arrived = rests and (self._arrived or off <= APART_RAD)

    def _step(self, motion: MotionGenerator, mailbox: CommandMailbox, now_s: float) -> None:
        state = motion.limiter.state
        if self.latched:
            motion.brake()
            return
        wanted, waypoint = mailbox.pose(now_s, state)
        present = JointMeasurement.zeros(len(self._neutral))
        present.position_rad[:] = state.position
        motion.advance(now_s, wanted, present, self._unknown_c, waypoint)

    def _rests(self, motion: MotionGenerator) -> bool:
        limiter = motion.limiter
        there = np.abs(limiter.state.position - motion.goal_rad).max() < 1e-4
        return limiter.at_rest and (there or self.latched)

    def _hand_out(self, brake: bool = False) -> None:
        """Plan from where the motion is and publish it; see _plan_ahead()."""
        if not self._listening and self._active:
            self._guarded(lambda: self._plan_ahead(brake))

    def _plan_ahead(self, brake: bool) -> None:
        """Plan from where the motion is and publish it, up to the horizon and then to a stop."""
        self._motion.forget_plan()  # so that ahead and in time the same plan is made
        ahead = MotionGenerator(self.robot, self._period_s)
        ahead.limiter = copy.deepcopy(self._motion.limiter)
        mailbox = self._mailbox.copy()
        offset_s = max(0.0, self._now_s - self._clock())
        every = max(1, round(POINT_S / self._period_s))
        points: list[tuple[float, Array, Array]] = []
        count, horizon = 0, round(HORIZON_S / self._period_s)
        while True:
            count += 1
            if brake or count > horizon:
                ahead.brake()
            else:
                self._step(ahead, mailbox, self._now_s + count * self._period_s)
            state = ahead.limiter.state
            waits = mailbox.running is not None or mailbox.waiting is not None
            done = self._rests(ahead) and not waits
            if done or (ahead.limiter.at_rest and (brake or count > horizon)):
                break
            if count % every == 0:
                points.append((count * self._period_s + offset_s, state.position, state.velocity))
        end = ahead.limiter.state
        points.append(
            (count * self._period_s + offset_s, end.position, np.zeros_like(end.velocity))
        )
        self._renew_s = self._clock() + HORIZON_S / 2.0 if count > horizon else None
        self._publish(points)

    def _publish(self, points: Sequence[tuple[float, Array, Array]]) -> None:
        times, positions, velocities = zip(*points, strict=True)
        self._sent += 1
        if self.on_trajectory is not None:
            self.on_trajectory(
                PlannedTrajectory(
                    self.robot.names, np.array(times), np.array(positions), np.array(velocities)
                )
            )
