"""Goal to command: heat and stalls shrink the goal, ruckig plans, the safety limiter decides."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.motion.guards import StallGuard, thermal_scale
from kf_imitation.motion.joint_states import JointMeasurement, JointTrajectoryState
from kf_imitation.motion.planner import EVEN, MotionPlanner
from kf_imitation.motion.safety_limiter import SafetyLimiter
from kf_imitation.motion.waypoints import Waypoint
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
Plan = tuple[NDArray[Any], ...]  # what was planned for; a change means a new plan
# Speed scale: fraction of the limits that a plan uses. Every rejected proposal lowers it.
SLOWEST_FROM_REST = 0.005
SLOWEST_MOVING = 0.1  # while the joints brake: that takes its time, however slow the plan
AFTER_ESCAPE = 0.5  # of the first plan after the escape pose
SPEED_UP_S = 0.5  # after this time without a rejection the scale doubles
ARRIVED_RAD = 1e-6
MISSED_RAD = 0.05  # a waypoint counts as missed when a joint is further away at its time


class MotionGenerator:
    """Commanded motion of one robot; pure.

    Attributes:
        limiter: holds the commanded state.
        planner: of the joints that go to rest in a goal; its counters are of interest.
        passages: plans the joints that follow a trajectory.
        missed: waypoints that were not reached in time.
        stalls: joints that rest.
        goal_rad: (J,) where the joints are going, after all guards.
    """

    def __init__(self, robot: RobotConfig, period_s: float) -> None:
        self._robot = robot
        self._period_s = period_s
        self._neutral = robot.neutral_rad
        self.limiter = SafetyLimiter(robot, period_s)
        self.planner = MotionPlanner(robot, period_s)
        self.passages = MotionPlanner(robot, period_s)
        self.missed = 0
        self.stalls = StallGuard(robot)
        self.goal_rad: Array = self._neutral.copy()
        self._asked: Array | None = None  # what goal_rad was made of
        self._all = np.arange(len(robot.joints))
        self._planned: Plan | None = None
        self._passage: Plan | None = None
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
        """Let the command of limp joints follow their measured angle, so that it never jumps."""
        moved = position_rad[indices] != self.limiter.state.position[indices]
        if np.any(moved):
            self.begin_joints(indices, position_rad)

    def forget_plan(self) -> None:
        """Plan again in the next cycle."""
        self._planned = self._passage = self._escape_pose = None
        self._speed_scale = 1.0

    def advance(
        self,
        now_s: float,
        wanted_rad: Array,
        present: JointMeasurement,
        temperature_c: Array,
        waypoint: Waypoint | None = None,
    ) -> None:
        """Advance the command by one period towards a pose.

        Args:
            now_s: controller time.
            wanted_rad: (J,) inside the limits.
            present: last measurement.
            temperature_c: (J,), NaN where unknown.
            waypoint: of a trajectory, its positions in wanted_rad too: when to pass them.
        """
        limiter = self.limiter
        self.stalls.update(
            now_s,
            self._period_s,
            limiter.state.position,
            present.position_rad,
            present.current_a,
        )
        scale = thermal_scale(temperature_c, self._robot.thermal)
        goal = self._neutral + scale * (wanted_rad - self._neutral)
        goal = np.where(self.stalls.resting, self.stalls.held_rad, goal)
        outside = limiter.outside.any()
        if outside:  # first the shortest way in, which brings every joint closer
            goal = limiter.state.position
        if self._asked is None or not (goal == self._asked).all():
            self._asked, self.goal_rad = goal, limiter.allowed_goal(goal)
            if not outside:
                self._speed_scale, self._escape_pose = 1.0, None
        speed = np.maximum(0.05, scale) * limiter.speed_scale
        self._count_missed(now_s, waypoint)
        if limiter.step(self._proposal(now_s, speed, waypoint)):
            self._speed_up()
            return
        # Rejected: the joints brake now; plan again from there, slower each time.
        self._planned = self._passage = None
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
        self, now_s: float, speed: Array, waypoint: Waypoint | None
    ) -> JointTrajectoryState | None:
        """Plan where something changed; joints with a waypoint and the others apart."""
        state, goal = self.limiter.state, self._target()
        scaled_speed = speed * self._speed_scale
        free = self._all if waypoint is None else np.setdiff1d(self._all, waypoint.joints)
        some = slice(None) if waypoint is None else free
        if not _same(self._planned, plan := (free, goal[some], speed[some])):
            self._planned = plan
            if free.size and self._speed_scale < 1.0:
                self.planner.plan_straight(state, goal, scaled_speed, free, self._speed_scale)
            elif free.size:
                self.planner.plan(state, goal, scaled_speed, free)
        if waypoint is None:
            self._passage = None
            return self.planner.next()
        at = waypoint.joints
        if not _same(self._passage, way := (at, goal[at], speed[at], np.array([waypoint.at_s]))):
            self._passage = way
            self.passages.plan_passage(state, waypoint, goal, scaled_speed, now_s)
        parts = [(at, self.passages.next())]
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
