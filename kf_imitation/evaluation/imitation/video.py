"""Side-by-side videos of `evaluate --imitation`: person, landmarks, score, drawn robot face."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FloatArray, FrameScore, HeadPose, Landmarks
from kf_imitation.evaluation.clip_scores import select
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.output_files import new_file
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.replay.comparison_video import VideoRun, write_video
from kf_imitation.replay.record import JointTrace
from kf_imitation.replay.run import open_file, source_settings
from kf_imitation.visualization.side_by_side import Mark


def clip_video(
    path: Path,
    clip: Path,
    values: Mapping[str, Mapping[str, Any]],
    run: VideoRun,
    channels_of: Callable[[NDArray[np.float64]], FloatArray],
) -> None:
    """Write the video of one method on one clip; a video that is there is replaced.

    Args:
        path: to write.
        clip: video of the person.
        values: parameters of all nodes.
        run: what the method did; its rate is taken from the clip.
        channels_of: the inverse of the robot's joint mapping.

    Raises:
        OutputError: the video cannot be written.
        SourceError: the clip cannot be read.
    """
    source = open_file(str(clip), source_settings(dict(values['camera'])))
    try:
        timed = VideoRun(source.fps, run.scores, run.marks, run.joints)
        with new_file(path, overwrite=True) as partial:
            write_video(partial, source, timed, channels_of)
    finally:
        source.close()


def video_run(
    raw: Sequence[FrameScore],
    readings: Sequence[tuple[Landmarks, HeadPose] | None],
    sent: Sequence[tuple[int, int]],
    joints: JointTrace,
    settings: DetectorSettings,
    smoothing: Smoothing,
) -> VideoRun:
    """Return what the video shows of a method.

    Args:
        raw: scores before smoothing, of every frame.
        readings: landmarks and head pose of every frame, None without a face.
        sent: place of each frame that was imitated, and when its pose was sent [ns].
        joints: what the servos did.
        settings: of the detector, for the score that is drawn.
        smoothing: of the scores.
    """
    scores, _ = select(raw, settings, smoothing)
    marks = []
    for number, (frame, sent_ns) in enumerate(sent, start=1):
        reading = readings[frame]
        marks.append(
            Mark(
                number,
                raw[frame].stamp_ns,
                sent_ns,
                scores[frame].score or 0.0,
                None if reading is None else reading[0],
            )
        )
    return VideoRun(30.0, scores, marks, joints)
