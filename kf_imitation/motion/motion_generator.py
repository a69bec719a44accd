"""Goal to command: heat and stalls shrink the goal, ruckig plans, the limiter decides; pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.motion.joint_states import JointMeasurement, JointTrajectoryState
from kf_imitation.motion.planner import EVEN, MotionPlanner
from kf_imitation.motion.safety_limiter import SafetyLimiter
from kf_imitation.motion.waypoints import Waypoint
from kf_imitation.robot import RobotConfig, ThermalLimits

Array = NDArray[np.float64]
Plan = tuple[NDArray[Any], ...]  # what was planned for; a change means a new plan
# Speed scale: fraction of the limits that a plan uses. Every rejected proposal lowers it.
SLOWEST_FROM_REST = 0.005
SLOWEST_MOVING = 0.1  # while the joints brake: that takes its time, however slow the plan
AFTER_ESCAPE = 0.5  # of the first plan after the escape pose
SPEED_UP_S = 0.5  # after this time without a rejection the scale doubles
ARRIVED_RAD = 1e-6
MISSED_RAD = 0.05  # a waypoint counts as missed when a joint is further away at its time
STALL_CURRENT_FRACTION = 0.7  # of the present limit: full force
# Ways to stall, one row each: commanded against present of more than ... [rad], a force of at
# least ... of the present limit, and not even ... [rad] in ... [s]. The last two are a finger that
# a joint presses with less force, and a joint that presses right before its goal.
STALLS = np.array(
    [
        [0.06, STALL_CURRENT_FRACTION, 0.02, 0.2],
        [0.06, STALL_CURRENT_FRACTION, 0.2, 0.4],
        [0.06, 0.3, 0.02, 1.0],
        [0.0, STALL_CURRENT_FRACTION, 0.02, 1.5],
    ]
)
STALL_RESTS_S = (1.5, 3.0)  # after the first and the second stall in a row; the third is the last
STALL_FORCES = (1.0, 0.6, 0.35)  # of the joint's max_current_a: each try is gentler
STALL_FORGOTTEN_S = 10.0  # a joint that moves for so long without a stall has all its tries again


class StallGuard:
    """Notices joints that push without moving, and keeps them from pushing for a while.

    One that lags behind at full current but comes nearer is none of them. A joint that stands
    still lets go sooner than a slow one, which may be on its way through something soft. A
    stalled joint takes its present angle as goal; after a pause it may try again with less force,
    and after the last try it rests until release().

    Attributes:
        resting: (J,) bool, joints in their pause.
        given_up: (J,) bool, joints that rest until release().
        held_rad: (J,) goal of resting joints.
        force: (J,) fraction of max_current_a that a joint may use.
        count: stalls so far.
    """

    def __init__(self, robot: RobotConfig) -> None:
        joints = len(robot.joints)
        self._most = np.array([j.max_current_a for j in robot.joints])
        # One row per way of stalling: how long a joint has pushed without it, and from where.
        self._pushing_s = np.zeros((len(STALLS), joints))
        self._from_rad = np.zeros((len(STALLS), joints))
        self._until_s = np.zeros(joints)
        self._in_a_row = np.zeros(joints, np.intp)
        self._stalled_s = np.full(joints, -np.inf)
        self._no: NDArray[np.bool_] = np.zeros(joints, np.bool_)
        self.resting: NDArray[np.bool_] = self._no.copy()
        self.given_up: NDArray[np.bool_] = self._no.copy()
        self.held_rad = np.zeros(joints)
        self.force = np.ones(joints)
        self.count = 0
        self._calm = True  # nobody pushes, rests or has stalled lately

    def update(
        self, now_s: float, dt_s: float, commanded_rad: Array, present_rad: Array, current_a: Array
    ) -> bool:
        """Take one cycle's measurements, all (J,).

        Returns:
            Whether `resting` changed.
        """
        error = commanded_rad - present_rad
        used = np.abs(current_a) / (self._most * self.force)
        least_rad, least_force, way_rad, time_s = (column[:, None] for column in STALLS.T)
        if self._calm and not (used >= STALLS[:, 1].min()).any():
            return False
        pushing = (np.abs(error) > least_rad) & (used >= least_force)
        if self._calm and not pushing.any():
            return False
        advance = np.sign(error) * (present_rad - self._from_rad)
        still = pushing & (advance < way_rad)
        self._pushing_s = np.where(still, self._pushing_s + dt_s, 0.0)
        self._from_rad = np.where(still, self._from_rad, present_rad)
        stalled = (self._pushing_s > time_s).any(axis=0) & ~self.resting
        ended = self.resting & (now_s >= self._until_s)
        if stalled.any():
            self._rest(stalled, now_s, present_rad)
        self.resting = (self.resting | stalled) & ~ended
        self.given_up &= self.resting
        good = ~self.resting & (now_s - self._stalled_s > STALL_FORGOTTEN_S)
        good &= ~pushing.any(axis=0)
        self._in_a_row[good] = 0
        self.force[good] = 1.0
        waiting = pushing.any() or self.resting.any()
        self._calm = not waiting and not self._in_a_row.any()
        return bool(stalled.any() or ended.any())

    def _rest(self, stalled: NDArray[np.bool_], now_s: float, present_rad: Array) -> None:
        self.held_rad = np.where(stalled, present_rad, self.held_rad)
        self._pushing_s[:, stalled] = 0.0
        self._stalled_s[stalled] = now_s
        self.count += int(stalled.sum())
        for index in np.flatnonzero(stalled).tolist():
            self._in_a_row[index] += 1
            tries = int(self._in_a_row[index])
            last = tries > len(STALL_RESTS_S)
            self.given_up[index] = last
            self._until_s[index] = np.inf if last else now_s + STALL_RESTS_S[tries - 1]
            self.force[index] = STALL_FORCES[min(tries, len(STALL_FORCES) - 1)]

    def release(self) -> list[int]:
        """End all pauses in the next cycle, as somebody says that nothing is in the way now.

        Returns:
            The joints that rested.
        """
        self._until_s[:] = -np.inf
        self._in_a_row[:] = 0
        self.force[:] = 1.0
        rested: list[int] = np.flatnonzero(self.resting).tolist()
        return rested


def thermal_scale(temperature_c: Array, limits: ThermalLimits) -> Array:
    """Return how much of its motion each joint may make, (J,) 0..1; unknown (NaN) counts as 1.

    1 up to derate_above_c, falling in a straight line to 0 at rest_above_c, in steps of 0.05 so
    that a flickering degree does not start a new plan every time.
    """
    if not (temperature_c > limits.derate_above_c).any():
        return np.ones(len(temperature_c))
    width = limits.rest_above_c - limits.derate_above_c
    scale = np.clip((limits.rest_above_c - temperature_c) / width, 0.0, 1.0)
    stepped: Array = np.where(np.isnan(scale), 1.0, np.round(scale * 20.0) / 20.0)
    return stepped


class MotionGenerator:
    """Commanded motion of one robot; pure.

    Attributes:
        limiter: holds the commanded state.
        planner: of the joints that go to rest in a goal; its counters are of interest.
        passages: plans the joints that follow a trajectory.
        reflexes: plans the joints of the reflex lane, each as fast as it can.
        missed: waypoints that were not reached in time.
        stalls: joints that rest.
        goal_rad: (J,) where the joints are going, after all guards.
        comes_in: goal_rad is but the way into the limits, whatever was asked for.
    """

    def __init__(self, robot: RobotConfig, period_s: float) -> None:
        self._robot = robot
        self._period_s = period_s
        self._neutral = robot.neutral_rad
        self.limiter = SafetyLimiter(robot, period_s)
        self.planner = MotionPlanner(robot, period_s)
        self.passages = MotionPlanner(robot, period_s)
        self.reflexes = MotionPlanner(robot, period_s)
        self.missed = 0
        self.stalls = StallGuard(robot)
        self.goal_rad: Array = self._neutral.copy()
        self.comes_in = False
        self._asked: Array | None = None  # what goal_rad was made of
        self._all = np.arange(len(robot.joints))
        self._none = self._all[:0]
        self._planned: Plan | None = None
        self._passage: Plan | None = None
        self._reflex: Plan | None = None
        self._waypoint: Waypoint | None = None
        self._speed_scale = 1.0
        self._scaled_s = 0.0  # since the speed scale changed
        self._escape_pose: Array | None = None  # where to go first

    def begin(self, position_rad: Array) -> None:
        """Start at rest from a measured pose (J,)."""
        self.limiter.reset(position_rad)
        self.goal_rad = position_rad.copy()
        self._asked = None
        self.forget_plan()

    def begin_joints(self, indices: list[int], position_rad: Array) -> None:
        """Start some joints at rest from their measured angle; position_rad is (J,)."""
        self.limiter.reset_joints(indices, position_rad)
        self.forget_plan()

    def follow(self, indices: list[int], position_rad: Array) -> None:
        """Let the command of limp joints follow their measured angle, so that it never jumps.

        Args:
            indices: the limp joints; all others are commanded.
            position_rad: (J,) measured.
        """
        changed = self.limiter.set_limp(indices)
        state = self.limiter.state
        away = (position_rad != state.position) | (state.velocity != 0.0)
        if away[indices].any():
            self.begin_joints(indices, position_rad)
            changed = True
        if changed:
            self._asked = None  # what the others may do depends on it

    def forget_plan(self) -> None:
        """Plan again in the next cycle."""
        self._planned = self._passage = self._reflex = self._escape_pose = None
        self._speed_scale = 1.0

    def watch_stalls(self, now_s: float, present: JointMeasurement) -> None:
        """Notice joints that push without moving; advance() does so by itself.

        Args:
            now_s: controller time.
            present: last measurement.
        """
        limiter = self.limiter
        pushing_a = np.where(limiter.limp, 0.0, present.current_a)  # nobody reads limp joints
        self.stalls.update(
            now_s, self._period_s, limiter.state.position, present.position_rad, pushing_a
        )

    def advance(
        self,
        now_s: float,
        wanted_rad: Array,
        present: JointMeasurement,
        temperature_c: Array,
        waypoint: Waypoint | None = None,
        reflex: NDArray[np.intp] | None = None,
    ) -> None:
        """Advance the command by one period towards a pose.

        Args:
            now_s: controller time.
            wanted_rad: (J,) inside the limits.
            present: last measurement.
            temperature_c: (J,), NaN where unknown.
            waypoint: of a trajectory, its positions in wanted_rad too: when to pass them.
            reflex: joints that wait for no other; None: all arrive together.
        """
        limiter = self.limiter
        reflex = self._none if reflex is None else reflex
        self.watch_stalls(now_s, present)
        scale = thermal_scale(temperature_c, self._robot.thermal)
        goal = self._neutral + scale * (wanted_rad - self._neutral)
        goal = np.where(self.stalls.resting, self.stalls.held_rad, goal)
        outside = self.comes_in = bool(limiter.outside.any())
        if outside:  # first the shortest way in, which brings every joint closer
            goal = limiter.state.position
        if self._asked is None or not (goal == self._asked).all():
            # A reflex wants something else all the time: no reason to try full speed again.
            others = ~limiter.limp
            others[reflex] = False
            again = self._asked is None or not (goal == self._asked)[others].all()
            self._asked, self.goal_rad = goal, limiter.allowed_goal(goal)
            if not outside and again:
                self._speed_scale, self._escape_pose = 1.0, None
        speed = np.maximum(0.05, scale) * limiter.speed_scale
        self._count_missed(now_s, waypoint)
        if limiter.step(self._proposal(now_s, speed, waypoint, reflex)):
            self._speed_up()
            return
        # Rejected: the joints brake now; plan again from there, slower each time.
        self._planned = self._passage = self._reflex = None
        least = SLOWEST_FROM_REST if limiter.at_rest else min(self._speed_scale, SLOWEST_MOVING)
        self._speed_scale, self._scaled_s = max(least, 0.7 * self._speed_scale), 0.0

    def _speed_up(self) -> None:
        """Plan again with more of the limits once a slow plan has been good for some time."""
        self._scaled_s += self._period_s
        evenly = (np.abs(self.limiter.state.acceleration) < EVEN).all()
        if self._speed_scale < 1.0 and self._scaled_s > SPEED_UP_S and evenly:
            self._speed_scale, self._scaled_s = min(1.0, 2.0 * self._speed_scale), 0.0
            self._planned = None

    def brake(self) -> None:
        """Advance by one period towards standstill."""
        self.limiter.step(None)
        self.forget_plan()

    def _proposal(
        self, now_s: float, speed: Array, waypoint: Waypoint | None, reflex: NDArray[np.intp]
    ) -> JointTrajectoryState | None:
        """Plan where something changed; joints with a waypoint, reflexes and the others apart."""
        state, goal = self.limiter.state, self._target()
        scaled_speed = speed * self._speed_scale
        at = self._none if waypoint is None else waypoint.joints
        # A slow plan is straight, for all joints: what was rejected may be how they part.
        quick = reflex if self._speed_scale == 1.0 else self._none
        quick = quick[~np.isin(quick, at)] if at.size and quick.size else quick
        free = self._all
        if at.size or quick.size:
            left = np.ones(len(free), np.bool_)
            left[at] = left[quick] = False
            free = np.flatnonzero(left)
        if not _same(self._planned, plan := (free, goal[free], speed[free])):
            self._planned = plan
            if free.size and self._speed_scale < 1.0:
                self.planner.plan_straight(state, goal, scaled_speed, free, self._speed_scale)
            elif free.size:
                self.planner.plan(state, goal, scaled_speed, free)
        if waypoint is None:
            self._passage = None
        elif not _same(self._passage, way := (at, goal[at], speed[at], np.array([waypoint.at_s]))):
            self._passage = way
            self.passages.plan_passage(state, waypoint, goal, scaled_speed, now_s)
        if not quick.size:
            self._reflex = None
        elif not _same(self._reflex, dart := (quick, goal[quick], speed[quick])):
            self._reflex = dart
            self.reflexes.plan(state, goal, scaled_speed, quick, together=False)
        if free.size == len(self._all):
            return self.planner.next()
        parts = [(at, self.passages.next())] if at.size else []
        parts += [(quick, self.reflexes.next())] if quick.size else []
        parts += [(free, self.planner.next())] if free.size else []
        position, velocity, acceleration = np.empty((3, len(self._all)))
        for joints, part in parts:
            if part is None:
                return None
            position[joints] = part.position
            velocity[joints] = part.velocity
            acceleration[joints] = part.acceleration
        return JointTrajectoryState(position, velocity, acceleration)

    def _target(self) -> Array:
        """Return where to plan to: the goal, or the escape pose once no plan is slow enough."""
        limiter = self.limiter
        if (
            self._escape_pose is None
            and self._speed_scale <= SLOWEST_FROM_REST
            and limiter.at_rest
        ):
            self._escape_pose = limiter.escape_pose()
        if self._escape_pose is not None and limiter.at_rest:
            way = np.abs(limiter.state.position - self._escape_pose).max()
            if way < ARRIVED_RAD:
                self._escape_pose, self._speed_scale = None, AFTER_ESCAPE
        return self.goal_rad if self._escape_pose is None else self._escape_pose

    def _count_missed(self, now_s: float, waypoint: Waypoint | None) -> None:
        """Count the waypoint that was left behind if its joints were not there."""
        before, self._waypoint = self._waypoint, waypoint
        if before is None or before is waypoint or now_s < before.at_s:
            return
        off = np.abs(self.limiter.state.position[before.joints] - before.position_rad)
        self.missed += bool((off > MISSED_RAD).any())


def _same(one: Plan | None, other: Plan) -> bool:
    return one is not None and all(
        a is b or (a.shape == b.shape and bool((a == b).all()))
        for a, b in zip(one, other, strict=True)
    )
