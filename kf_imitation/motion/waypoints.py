"""Poses of some joints at given times: what trajectory_msgs/JointTrajectory asks for.

Points are waypoints, not a curve: the planner finds the jerk-limited way from one to the next and
arrives in time where the limits of the joints allow it. What a sender leaves out (velocities)
follows from the points around, by monotone cubic interpolation (PCHIP: Fritsch and Carlson 1980),
so that no joint swings beyond its points.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from kf_imitation.motion.joint_states import JointTrajectoryState
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
# Points closer than this are passed over where the way between their neighbours leads through
# them anyway, within the tolerance: a plan of a few cycles has no room for jerk limits.
SHORTEST_S = 0.1
PASSED_RAD = 0.005
SPEED_FRACTION = 0.95  # of the velocity limit, for the passage of a waypoint
ACCELERATION_FRACTION = 0.7


@dataclass(frozen=True, slots=True)
class TrajectoryPoint:
    """One point as it was sent.

    Attributes:
        time_s: from the start of the trajectory.
        position_rad: one per joint of the trajectory.
        velocity_rad_s: one per joint, or none.
    """

    time_s: float
    position_rad: tuple[float, ...]
    velocity_rad_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Waypoint:
    """Where some joints are to be at a time; arrays are (K,).

    Attributes:
        joints: indices in robot-file order.
        at_s: controller clock.
        position_rad, velocity_rad_s, acceleration_rad_s2: of the passage.
    """

    joints: NDArray[np.intp]
    at_s: float
    position_rad: Array
    velocity_rad_s: Array
    acceleration_rad_s2: Array


def trajectory_problems(
    robot: RobotConfig, names: Sequence[str], points: Sequence[TrajectoryPoint], delay_s: float
) -> list[str]:
    """Return everything that is wrong with a trajectory, one sentence each.

    Args:
        robot: the head.
        names: K joints.
        points: in the order of their times.
        delay_s: from now to the trajectory's start; negative for a start in the past.
    """
    if not names or not points:
        return ['a trajectory needs joint_names and points']
    problems = [
        f'{name} is not a joint of {robot.name}' for name in names if name not in robot.names
    ]
    problems += [
        f'{name} is named twice' for name in sorted({n for n in names if _twice(n, names)})
    ]
    for number, point in enumerate(points):
        problems += [
            f'point {number}: {problem}' for problem in _point_problems(robot, names, point)
        ]
        if not point.time_s >= 0.0:
            problems.append(f'point {number}: time_from_start = {point.time_s:g} s is negative')
        if number and not point.time_s > points[number - 1].time_s:
            problems.append(f'point {number}: time_from_start = {point.time_s:g} s must grow')
    if any(points[-1].velocity_rad_s):
        problems.append('the last point must be at rest: its velocities must be 0')
    if delay_s + points[-1].time_s < 0.0:
        late = -(delay_s + points[-1].time_s)
        problems.append(f'ended {late:.3f} s ago: header.stamp and clock of the sender?')
    return problems


def _twice(name: str, names: Sequence[str]) -> bool:
    return list(names).count(name) > 1


def _point_problems(robot: RobotConfig, names: Sequence[str], point: TrajectoryPoint) -> list[str]:
    problems = []
    for what, values in (('positions', point.position_rad), ('velocities', point.velocity_rad_s)):
        if len(values) != len(names) and (values or what == 'positions'):
            problems.append(f'{len(values)} {what} for {len(names)} joints')
        for name, value in zip(names, values, strict=False):
            if not np.isfinite(value):
                problems.append(f'{what} of {name} = {value} must be a finite number')
            elif name in robot.names:
                joint = robot.joints[robot.names.index(name)]
                top = joint.max_velocity_rad_s
                low, high = joint.limits_rad if what == 'positions' else (-top, top)
                if not low - 1e-6 <= value <= high + 1e-6:
                    problems.append(
                        f'{what} of {name} = {value:.3f} must be from {low:g} to {high:g}'
                    )
    return problems


class TimedTrajectory:
    """A checked trajectory on the controller's clock.

    Attributes:
        joints: (K,) indices in robot-file order.
        start_s: when it begins.
        end_s: when its last point is due.
    """

    def __init__(
        self,
        robot: RobotConfig,
        names: Sequence[str],
        points: Sequence[TrajectoryPoint],
        start_s: float,
    ) -> None:
        """Take a trajectory without trajectory_problems()."""
        self.joints = np.array([robot.names.index(name) for name in names], np.intp)
        self.start_s = start_s
        self.end_s = start_s + points[-1].time_s
        self._times = start_s + np.array([p.time_s for p in points])
        self._position = np.array([p.position_rad for p in points])
        nothing = (np.nan,) * len(names)
        self._velocity = np.array([p.velocity_rad_s or nothing for p in points])
        joints = [robot.joints[i] for i in self.joints]
        self._top_speed = np.array([j.max_velocity_rad_s for j in joints])
        self._speed = SPEED_FRACTION * self._top_speed
        self._jerk = np.array([j.max_jerk_rad_s3 for j in joints])
        self._push = ACCELERATION_FRACTION * np.array([j.max_acceleration_rad_s2 for j in joints])
        self._waypoints: list[Waypoint] = []

    def begin(self, now_s: float, state: JointTrajectoryState) -> None:
        """Lay the waypoints from the commanded state now; points of the past are left out."""
        ahead = self._times > now_s
        ahead[-1] = True
        here = state.position[self.joints], state.velocity[self.joints]
        times = np.concatenate([[now_s], self._times[ahead]])
        times[1:] = np.maximum(times[1:], now_s + 1e-3)  # a lone point at once
        position = np.vstack([here[0], self._position[ahead]])
        velocity = PchipInterpolator(times, position, axis=0)(times, 1)
        given = np.vstack([here[1], self._velocity[ahead]])
        velocity = np.where(np.isnan(given), velocity, given)
        velocity[-1] = 0.0
        velocity = np.clip(velocity, -self._speed, self._speed)
        acceleration = PchipInterpolator(times, velocity, axis=0)(times, 1)
        # No more than can be ended before the joint gets too fast (SafetyLimiter asks for it).
        push = np.sqrt(2.0 * self._jerk * (self._top_speed - np.abs(velocity)))
        push = np.minimum(push, self._push)
        acceleration = np.clip(acceleration, -push, push)
        acceleration[-1] = 0.0
        self._waypoints = [
            Waypoint(self.joints, float(times[i]), position[i], velocity[i], acceleration[i])
            for i in _kept(times, position, velocity)[1:]
        ]

    def waypoint(self, now_s: float) -> Waypoint:
        """Return the next waypoint; the last one for good once all others are past."""
        while len(self._waypoints) > 1 and self._waypoints[0].at_s <= now_s:
            self._waypoints.pop(0)
        return self._waypoints[0]


def _kept(times: Array, position: Array, velocity: Array) -> list[int]:
    """Return which points (P,) to plan to; the first and the last are always among them."""
    kept, last = [0], len(times) - 1
    while kept[-1] < last:
        begin = kept[-1]
        chosen = begin + 1
        for end in range(begin + 2, last + 1):
            if times[end] - times[begin] > SHORTEST_S + 1e-9:
                break
            pair = [begin, end]
            way = CubicHermiteSpline(times[pair], position[pair], velocity[pair], axis=0)
            between = slice(begin + 1, end)
            if np.abs(way(times[between]) - position[between]).max() <= PASSED_RAD:
                chosen = end
        kept.append(chosen)
    return kept
