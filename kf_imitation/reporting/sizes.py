"""How large and complete the imitation of a labelled clip was, for the report of its replay."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.bags.reader import read_joints
from kf_imitation.evaluation.channel_labels import label_channels, label_shapes, mouth_aperture
from kf_imitation.evaluation.imitation.clip import Clip
from kf_imitation.evaluation.imitation.figures import measure_sizes, size_rows
from kf_imitation.evaluation.labels import Labels
from kf_imitation.replay.record import JointTrace
from kf_imitation.reporting.curves import Held
from kf_imitation.robot import RobotConfig
from kf_imitation.robot.joint_mapping import JointMapping

_LEFT_OVER = 2  # frames by which a video and its labels may differ


def run_sizes(
    bag: Path, held: Held, stamps_ns: NDArray[np.int64], labels: Labels, robot: RobotConfig
) -> Mapping[str, Mapping[str, float]]:
    """Return gain, ccc, rest and apex by joint and by channel; nothing where they do not fit.

    Args:
        bag: to read.
        held: its topics.
        stamps_ns: of all frames.
        labels: of the clip.
        robot: whose joints the bag holds.
    """
    count = min(len(stamps_ns), len(labels.valid))
    if abs(len(stamps_ns) - len(labels.valid)) > _LEFT_OVER:
        return {}
    if not held.get('/joint_states', ('', 0))[1]:
        return {}
    joint_stamps, names, positions = read_joints(bag, 'joint_states')
    if set(names) != set(robot.names):
        return {}
    present = positions[:, [names.index(name) for name in robot.names]]
    human = label_channels(labels.blendshapes, labels.names, labels.head_pose)
    clip = Clip(
        '',
        stamps_ns[:count],
        human[:count].astype(np.float64),
        labels.valid[:count],
        (),
        (),
        (),
        aperture=mouth_aperture(labels.landmarks_px, labels.head_pose)[:count],
        shapes=label_shapes(labels.blendshapes, labels.names)[:count].astype(np.float32),
    )
    mapping = JointMapping(robot)
    shown = np.stack([mapping.channels(row) for row in present]).astype(np.float64)
    trace = JointTrace(robot.names, joint_stamps, present, present, present)
    return size_rows([measure_sizes(clip, trace, shown, robot)])
