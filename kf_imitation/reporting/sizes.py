"""How large and complete the imitation of a labelled clip was, for the report of its replay."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kf_imitation.evaluation.channel_labels import label_channels, label_shapes, mouth_aperture
from kf_imitation.evaluation.imitation.clip import Clip
from kf_imitation.evaluation.imitation.figures import measure_sizes, size_rows
from kf_imitation.evaluation.labels import Labels
from kf_imitation.replay.record import JointTrace
from kf_imitation.reporting.recording import Recording

_LEFT_OVER = 2  # frames by which a video and its labels may differ


def run_sizes(
    recording: Recording, stamps_ns: NDArray[np.int64], labels: Labels
) -> Mapping[str, Mapping[str, float]]:
    """Return gain, ccc, rest and apex by joint and by channel; nothing where they do not fit.

    Args:
        recording: of the run.
        stamps_ns: of all frames.
        labels: of the clip.
    """
    count = min(len(stamps_ns), len(labels.valid))
    if abs(len(stamps_ns) - len(labels.valid)) > _LEFT_OVER:
        return {}
    joints, present = recording.signals('joint_states'), recording.present_rad
    robot = recording.robot
    if joints is None or present is None or recording.shown is None:
        return {}
    human = label_channels(labels.blendshapes, labels.names, labels.head_pose)
    aperture = None
    if labels.has_points:
        aperture = mouth_aperture(labels.landmarks_px, labels.head_pose)[:count]
    clip = Clip(
        '',
        stamps_ns[:count],
        human[:count].astype(np.float64),
        labels.valid[:count],
        (),
        (),
        (),
        aperture=aperture,
        shapes=label_shapes(labels.blendshapes, labels.names)[:count].astype(np.float32),
    )
    trace = JointTrace(robot.names, joints.stamps, present, present, present)
    return size_rows([measure_sizes(clip, trace, recording.shown, robot)])
