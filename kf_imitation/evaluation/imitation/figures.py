"""One method on one clip in figures: what the robot did against what the person did."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from kf_imitation.evaluation.imitation import formulas
from kf_imitation.evaluation.imitation.clip import Clip, Rows
from kf_imitation.evaluation.imitation.methods import Pose
from kf_imitation.replay.record import JointTrace


@dataclass(frozen=True, slots=True)
class ImitationMetrics:
    """One method on one clip; benchmark.md, section 3.

    Attributes:
        cosine: mean over poses, the robot read when its move ends or is overtaken.
        tracking: correlation after the best delay, mean over the channels that move.
        delay_s: that delay.
        smoothness: log dimensionless jerk; nearer to 0 is smoother.
        reversals_per_s: direction changes of all joints.
        commands_per_s: poses sent.
        poses: how many.
        arrived: fraction of the poses that the robot reached before the next.
        on_time: fraction of the poses that the joints had the time for, by the budget; NaN
            without.
        merged: poses of which a joint's part was merged into a later one.
    """

    cosine: float
    tracking: float
    delay_s: float
    smoothness: float
    reversals_per_s: float
    commands_per_s: float
    poses: int
    arrived: float
    on_time: float = float('nan')
    merged: int = 0


def measure(
    clip: Clip, poses: Sequence[Pose], joints: JointTrace, robot: Rows
) -> ImitationMetrics:
    """Compare what the robot did with what the person did.

    Args:
        clip: the person.
        poses: what was sent.
        joints: what the servos did.
        robot: (T, 19) channels of the present positions.
    """
    rows, arrived = formulas.move_ends(joints, [pose.sent_ns for pose in poses])
    cosines = [
        formulas.cosine(clip.human[pose.frame], robot[row])
        for pose, row in zip(poses, rows, strict=True)
        if clip.valid[pose.frame]
    ]
    stamps = clip.stamps_ns[clip.valid]

    def robot_at(delay_s: float) -> Rows:
        late = stamps + round(delay_s * 1e9)
        found: Rows = robot[
            np.clip(np.searchsorted(joints.stamp_ns, late, side='right') - 1, 0, None)
        ]
        return found

    followed = formulas.tracking(clip.human[clip.valid], robot_at)
    during = joints.stamp_ns <= clip.stamps_ns[-1]
    commanded = joints.commanded_rad[during]
    interval_s = float(np.median(np.diff(joints.stamp_ns))) * 1e-9
    return ImitationMetrics(
        cosine=mean_of(cosines),
        tracking=followed.correlation,
        delay_s=followed.delay_s,
        smoothness=formulas.log_dimensionless_jerk(commanded, interval_s),
        reversals_per_s=formulas.reversals(joints.present_rad[during]) / clip.duration_s,
        commands_per_s=len(poses) / clip.duration_s,
        poses=len(poses),
        arrived=mean_of([float(a) for a in arrived]),
    )


def means(results: Iterable[ImitationMetrics]) -> dict[str, float]:
    """Return the mean of every figure over clips; what is undefined on a clip is left out."""
    rows = [asdict(result) for result in results]
    return {key: mean_of([float(row[key]) for row in rows]) for key in rows[0]}


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of the values that are no NaN; NaN when there are none."""
    good = [value for value in values if not math.isnan(value)]
    return sum(good) / len(good) if good else float('nan')
