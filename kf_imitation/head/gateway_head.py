"""A head whose servos somebody else drives (ros2_control): goals become trajectories, no more.

The same planner and limiter as on our own bus; what they would command is handed out ahead of
time, as points for a joint_trajectory_controller. Nothing here is measured or pretended to be.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kf_imitation.head.command_mailbox import CommandMailbox
from kf_imitation.head.pending_confirmations import Answer, at_once
from kf_imitation.head.reports import OK, WARN, ServoStatus
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
FIRST_S = 2.0  # time for the way to neutral from a pose that nobody knows
LISTEN_S = 3.0  # how long to wait for that pose
APART_RAD = 0.1  # a resting head that is further from its goal was moved by somebody else
_DRIVER = 'port is none: torque and errors belong to the driver of the head'


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
        clock: Callable[[], float] = time.monotonic,
        hold_s: float = 1.0,
        exit_policy: str = '',
    ) -> None:
        """Take what ServoController takes, without a bus."""
        self.robot = robot
        self.trajectory_most_s = LONGEST_S
        self.on_trajectory: Callable[[PlannedTrajectory], None] | None = None
        self.latched = False
        self._exit_policy = exit_policy or robot.exit
        self._period_s = 1.0 / rate_hz
        self._clock = clock
        self._neutral = robot.neutral_rad
        self._mailbox = CommandMailbox(self._neutral, hold_s)
        self._motion = MotionGenerator(robot, self._period_s)
        self._unknown_c = np.full(len(robot.joints), np.nan)
        self._measured: Array = np.full(len(robot.joints), np.nan)
        self._now_s = 0.0  # where the motion is
        self._renew_s: float | None = None  # when to hand out what lies beyond the horizon
        self._listening_until_s: float | None = None
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
        """Begin to listen for the pose of the head; goals count from now on."""
        self._active = True
        self._listening_until_s = self._clock() + LISTEN_S
        self._mailbox.relax()

    def rest(self) -> None:
        """Leave the head in neutral (neutral_limp) or where it is; may be called twice."""
        if self._active and self._exit_policy == 'neutral_limp' and not self.latched:
            self.relax()
        elif self._active:
            self._hand_out(brake=True)
        self._active = False

    def close(self) -> None:
        """Rest; there is no port to release."""
        self.rest()

    def measured(self, position_rad: Mapping[str, float]) -> None:
        """Take where the driver says that joints are; a head starts from there."""
        for index, name in enumerate(self.robot.names):
            if np.isfinite(value := position_rad.get(name, np.nan)):
                self._measured[index] = value

    def set_goal(self, position_rad: Array, stamp_ns: int) -> str:
        """Move to a pose (J,); as ServoController.set_goal()."""
        if self.latched:
            return self.reject('stopped: reset first')
        goal = np.asarray(position_rad, np.float64)
        if reason := self._motion.limiter.problem_of(goal, stamp_ns):
            return self.reject(reason)
        self._catch_up()
        self._mailbox.goal(goal, self._clock())
        self._hand_out()
        return ''

    def forget_order(self) -> None:
        """Take the next goal whatever its stamp; as ServoController.forget_order()."""
        self._motion.limiter.forget_order()

    def set_trajectory(
        self, names: Sequence[str], points: Sequence[TrajectoryPoint], delay_s: float = 0.0
    ) -> str:
        """Move some joints through poses in time; as ServoController.set_trajectory()."""
        longest_s = self.trajectory_most_s
        problems = trajectory_problems(self.robot, names, points, delay_s, longest_s)
        if self.latched:
            problems = ['stopped: reset first']
        if problems:
            return self.reject(f'trajectory: {"; ".join(problems)}')
        self._catch_up()
        start_s = self._clock() + delay_s
        self._mailbox.waiting = TimedTrajectory(self.robot, names, points, start_s)
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
            self._catch_up()
            self._mailbox.relax()
            self._hand_out()

    def stop(self) -> 'Future[Answer]':
        """Come to rest and reject goals until reset()."""
        self._catch_up()
        self.latched = True
        self._mailbox.relax()
        self._hand_out(brake=True)
        return at_once(True, 'the last trajectory comes to rest; waiting for reset')

    def reset(self) -> 'Future[Answer]':
        """End a stop."""
        self.latched = False
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
        now = self._clock()
        if self._listening_until_s is not None:
            if np.isfinite(self._measured).all() or now >= self._listening_until_s:
                self._listening_until_s = None
                self._begin(now)
            return
        self._catch_up()
        was_relaxed = self._mailbox.relaxed
        self._mailbox.take(now)
        stale = self._mailbox.relaxed and not was_relaxed
        if not self.latched and (stale or (self._renew_s is not None and now >= self._renew_s)):
            self._hand_out()

    def status(self) -> ServoStatus:
        """Return the state in a sentence."""
        values = {
            'trajectories published': str(self._sent),
            'rejected commands': str(self._mailbox.rejected),
            'last rejected command': self._mailbox.rejection or 'none',
        }
        if self.latched:
            return ServoStatus(WARN, 'stopped; waiting for reset', values)
        if not self._active:
            return ServoStatus(OK, 'off', values)
        pose = 'at rest in neutral' if self._mailbox.relaxed else 'following'
        return ServoStatus(OK, f'{pose}; publishes goals for another driver', values)

    def _begin(self, now: float) -> None:
        """Start from the pose of the head, or lead it slowly to neutral where it is unknown."""
        if np.isfinite(self._measured).all():
            self._now_s = now
            self._motion.begin(self._measured)
            self._hand_out()
            return
        self._now_s = now + FIRST_S
        self._motion.begin(self._neutral)
        rest = np.zeros_like(self._neutral)
        self._publish([(FIRST_S, self._neutral, rest)])
        self._renew_s = self._now_s

    def _catch_up(self) -> None:
        """Bring the motion to the present: as far as what was handed out has been carried out."""
        now = self._clock()
        while self._now_s + self._period_s <= now:
            self._now_s += self._period_s
            self._step(self._motion, self._mailbox, self._now_s)
        measured = np.isfinite(self._measured).all() and self._listening_until_s is None
        limiter = self._motion.limiter
        if measured and limiter.at_rest and self._rests(self._motion):
            off = np.abs(self._measured - limiter.state.position).max()
            if off > APART_RAD:
                self._motion.begin(self._measured)

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
        """Plan from where the motion is and publish it, up to the horizon and then to a stop."""
        if self._listening_until_s is not None or not self._active:
            return
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
