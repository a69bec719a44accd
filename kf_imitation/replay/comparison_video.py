"""The side-by-side video of a run: a second pass over the source with the results at hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.data_types import FloatArray, FrameScore
from kf_imitation.errors import SourceError
from kf_imitation.replay.record import JointTrace, RunRecord
from kf_imitation.visualization.avatar import Avatar
from kf_imitation.visualization.side_by_side import Mark, SideBySide
from kf_imitation.visualization.video_writer import VideoWriter


@dataclass(frozen=True, slots=True)
class VideoRun:
    """What the video shows.

    Attributes:
        fps: of the source [Hz].
        scores: final, of every frame, in order.
        marks: keyframes in the order of their commitment.
        joints: of the simulated servos.
    """

    fps: float
    scores: Sequence[FrameScore]
    marks: Sequence[Mark]
    joints: JointTrace

    @classmethod
    def of_replay(cls, run: RunRecord) -> 'VideoRun':
        """Return what a replay's video shows."""
        marks = [
            Mark(
                number + 1,
                posed.keyframe.stamp_ns,
                posed.keyframe.committed_stamp_ns,
                posed.keyframe.score,
                posed.landmarks,
            )
            for number, posed in enumerate(run.posed)
        ]
        return cls(run.fps, run.scores, marks, run.joints)


def write_video(
    path: Path,
    source: FrameSource,
    run: VideoRun,
    channels_of: Callable[[NDArray[np.float64]], FloatArray],
    on_frame: Callable[[], None] = lambda: None,
) -> None:
    """Draw person, score and robot for every frame.

    Args:
        path: video to write.
        source: of the run, opened again.
        run: its results.
        channels_of: the inverse of the robot's joint mapping.
        on_frame: called after each frame.

    Raises:
        OutputError: the video cannot be written.
        SourceError: the source gives no frame this time.
    """
    regions = {score.index: score.region for score in run.scores}
    frame = source.read()
    if frame is None:
        raise SourceError(f'{source.name}: holds no frame')
    height, width = frame.bgr.shape[:2]
    picture = SideBySide((width, height), run.scores, run.marks)
    avatar = Avatar(channels_of, picture.robot_px)
    with VideoWriter(path, run.fps, picture.size) as video:
        while frame is not None:
            robot = avatar.draw(run.joints.present_rad[run.joints.at(frame.stamp_ns)])
            region = regions.get(frame.index)
            video.write(picture.draw(frame.bgr, frame.stamp_ns, region, robot))
            on_frame()
            frame = source.read()
