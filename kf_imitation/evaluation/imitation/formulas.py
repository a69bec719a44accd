"""How alike a robot looks and how it moves: benchmark.md, section 3, to the letter. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kf_imitation.replay.record import JointTrace

FloatRows = NDArray[np.float64]

MOVING_STD = 0.05  # a human channel that varies less does not count for tracking
LONGEST_DELAY_S = 1.0
DELAY_STEP_S = 0.01
# A move has ended when every joint is within about a degree of its goal.
ARRIVED_RAD = 0.02
# Smaller to-and-fro is the servos' resolution and play rather than a change of mind.
REVERSAL_RAD = 0.02
# A face this close to neutral has no direction to compare.
SMALLEST_NORM = 1e-3


@dataclass(frozen=True, slots=True)
class Tracking:
    """How the robot's channels follow the human's.

    Attributes:
        correlation: Pearson, mean over channels that move; NaN when none does.
        delay_s: the one constant delay that fits best.
        by_channel: (C,) at that delay; NaN for channels that do not move.
    """

    correlation: float
    delay_s: float
    by_channel: FloatRows


def cosine(human: FloatRows, robot: FloatRows) -> float:
    """Cosine similarity of two channel vectors; NaN when the human's face is neutral."""
    human_norm, robot_norm = np.linalg.norm(human), np.linalg.norm(robot)
    if human_norm < SMALLEST_NORM:
        return float('nan')
    if robot_norm < SMALLEST_NORM:
        return 0.0
    return float(human @ robot / (human_norm * robot_norm))


def move_ends(joints: JointTrace, starts_ns: Sequence[int]) -> tuple[list[int], list[bool]]:
    """Find where each move ends.

    Args:
        joints: what the servos did.
        starts_ns: when each goal was given, rising.

    Returns:
        For each move the row where every joint has arrived, or the last row before the next goal
        is given; and whether it arrived.
    """
    reached = np.all(np.abs(joints.present_rad - joints.goal_rad) <= ARRIVED_RAD, axis=1)
    rows, arrived = [], []
    for number, start_ns in enumerate(starts_ns):
        first = int(np.searchsorted(joints.stamp_ns, start_ns, side='right'))
        last = len(reached)
        if number + 1 < len(starts_ns):
            last = int(np.searchsorted(joints.stamp_ns, starts_ns[number + 1], side='right'))
        inside = np.flatnonzero(reached[first:last])
        arrived.append(bool(len(inside)))
        rows.append(first + int(inside[0]) if len(inside) else max(0, last - 1))
    return rows, arrived


def tracking(
    human: FloatRows,
    robot_at: Callable[[float], FloatRows],
    longest_delay_s: float = LONGEST_DELAY_S,
    step_s: float = DELAY_STEP_S,
) -> Tracking:
    """Correlate over all frames after the one constant delay that fits best.

    Args:
        human: (N, C) channels of the frames.
        robot_at: gives the robot's channels (N, C) a delay [s] after each frame.
        longest_delay_s: of the search.
        step_s: of the search.
    """
    moving = np.flatnonzero(human.std(axis=0) > MOVING_STD)
    by_channel = np.full(human.shape[1], np.nan)
    if not len(moving):
        return Tracking(float('nan'), float('nan'), by_channel)
    best: tuple[float, float, FloatRows] | None = None
    for step in range(round(longest_delay_s / step_s) + 1):
        delay_s = step * step_s
        values = correlations(human[:, moving], robot_at(delay_s)[:, moving])
        mean = float(values.mean())
        if best is None or mean > best[0] + 1e-9:
            best = mean, delay_s, values
    assert best is not None  # the search has at least one step
    by_channel[moving] = best[2]
    return Tracking(best[0], best[1], by_channel)


def correlations(a: FloatRows, b: FloatRows) -> FloatRows:
    """Pearson correlation of each column; 0 where one of them is constant."""
    a = a - a.mean(axis=0)
    b = b - b.mean(axis=0)
    scale = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    products = (a * b).sum(axis=0)
    result: FloatRows = np.divide(products, scale, out=np.zeros_like(scale), where=scale > 1e-12)
    return result


def log_dimensionless_jerk(position_rad: FloatRows, interval_s: float) -> float:
    """Smoothness of joint trajectories; nearer to 0 is smoother.

    Args:
        position_rad: (T, J) at a constant rate.
        interval_s: between two rows.

    Returns:
        -ln(duration^3 / peak speed^2 * integral of squared jerk), mean over the joints that move
        (S. Balasubramanian et al., IEEE Trans. Biomed. Eng. 59(8), 2012, equation 3); NaN when
        none does.
    """
    if len(position_rad) < 5:
        return float('nan')
    speed = np.gradient(position_rad, interval_s, axis=0)
    jerk = np.diff(position_rad, n=3, axis=0) / interval_s**3
    peak = np.abs(speed).max(axis=0)
    moving = position_rad.max(axis=0) - position_rad.min(axis=0) > REVERSAL_RAD
    if not moving.any():
        return float('nan')
    duration_s = (len(position_rad) - 1) * interval_s
    integral = (jerk[:, moving] ** 2).sum(axis=0) * interval_s
    return float(np.mean(-np.log(duration_s**3 / peak[moving] ** 2 * integral)))


def reversals(position_rad: FloatRows) -> int:
    """Count direction changes of all joints; wiggles below REVERSAL_RAD do not count.

    Args:
        position_rad: (T, J).
    """
    return sum(_reversals_of(position_rad[:, joint]) for joint in range(position_rad.shape[1]))


def _reversals_of(values: FloatRows) -> int:
    count, direction = 0, 0
    extreme = float(values[0])
    for value in values.tolist():
        moved = value - extreme
        if direction * moved > 0:
            extreme = value
        elif abs(moved) > REVERSAL_RAD:
            count += direction != 0
            direction = 1 if moved > 0 else -1
            extreme = value
    return count
