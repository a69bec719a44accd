"""One method on one clip in figures: what the robot did against what the person did."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import ANGLE_CHANNELS, CHANNELS
from kf_imitation.evaluation.imitation import formulas
from kf_imitation.evaluation.imitation.clip import Clip, Rows
from kf_imitation.evaluation.imitation.methods import Pose
from kf_imitation.evaluation.imitation.size import (
    LEFT_OUT_S,
    LIDS,
    Lids,
    Size,
    Sizes,
    lid_rates,
    lids,
    mean_size,
    size,
    sizes,
)
from kf_imitation.face_geometry.arkit import LOOKS
from kf_imitation.replay.record import JointTrace
from kf_imitation.robot import RobotConfig
from kf_imitation.robot.joint_mapping import JointMapping


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
        sizes: how large and how complete it was; None where that was not measured.
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
    sizes: 'ClipSizes | None' = None


@dataclass(frozen=True, slots=True)
class ClipSizes:
    """How large and how complete the imitation of one clip was; benchmark.md, section 3b.

    Attributes:
        joints: of the robot, the labels through its own mapping.
        channels: as far as the robot can show them.
        face: names of the joints that are no eyes and no neck; their mean is the one figure.
        aperture: of the mouth against the jaw; None without points, a jaw or movement.
        lids: blinks and winks.
    """

    joints: Sizes
    channels: Sizes
    face: tuple[str, ...]
    aperture: Size | None
    lids: Lids


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
    followed = formulas.tracking(
        clip.human[clip.valid], lambda delay_s: robot[_rows_at(joints, stamps, delay_s)]
    )
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


def measure_sizes(clip: Clip, joints: JointTrace, robot: Rows, head: RobotConfig) -> ClipSizes:
    """Compare how far the robot moved with how far the person did.

    Args:
        clip: the person.
        joints: what the servos did.
        robot: (T, 19) channels of the present positions.
        head: the robot; a joint's range is that of its limits.
    """
    kept = clip.valid & (clip.stamps_ns - clip.stamps_ns[0] >= LEFT_OUT_S * 1e9)
    stamps, human = clip.stamps_ns[kept], clip.human[kept]
    rate_hz = 1e9 / float(np.median(np.diff(clip.stamps_ns)))
    mapping = JointMapping(head)
    low, high = np.array([joint.limits_rad for joint in head.joints]).T

    def share_of_range(position_rad: Rows) -> Rows:
        return np.asarray((position_rad - mapping.neutral_rad) / (high - low))

    shown = share_of_range(joints.present_rad)
    wanted = share_of_range(
        np.array([mapping.goals(clip.labelled(k)) for k in np.flatnonzero(kept).tolist()])
    )

    def at(rows: Rows) -> Callable[[float], Rows]:
        return lambda delay_s: np.asarray(rows[_rows_at(joints, stamps, delay_s)])

    of_joints = sizes(joints.names, wanted, at(shown), rate_hz)
    used = np.flatnonzero(mapping.used)
    of_channels = sizes(
        [CHANNELS[k] for k in used], human[:, used], at(np.asarray(robot[:, used])), rate_hz
    )
    delay_s = 0.0 if math.isnan(of_joints.delay_s) else of_joints.delay_s
    aperture = None
    jaw = [k for k, joint in enumerate(head.joints) if 'jaw_open' in joint.channels]
    if clip.aperture is not None and jaw:
        opened = clip.aperture[kept]
        if opened.std() >= formulas.MOVING_STD:
            aperture = size(opened, at(shown)(delay_s)[:, jaw[0]], rate_hz)
    return ClipSizes(
        of_joints,
        of_channels,
        tuple(j.name for j in head.joints if not {*ANGLE_CHANNELS, *LOOKS} >= {*j.channels}),
        aperture,
        lids(human[:, LIDS], at(robot)(delay_s)[:, LIDS], rate_hz),
    )


def _rows_at(
    joints: JointTrace, stamps_ns: NDArray[np.int64], delay_s: float
) -> NDArray[np.int64]:
    late = stamps_ns + round(delay_s * 1e9)
    rows = np.searchsorted(joints.stamp_ns, late, side='right') - 1
    return np.asarray(np.clip(rows, 0, None))


def means(results: Iterable[ImitationMetrics]) -> dict[str, float]:
    """Return the mean of every figure over clips; what is undefined on a clip is left out."""
    found = list(results)
    rows = [asdict(replace(result, sizes=None)) for result in found]
    table = {key: mean_of([float(row[key]) for row in rows]) for key in rows[0] if key != 'sizes'}
    return table | size_means([result.sizes for result in found if result.sizes is not None])


def size_means(found: Sequence[ClipSizes]) -> dict[str, float]:
    """Return the figures of section 3b over clips: joints of the face, blinks and winks."""
    if not found:
        return {}
    table = mean_size([s for clip in found for s in _named(clip.joints, clip.face)])
    table['size_correlation'] = mean_of([clip.joints.correlation for clip in found])
    table['size_delay_s'] = mean_of([clip.joints.delay_s for clip in found])
    return table | lid_rates([clip.lids for clip in found])


def size_rows(found: Sequence[ClipSizes]) -> dict[str, dict[str, float]]:
    """Return gain, ccc, rest and apex of every joint, every channel and the mouth's aperture.

    Each is the mean over the clips in which the person moves it; sides are put together.
    """
    rows: dict[str, list[Size]] = {}
    for clip in found:
        for kind, one in (('joint', clip.joints), ('channel', clip.channels)):
            for name, value in one.by_name.items():
                base = name.removesuffix('_left').removesuffix('_right')
                rows.setdefault(f'{kind} {base}', []).append(value)
        if clip.aperture is not None:
            rows.setdefault('mouth aperture', []).append(clip.aperture)
    return {
        name: mean_size(values) | {'signals': len(values)} for name, values in sorted(rows.items())
    }


def _named(kind: Sizes, names: Sequence[str]) -> list[Size]:
    return [value for name, value in kind.by_name.items() if name in names]


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of the values that are no NaN; NaN when there are none."""
    good = [value for value in values if not math.isnan(value)]
    return sum(good) / len(good) if good else float('nan')
