"""Frames between the camera node and the keyframe node of one process, in place of image_raw."""

from collections import deque
from collections.abc import Callable

from kf_imitation.data_types import CameraModel, Frame

LinkedFrame = tuple[Frame, CameraModel, str]
"""A frame as it was captured and turned, its camera, and the frame id of its message."""


class FrameLink:
    """Hands frames over without a copy, a message or the middleware's threads.

    As on image_raw, a live frame that was not taken gives way to the next one, and where no frame
    may be lost all of them wait.
    """

    def __init__(self) -> None:
        """Start without a receiver: what is sent waits for one."""
        self._frames: deque[LinkedFrame] = deque(maxlen=1)
        self._wake: Callable[[], None] = lambda: None

    def connect(self, wake: Callable[[], None], lossless: bool) -> None:
        """Take the frames from now on.

        Args:
            wake: called by the sender's thread after every frame; the receiver calls take() then.
            lossless: keep every frame until it is taken.
        """
        self._frames = deque(self._frames, maxlen=None if lossless else 1)
        self._wake = wake

    def send(self, frame: Frame, camera: CameraModel, frame_id: str) -> None:
        """Hand over a frame; its image must not be changed after."""
        self._frames.append((frame, camera, frame_id))
        self._wake()

    def take(self) -> LinkedFrame | None:
        """Return the oldest frame that waits, or None."""
        return self._frames.popleft() if self._frames else None
