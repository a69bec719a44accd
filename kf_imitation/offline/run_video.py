"""The side-by-side video of a replay: a second pass over the source with the results at hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.data_types import FloatArray
from kf_imitation.errors import SourceError
from kf_imitation.offline.run_record import RunRecord
from kf_imitation.offline.video_writer import VideoWriter
from kf_imitation.overlay.avatar import Avatar
from kf_imitation.overlay.drawing import face_thumbnail
from kf_imitation.overlay.side_by_side import Mark, SideBySide

_INSET_PX = 264


def write_video(
    path: Path,
    source: FrameSource,
    run: RunRecord,
    channels_of: Callable[[NDArray[np.float64]], FloatArray],
    on_frame: Callable[[], None] = lambda: None,
) -> None:
    """Draw person, score and robot for every frame.

    Args:
        path: video to write.
        source: of the run, opened again.
        run: its results, with joints.
        channels_of: the inverse of the robot's joint mapping.
        on_frame: called after each frame.

    Raises:
        OutputError: the video cannot be written.
        SourceError: the source gives no frame this time.
    """
    marks = [
        Mark(
            number + 1,
            posed.keyframe.stamp_ns,
            posed.keyframe.committed_stamp_ns,
            posed.keyframe.score,
            face_thumbnail(posed.face, posed.landmarks, _INSET_PX),
        )
        for number, posed in enumerate(run.posed)
    ]
    scores = {score.index: score for score in run.scores}
    frame = source.read()
    if frame is None:
        raise SourceError(f'{source.name}: holds no frame')
    height, width = frame.bgr.shape[:2]
    picture = SideBySide((width, height), run.scores, marks)
    avatar = Avatar(channels_of, picture.robot_px)
    with VideoWriter(path, run.fps, picture.size) as video:
        while frame is not None:
            row = run.joints.at(frame.stamp_ns)
            robot = avatar.draw(run.joints.present_rad[row])
            score = scores.get(frame.index)
            region = score.region if score is not None else None
            video.write(picture.draw(frame.bgr, frame.stamp_ns, region, robot))
            on_frame()
            frame = source.read()
