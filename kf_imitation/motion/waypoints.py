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

from kf_imitation.errors import counted
from kf_imitation.motion.joint_states import JointTrajectoryState
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
# Points closer than this are passed over where the way between their neighbours leads through
# them anyway, within the tolerance: a plan of a few cycles has no room for jerk limits.
SHORTEST_S = 0.1
PASSED_RAD = 0.005
MERGED_S = 0.01  # points closer than a bus cycle are one: the later one
LONGEST_S = 600.0  # milliseconds sent as seconds, or the stamp of another clock, are longer
MOST_POINTS = 20_000
JUST_NOW_S = 0.1  # what should have ended so long ago is still performed: messages take their time
MOST_PROBLEMS = 8  # told of one trajectory
SPEED_FRACTION = 0.95  # of the velocity limit, for the passage of a waypoint
_ONE = {'positions': 'position', 'velocities': 'velocity'}
ACCELERATION_FRACTION = 0.7
_BEGIN = 8  # points that are laid when a trajectory begins


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
    robot: RobotConfig,
    names: Sequence[str],
    points: Sequence[TrajectoryPoint],
    delay_s: float,
    longest_s: float = LONGEST_S,
) -> list[str]:
    """Return what is wrong with a trajectory, one sentence each; what has none can be performed.

    Args:
        robot: the head.
        names: K joints.
        points: in the order of their times.
        delay_s: from now to the trajectory's start; negative for a start in the past.
        longest_s: that a trajectory may last, or wait for its start.
    """
    if not names or not points:
        return ['a trajectory needs joint_names and points']
    if len(points) > MOST_POINTS:
        return [f'{len(points)} points, at most {MOST_POINTS}: send it in parts']
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
    if points[-1].time_s > longest_s:
        problems.append(
            f'lasts {points[-1].time_s:g} s, at most {longest_s:g} s (trajectory_most_s): '
            'milliseconds sent as seconds?'
        )
    if not delay_s <= longest_s:
        problems.append(
            f'begins in {delay_s:.3f} s, at most {longest_s:g} s from now (trajectory_most_s): '
            'header.stamp and clock of the sender?'
        )
    late = -(delay_s + points[-1].time_s)
    if late > JUST_NOW_S and points[-1].time_s >= 0.0:
        problems.append(f'ended {late:.3f} s ago: header.stamp and clock of the sender?')
    if len(problems) > MOST_PROBLEMS:
        more = len(problems) - MOST_PROBLEMS
        problems = [*problems[:MOST_PROBLEMS], f'and {more} more']
    return problems


def _twice(name: str, names: Sequence[str]) -> bool:
    return list(names).count(name) > 1


def _point_problems(robot: RobotConfig, names: Sequence[str], point: TrajectoryPoint) -> list[str]:
    problems = []
    for what, values in (('positions', point.position_rad), ('velocities', point.velocity_rad_s)):
        if len(values) != len(names) and (values or what == 'positions'):
            noun = what if len(values) != 1 else _ONE[what]
            problems.append(f'{len(values)} {noun} for {counted(len(names), "joint")}')
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
        given_s: when it came.
        start_s: when it begins.
        end_s: when its last point is due.
    """

    def __init__(
        self,
        robot: RobotConfig,
        names: Sequence[str],
        points: Sequence[TrajectoryPoint],
        now_s: float,
        delay_s: float = 0.0,
    ) -> None:
        """Take a trajectory without trajectory_problems() that begins after a delay."""
        self.given_s = now_s
        start_s = now_s + delay_s
        self.joints = np.array([robot.names.index(name) for name in names], np.intp)
        self.start_s = start_s
        self.end_s = start_s + points[-1].time_s
        times = np.array([p.time_s for p in points])
        apart = _apart(times)
        self._times = start_s + times[apart]
        self._position = np.array([points[i].position_rad for i in apart])
        nothing = (np.nan,) * len(names)
        self._given = np.array([points[i].velocity_rad_s or nothing for i in apart])
        joints = [robot.joints[i] for i in self.joints]
        self._top_speed = np.array([j.max_velocity_rad_s for j in joints])
        self._speed = SPEED_FRACTION * self._top_speed
        self._jerk = np.array([j.max_jerk_rad_s3 for j in joints])
        self._push = ACCELERATION_FRACTION * np.array([j.max_acceleration_rad_s2 for j in joints])
        # Of all points but the first few, which begin() lays: the bus thread has no time for it.
        self._laid = None
        if len(apart) > _BEGIN:
            self._laid = self._lay(self._times, self._position, self._given)
        self._next = 0
        self._waypoint: Waypoint | None = None

    def begin(self, now_s: float, state: JointTrajectoryState) -> None:
        """Lay the waypoints from the commanded state now; points of the past are left out."""
        last = len(self._times) - 1
        first = min(last, int(np.searchsorted(self._times, now_s + MERGED_S)))
        few = slice(first, first + _BEGIN)
        self._times[last] = max(self._times[last], now_s + MERGED_S)  # a lone point at once
        times = np.concatenate([[now_s], self._times[few]])
        position = np.vstack([state.position[self.joints], self._position[few]])
        given = np.vstack([state.velocity[self.joints], self._given[few]])
        velocity, acceleration = self._lay(times, position, given)
        if self._laid is not None and len(self._times) - first > _BEGIN:
            # An interpolated velocity depends on the next points only, an acceleration on two.
            exact, rest = slice(_BEGIN - 2), slice(first + _BEGIN - 3, None)
            times = np.concatenate([times[exact], self._times[rest]])
            position = np.vstack([position[exact], self._position[rest]])
            velocity = np.vstack([velocity[exact], self._laid[0][rest]])
            acceleration = np.vstack([acceleration[exact], self._laid[1][rest]])
        self._times, self._position = times, position
        self._velocity, self._acceleration = velocity, acceleration
        self._advance()

    def waypoint(self, now_s: float) -> Waypoint:
        """Return the next waypoint; the last one for good once all others are past."""
        while self._next < len(self._times) - 1 and self._times[self._next] <= now_s:
            self._advance()
        assert self._waypoint is not None, 'begin() comes first'
        return self._waypoint

    def _lay(self, times: Array, position: Array, given: Array) -> tuple[Array, Array]:
        """Return velocity and acceleration (P, K) of points; `given` is NaN where none was."""
        velocity = slopes(times, position)
        velocity = np.where(np.isnan(given), velocity, given)
        velocity[-1] = 0.0
        velocity = np.clip(velocity, -self._speed, self._speed)
        acceleration = slopes(times, velocity)
        # No more than can be ended before the joint gets too fast (SafetyLimiter asks for it).
        push = np.sqrt(2.0 * self._jerk * (self._top_speed - np.abs(velocity)))
        push = np.minimum(push, self._push)
        acceleration = np.clip(acceleration, -push, push)
        acceleration[-1] = 0.0
        return velocity, acceleration

    def _advance(self) -> None:
        """Go on to the next point that is to be planned to."""
        self._next = at = _after(self._next, self._times, self._position, self._velocity)
        self._waypoint = Waypoint(
            self.joints,
            float(self._times[at]),
            self._position[at],
            self._velocity[at],
            self._acceleration[at],
        )


def slopes(times: Array, values: Array) -> Array:
    """Return the slopes (P, K) in two or more points of monotone cubic interpolation (PCHIP).

    As scipy.interpolate.PchipInterpolator(times, values)(times, 1), which the motor process would
    load for longer than all the rest of it.
    """
    step = np.diff(times)[:, None]
    slope = np.diff(values, axis=0) / step
    if len(slope) == 1:
        return np.repeat(slope, 2, axis=0)
    before, after = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    turns = np.sign(slope[1:]) * np.sign(slope[:-1]) <= 0
    with np.errstate(divide='ignore', invalid='ignore'):
        mean = (before + after) / (before / slope[:-1] + after / slope[1:])
    inner = np.where(turns, 0.0, mean)
    ends = (
        _end_slope(step[0], step[1], *slope[:2]),
        _end_slope(step[-1], step[-2], *slope[:-3:-1]),
    )
    return np.vstack([ends[0], inner, ends[1]])


def _end_slope(step: Array, next_step: Array, slope: Array, next_slope: Array) -> Array:
    """Return the slope (K,) in the first or last point from the two pieces beside it."""
    three_points = ((2 * step + next_step) * slope - step * next_slope) / (step + next_step)
    kept = np.where(np.sign(three_points) == np.sign(slope), three_points, 0.0)
    turns = (np.sign(slope) != np.sign(next_slope)) & (np.abs(kept) > 3 * np.abs(slope))
    return np.where(turns, 3 * slope, kept)


def _apart(times: Array) -> list[int]:
    """Return which points (P,) are a cycle or more before the next one; the last one always."""
    kept = [len(times) - 1]
    for index in range(len(times) - 2, -1, -1):
        if times[kept[-1]] - times[index] >= MERGED_S - 1e-6:
            kept.append(index)
    return kept[::-1]


def _after(begin: int, times: Array, position: Array, velocity: Array) -> int:
    """Return which of the points (P,) to plan to from one of them; the last one is not left out.

    Points that the way to a later one leads through anyway are passed over.
    """
    chosen = begin + 1
    for end in range(begin + 2, len(times)):
        if times[end] - times[begin] > SHORTEST_S + 1e-9:
            break
        between, long_s = slice(begin + 1, end), times[end] - times[begin]
        part = (times[between, None] - times[begin]) / long_s
        way = (  # a cubic Hermite spline
            (1 + 2 * part) * (1 - part) ** 2 * position[begin]
            + part**2 * (3 - 2 * part) * position[end]
            + part * (1 - part) ** 2 * long_s * velocity[begin]
            + part**2 * (part - 1) * long_s * velocity[end]
        )
        if np.abs(way - position[between]).max() <= PASSED_RAD:
            chosen = end
    return chosen
