"""Goal to command: heat and stalls shrink the goal, ruckig plans, the safety limiter decides."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.head.servo_group import JointState
from kf_imitation.motion.brake import Motion
from kf_imitation.motion.guards import StallGuard, thermal_share
from kf_imitation.motion.planner import EVEN, MotionPlanner
from kf_imitation.motion.safety_limiter import SafetyLimiter
from kf_imitation.motion.waypoints import Waypoint
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
Plan = tuple[NDArray[Any], ...]  # what was planned for; a change means a new plan
# Plans after proposals were refused get gentler: shares of the limits.
LEAST_CAUTION = 0.005  # from rest
MOVING_CAUTION = 0.1  # while the joints still brake: that takes its time, however gentle the plan
ASIDE_CAUTION = 0.5  # the first plan after the way aside
BOLDER_S = 0.5  # after this time without a refusal twice as much
ARRIVED_RAD = 1e-6
MISSED_RAD = 0.05  # a waypoint counts as missed when a joint is further away at its time


class GuardedMotion:
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
        self._neutral = np.array([j.neutral_rad for j in robot.joints])
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
        self._caution = 1.0
        self._gentle_s = 0.0  # since the last change of caution
        self._aside: Array | None = None  # where to go first

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
        self._planned = self._passage = self._aside = None
        self._caution = 1.0

    def advance(
        self,
        now_s: float,
        wanted_rad: Array,
        present: JointState,
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
        share = thermal_share(temperature_c, self._robot.thermal)
        goal = self._neutral + share * (wanted_rad - self._neutral)
        goal = np.where(self.stalls.resting, self.stalls.held_rad, goal)
        outside = limiter.outside.any()
        if outside:  # first the shortest way in, which brings every joint closer
            goal = limiter.state.position
        if self._asked is None or not (goal == self._asked).all():
            self._asked, self.goal_rad = goal, limiter.allowed_goal(goal)
            if not outside:
                self._caution, self._aside = 1.0, None
        speed = np.maximum(0.05, share) * limiter.speed_share
        self._count_missed(now_s, waypoint)
        if limiter.step(self._proposal(now_s, speed, waypoint)):
            self._grow_bolder()
            return
        # Refused: the joints brake now; plan again from there, more gently each time.
        self._planned = self._passage = None
        least = LEAST_CAUTION if limiter.at_rest else min(self._caution, MOVING_CAUTION)
        self._caution, self._gentle_s = max(least, 0.7 * self._caution), 0.0

    def _grow_bolder(self) -> None:
        """Plan again with more of the limits once a gentle plan has been good for some time."""
        self._gentle_s += self._period_s
        evenly = (np.abs(self.limiter.state.acceleration) < EVEN).all()
        if self._caution < 1.0 and self._gentle_s > BOLDER_S and evenly:
            self._caution, self._gentle_s = min(1.0, 2.0 * self._caution), 0.0
            self._planned = None

    def brake(self) -> None:
        """Advance by one period towards standstill."""
        self.limiter.step(None)
        self.forget_plan()

    def _proposal(self, now_s: float, speed: Array, waypoint: Waypoint | None) -> Motion | None:
        """Plan where something changed; joints with a waypoint and the others apart."""
        state, goal = self.limiter.state, self._target()
        gently = speed * self._caution
        free = self._all if waypoint is None else np.setdiff1d(self._all, waypoint.joints)
        some = slice(None) if waypoint is None else free
        if not _same(self._planned, plan := (free, goal[some], speed[some])):
            self._planned = plan
            if free.size and self._caution < 1.0:
                self.planner.plan_straight(state, goal, gently, free, self._caution)
            elif free.size:
                self.planner.plan(state, goal, gently, free)
        if waypoint is None:
            self._passage = None
            return self.planner.next()
        at = waypoint.joints
        if not _same(self._passage, way := (at, goal[at], speed[at], np.array([waypoint.at_s]))):
            self._passage = way
            self.passages.plan_passage(state, waypoint, goal, gently, now_s)
        parts = [(at, self.passages.next())]
        parts += [(free, self.planner.next())] if free.size else []
        position, velocity, acceleration = np.empty((3, len(self._all)))
        for joints, part in parts:
            if part is None:
                return None
            position[joints] = part.position
            velocity[joints] = part.velocity
            acceleration[joints] = part.acceleration
        return Motion(position, velocity, acceleration)

    def _target(self) -> Array:
        """Return where to plan to: the goal, or first aside once nothing is gentle enough."""
        limiter = self.limiter
        if self._aside is None and self._caution <= LEAST_CAUTION and limiter.at_rest:
            self._aside = limiter.aside()
        if self._aside is not None and limiter.at_rest:
            way = np.abs(limiter.state.position - self._aside).max()
            if way < ARRIVED_RAD:
                self._aside, self._caution = None, ASIDE_CAUTION
        return self.goal_rad if self._aside is None else self._aside

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
