"""Cycles, trajectories and errors as the values and arrays of a motor link, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kf_imitation import errors
from kf_imitation.errors import FaultListError, KfImitationError
from kf_imitation.head.motor_link import Array, Message, MotorError
from kf_imitation.head.reports import ServoCycle
from kf_imitation.motion.waypoints import TrajectoryPoint
from kf_imitation.robot import RobotConfig


def fingerprint(robot: RobotConfig) -> str:
    """Return what is the same for the same content of a robot file."""
    return repr(robot)


def cycle_content(cycle: ServoCycle) -> tuple[dict[str, Any], Array]:
    """Return values and array of a cycle."""
    values = {
        'stamp_ns': cycle.stamp_ns,
        'fresh': cycle.fresh,
        'commanding': cycle.commanding,
        'errors': cycle.errors,
    }
    rows = (
        cycle.goal_rad,
        cycle.commanded_rad,
        cycle.present_rad,
        cycle.velocity_rad_s,
        cycle.current_a,
    )
    return values, np.concatenate(rows)


def cycle_from(message: Message, names: tuple[str, ...]) -> ServoCycle:
    """Return the cycle of a message about a head with these joints."""
    values = message.values
    goal, commanded, present, velocity, current = message.array.reshape(5, len(names))
    return ServoCycle(
        stamp_ns=int(values['stamp_ns']),
        names=names,
        goal_rad=goal,
        commanded_rad=commanded,
        present_rad=present,
        velocity_rad_s=velocity,
        current_a=current,
        fresh=bool(values['fresh']),
        commanding=bool(values['commanding']),
        errors=tuple(values['errors']),
    )


def points_array(points: Sequence[TrajectoryPoint], joints: int) -> Array:
    """Return valid points as rows (P, 1 + 2 K): time, positions, velocities (NaN: none)."""
    none = (np.nan,) * joints
    rows = [
        (point.time_s, *point.position_rad, *(point.velocity_rad_s or none)) for point in points
    ]
    return np.array(rows, np.float64)


def points_from(array: Array, joints: int) -> list[TrajectoryPoint]:
    """Return the points of points_array(), whatever its shape."""
    return [
        TrajectoryPoint(
            row[0],
            tuple(row[1 : 1 + joints]),
            () if np.isnan(row[-1]) else tuple(row[1 + joints :]),
        )
        for row in array.reshape(-1, 1 + 2 * joints).tolist()
    ]


def error_values(error: KfImitationError) -> dict[str, Any]:
    """Return what error_from() needs to make the same error."""
    values: dict[str, Any] = {'error': type(error).__name__, 'message': str(error)}
    if isinstance(error, FaultListError):
        values |= {'subject': error.subject, 'faults': list(error.faults)}
    return values


def error_from(values: Mapping[str, Any]) -> KfImitationError:
    """Return the error of error_values(); of a kind that is not for users, a MotorError."""
    kind = getattr(errors, str(values['error']), MotorError)
    if issubclass(kind, FaultListError):
        return kind(str(values['subject']), [str(fault) for fault in values['faults']])
    return kind(str(values['message']))
