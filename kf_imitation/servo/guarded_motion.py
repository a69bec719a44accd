"""Goal to command: heat and stalls shrink the goal, ruckig plans, the safety limiter decides."""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.robot_config import RobotConfig
from kf_imitation.servo.guards import StallGuard, thermal_share
from kf_imitation.servo.joint_bus import JointState
from kf_imitation.servo.safety import SafetyLimiter
from kf_imitation.servo.trajectory import MotionPlanner

Array = NDArray[np.float64]
LEAST_CAUTION = 0.02  # slowest plan after proposals were refused, share of the speed limits


class GuardedMotion:
    """Commanded motion of one robot; pure.

    Attributes:
        limiter: holds the commanded state.
        planner: its counters are of interest.
        stalls: joints that rest.
        goal_rad: (J,) where the joints are going, after all guards.
    """

    def __init__(self, robot: RobotConfig, period_s: float) -> None:
        self._robot = robot
        self._period_s = period_s
        self._neutral = np.array([j.neutral_rad for j in robot.joints])
        self.limiter = SafetyLimiter(robot, period_s)
        self.planner = MotionPlanner(robot, period_s)
        self.stalls = StallGuard(robot)
        self.goal_rad: Array = self._neutral.copy()
        self._planned: tuple[Array, Array] | None = None
        self._caution = 1.0

    def begin(self, position_rad: Array) -> None:
        """Start at rest from a measured pose (J,)."""
        self.limiter.reset(position_rad)
        self.goal_rad = position_rad.copy()
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
        self._planned = None
        self._caution = 1.0

    def advance(
        self, now_s: float, wanted_rad: Array, present: JointState, temperature_c: Array
    ) -> None:
        """Advance the command by one period towards a pose.

        Args:
            now_s: controller time.
            wanted_rad: (J,) inside the limits.
            present: last measurement.
            temperature_c: (J,), NaN where unknown.
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
        if limiter.outside.any():  # first the shortest way in, which brings every joint closer
            goal = limiter.state.position
        self.goal_rad = limiter.allowed_goal(goal)
        speed = np.maximum(0.05, share) * limiter.speed_share
        if self._planned is None or not self._same_plan(speed):
            self.planner.plan(limiter.state, self.goal_rad, speed * self._caution)
            self._planned = (self.goal_rad, speed)
        if limiter.step(self.planner.next()):
            return
        # Refused: the joints brake now; plan again from there, more gently each time.
        self._planned = None
        self._caution = max(LEAST_CAUTION, 0.7 * self._caution)

    def brake(self) -> None:
        """Advance by one period towards standstill."""
        self.limiter.step(None)
        self.forget_plan()

    def _same_plan(self, speed: Array) -> bool:
        assert self._planned is not None
        goal, planned_speed = self._planned
        return np.array_equal(goal, self.goal_rad) and np.array_equal(planned_speed, speed)
