"""What every source of frames looks like, and what they have in common: camera model, errors."""

import math
from typing import Protocol

from kf_imitation.camera.left_out import LeftOut
from kf_imitation.data_types import CameraModel, Frame
from kf_imitation.errors import SourceError

FIELD_OF_VIEW_RAD = math.radians(60.0)  # of a typical webcam, used while nothing else is known
FOLDER_FPS = 30.0
# So many bad frames at the beginning of a file are passed over in search of a good one.
MOST_BAD = 1000


class SourceLost(SourceError):  # noqa: N818 (a state of the device rather than a fault of the user)
    """A live source that was open stopped delivering frames."""


class FrameSource(Protocol):
    """A source of frames; one thread reads.

    Attributes:
        name: what the user would call it.
        is_live: a device or stream, which never waits for us; else a file.
        fps: nominal rate [Hz].
        camera: known after open().
        frame_count: None if unknown.
        left_out: frames that could not be used.
    """

    name: str
    is_live: bool
    fps: float
    camera: CameraModel
    frame_count: int | None
    left_out: LeftOut

    def open(self) -> None:
        """Open, or open again from the start after close().

        Raises:
            SourceError: with name and reason.
        """

    def read(self) -> Frame | None:
        """Return the next good frame; live sources block until there is one newer than the last.

        Frames that cannot be used are passed over and noted in `left_out`; their indices are not
        given again.

        Returns:
            None at the end of a file, and after close() by another thread.

        Raises:
            SourceLost: a live source went away.
            SourceError: no frame of a file can be used, or it cannot be read any further.
        """

    def close(self) -> None:
        """Free the source; may be called twice and from another thread."""


def camera_model(width: int, height: int, focal_px: float) -> CameraModel:
    """Pinhole model of an image size.

    Args:
        width: [px].
        height: [px].
        focal_px: 0, or what is no number, assumes a horizontal field of view of 60 degrees.
    """
    if not 0 < focal_px < math.inf:
        focal_px = width / 2 / math.tan(FIELD_OF_VIEW_RAD / 2)
    return CameraModel(width, height, focal_px)


UNKNOWN_CAMERA = CameraModel(0, 0, 0.0)
