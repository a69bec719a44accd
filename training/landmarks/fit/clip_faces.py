"""The faces of a clip, as the face tracker finds them in a running head."""

from collections.abc import Iterator
from pathlib import Path

from kf_imitation.data_types import FaceRegion, Frame
from kf_imitation.face.tracker import FaceTracker
from kf_imitation.parameters.settings import FaceSettings
from kf_imitation.replay.run import open_file, source_settings
from kf_imitation.ros_graph.nodes import merged_parameters


def faces_of(video: Path, most: int, every: int = 1) -> Iterator[tuple[int, Frame, FaceRegion]]:
    """Give index, frame and region of the frames with a face.

    Args:
        video: the clip.
        most: only the first so many frames.
        every: the tracker sees every n-th frame.
    """
    tracker = FaceTracker(FaceSettings())
    source = open_file(str(video), source_settings(merged_parameters('')['camera']))
    try:
        for index in range(most):
            frame = source.read()
            if frame is None:
                return
            region = tracker.update(frame) if index % every == 0 else None
            if region is not None:
                yield index, frame, region
    finally:
        source.close()
