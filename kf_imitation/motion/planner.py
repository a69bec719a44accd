"""Jerk-limited, time-synchronised motion between sparse goals, sampled per cycle.

ruckig plans where its Python module is installed, jerk_limited_planner.py elsewhere.

A planner only proposes: what is sent passes SafetyLimiter.
"""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.motion.joint_states import JointTrajectoryState
from kf_imitation.motion.waypoints import SPEED_FRACTION, Waypoint
from kf_imitation.robot import RobotConfig

try:
    import ruckig
except ModuleNotFoundError:  # ROS packages the C++ library alone
    from kf_imitation.motion import jerk_limited_planner as ruckig

Array = NDArray[np.float64]
PlanError = ruckig.RuckigError
EVEN = 1e-9  # rad/s and rad/s², what rounding makes of 0


class _Straight:
    """A plan along a straight line in joint space: one path parameter from 0 to 1."""

    def __init__(self, start: Array, way: Array, along: ruckig.Trajectory) -> None:
        self._start, self._way, self._along = start, way, along

    def at_time(self, time_s: float) -> tuple[Array, Array, Array]:
        """Return position, velocity and acceleration, as ruckig's trajectories do."""
        (fraction,), (speed,), (push,) = self._along.at_time(time_s)
        fraction = min(1.0, max(0.0, fraction))  # no rounding error leads beyond the goal
        return self._start + fraction * self._way, speed * self._way, push * self._way


class MotionPlanner:
    """Plans from a state to a goal at rest and hands out one proposal per cycle.

    Attributes:
        unsynchronised: plans where ruckig could not let the joints arrive together.
        failures: goals that could not be planned at all.
    """

    def __init__(self, robot: RobotConfig, period_s: float) -> None:
        joints = robot.joints
        self._period_s = period_s
        self._all = np.arange(len(joints))
        self._size = len(joints)
        self._ruckig = ruckig.Ruckig(self._size)
        self._line = ruckig.Ruckig(1)
        self._velocity = np.array([j.max_velocity_rad_s for j in joints])
        self._acceleration = np.array([j.max_acceleration_rad_s2 for j in joints])
        self._jerk = np.array([j.max_jerk_rad_s3 for j in joints])
        self._trajectory: ruckig.Trajectory | _Straight | None = None
        self._time_s = 0.0
        self.unsynchronised = 0
        self.failures = 0

    def plan(
        self,
        start: JointTrajectoryState,
        goal_rad: Array,
        speed: Array | float = 1.0,
        joints: NDArray[np.intp] | None = None,
        together: bool = True,
    ) -> bool:
        """Plan a motion; the next proposal is one period after `start`.

        Args:
            start: commanded state now.
            goal_rad: (J,) where to come to rest.
            speed: fraction of the velocity limits to use, one number or (J,), above 0.
            joints: (K,) which joints move; None means all.
            together: all arrive at the same time; false: each as soon as it can.

        Returns:
            Whether there is a plan; without one next() gives None.
        """
        request = self._request(start, goal_rad, speed, self._all if joints is None else joints)
        if not together:
            self._trajectory = self._calculate(request, ruckig.Synchronization.No)
            self.failures += self._trajectory is None
            return self._trajectory is not None
        # Phase: straight in joint space from rest, else all joints arrive at the same time.
        self._trajectory = self._calculate(request, ruckig.Synchronization.Phase)
        return self._or_unsynchronised(request)

    def plan_straight(
        self,
        start: JointTrajectoryState,
        goal_rad: Array,
        speed: Array | float,
        joints: NDArray[np.intp],
        fraction: float,
    ) -> bool:
        """Plan a slow motion that is straight in joint space whatever the limits.

        plan() cannot promise that: joints of different strength may have to part on the way. It
        is what is left for joints that move, and not evenly and straight towards the goal: who
        ends an acceleration slowly gets faster than the limit before.

        Args:
            start: commanded state now.
            goal_rad: (J,) where to come to rest.
            speed: fraction of the velocity limits to use, one number or (J,), above 0.
            joints: (K,) which joints move.
            fraction: of the limits on acceleration and jerk to use, above 0.
        """
        way = (goal_rad - start.position)[joints]
        moving = np.abs(way) > 0.0
        if not moving.any():
            return self.plan(start, goal_rad, speed, joints)
        request = ruckig.InputParameter(1)
        request.current_position, request.target_position = [0.0], [1.0]
        present, along = start.velocity[joints], start.velocity[joints] @ way / (way @ way)
        pushing = (np.abs(start.acceleration[joints]) > EVEN).any()
        if pushing or (np.abs(present - along * way) > EVEN).any():
            return self.plan(start, goal_rad, speed, joints)
        request.current_velocity = [float(along)]
        self._time_s = 0.0
        request.max_velocity, request.max_acceleration, request.max_jerk = (
            [float((limit[joints][moving] / np.abs(way[moving])).min())]
            for limit in (
                np.maximum(1e-3, self._velocity * speed),
                fraction * self._acceleration,
                fraction * self._jerk,
            )
        )
        line = _solve(self._line, request)
        self._trajectory = None if line is None else _Straight(start.position[joints], way, line)
        self.failures += line is None
        return line is not None

    def plan_passage(
        self,
        start: JointTrajectoryState,
        waypoint: Waypoint,
        goal_rad: Array,
        speed: Array,
        now_s: float,
    ) -> bool:
        """Plan the way to a waypoint, so that its joints are there in time and pass it.

        Args:
            start: commanded state one period before now_s.
            waypoint: which joints and when; its position counts where goal_rad says the same.
            goal_rad: (J,) positions after all guards; a joint rests where they differ.
            speed: (J,) fraction of the velocity limits to use.
            now_s: controller clock.
        """
        at = waypoint.joints
        request = self._request(start, goal_rad, speed, at)
        request.minimum_duration = max(0.0, waypoint.at_s - now_s + self._period_s)
        as_sent = np.abs(goal_rad[at] - waypoint.position_rad) < 1e-9
        top = SPEED_FRACTION * np.maximum(1e-3, (self._velocity * speed)[at])
        velocity = np.where(as_sent, np.clip(waypoint.velocity_rad_s, -top, top), 0.0)
        request.target_velocity = velocity.tolist()
        request.target_acceleration = np.where(as_sent, waypoint.acceleration_rad_s2, 0.0).tolist()
        self._trajectory = self._calculate(request, ruckig.Synchronization.Time)
        if self._trajectory is None:
            rest = [0.0] * len(at)
            request.target_velocity = request.target_acceleration = rest
            self._trajectory = self._calculate(request, ruckig.Synchronization.Time)
        return self._or_unsynchronised(request)

    def _request(
        self,
        start: JointTrajectoryState,
        goal_rad: Array,
        speed: Array | float,
        joints: NDArray[np.intp],
    ) -> ruckig.InputParameter:
        self._time_s = 0.0
        if len(joints) != self._size:
            self._size = len(joints)
            self._ruckig = ruckig.Ruckig(self._size)
        request = ruckig.InputParameter(self._size)
        request.current_position = start.position[joints].tolist()
        request.current_velocity = start.velocity[joints].tolist()
        request.current_acceleration = start.acceleration[joints].tolist()
        request.target_position = goal_rad[joints].tolist()
        request.max_velocity = np.maximum(1e-3, self._velocity * speed)[joints].tolist()
        request.max_acceleration = self._acceleration[joints].tolist()
        request.max_jerk = self._jerk[joints].tolist()
        return request

    def _or_unsynchronised(self, request: ruckig.InputParameter) -> bool:
        if self._trajectory is None:
            self.unsynchronised += 1
            self._trajectory = self._calculate(request, ruckig.Synchronization.No)
        self.failures += self._trajectory is None
        return self._trajectory is not None

    def next(self) -> JointTrajectoryState | None:
        """Return the state of the planned joints (K,) one period later; None without a plan."""
        if self._trajectory is None:
            return None
        self._time_s += self._period_s
        position, velocity, acceleration = self._trajectory.at_time(self._time_s)
        return JointTrajectoryState(np.array(position), np.array(velocity), np.array(acceleration))

    def _calculate(
        self, request: ruckig.InputParameter, synchronization: ruckig.Synchronization
    ) -> ruckig.Trajectory | None:
        request.synchronization = synchronization
        return _solve(self._ruckig, request)


def _solve(solver: ruckig.Ruckig, request: ruckig.InputParameter) -> ruckig.Trajectory | None:
    """Return a trajectory, or None where ruckig gives up (seen in mid-motion).

    Its binding turns some of ruckig's results (-101: a motion of hours) into a ValueError.
    """
    trajectory = ruckig.Trajectory(request.degrees_of_freedom)
    try:
        result = solver.calculate(request, trajectory)
    except (PlanError, ValueError):
        return None
    return trajectory if result in (ruckig.Result.Working, ruckig.Result.Finished) else None
