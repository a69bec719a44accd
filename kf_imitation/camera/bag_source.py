"""The images of a ROS bag as a source; MCAP and SQLite, also ROS 1 bags."""

import threading
from collections.abc import Generator
from pathlib import Path

from kf_imitation.bags.opening import (
    COMPRESSED_IMAGE,
    BagMessage,
    OpenBag,
    focal_px,
    image_topic,
    open_bag,
)
from kf_imitation.bags.reader import header_stamp_ns
from kf_imitation.camera.encodings import compressed_to_bgr, image_to_bgr
from kf_imitation.camera.frame_source import UNKNOWN_CAMERA, camera_model
from kf_imitation.data_types import CameraModel, Frame, Image
from kf_imitation.errors import BagError, SourceError
from kf_imitation.parameters.settings import SourceSettings


class BagSource:
    """The messages of one image topic in the order of the bag, stamped by their headers.

    A header stamp of 0, or one that does not increase, is replaced by the time of recording.
    """

    is_live = False

    def __init__(self, path: Path, settings: SourceSettings) -> None:
        """Only remember; open() does the work.

        Args:
            path: bag folder or file.
            settings: topic and focal_px matter.
        """
        self.name = str(path)
        self.fps = 30.0
        self.camera: CameraModel = UNKNOWN_CAMERA
        self.frame_count: int | None = None
        self.topic = settings.topic
        self._path = path
        self._settings = settings
        self._lock = threading.Lock()  # close() may come from another thread
        self._bag: OpenBag | None = None
        self._messages: Generator[BagMessage, None, None] | None = None
        self._index = 0
        self._last_ns = -1

    def open(self) -> None:
        """See FrameSource."""
        self.close()
        try:
            bag = self._bag = open_bag(self._path)
            self.topic = image_topic(bag, self._settings.topic)
            self.frame_count = bag.topics[self.topic].count
            self.fps = self._rate(bag)
            first = next(bag.messages({self.topic}), None)
            if first is None:
                raise SourceError(f'{self.name}: topic {self.topic} has no messages')
            height, width = self._decode(bag, first)[1].shape[:2]
            focal = self._settings.focal_px or focal_px(bag, self.topic)
            self.camera = camera_model(width, height, focal)
            self._messages = bag.messages({self.topic})
        except BagError as error:
            self.close()
            raise SourceError(str(error)) from error
        except SourceError:
            self.close()
            raise
        self._index = 0
        self._last_ns = -1

    def read(self) -> Frame | None:
        """See FrameSource."""
        with self._lock:
            return self._read()

    def _read(self) -> Frame | None:
        if self._messages is None or self._bag is None:
            return None
        try:
            message = next(self._messages, None)
            if message is None:
                return None
            header_ns, image = self._decode(self._bag, message)
        except BagError as error:
            raise SourceError(f'{error} (frame {self._index})') from error
        stamp_ns = header_ns if header_ns > max(self._last_ns, 0) else message.stamp_ns
        stamp_ns = max(stamp_ns, self._last_ns + 1)
        self._last_ns = stamp_ns
        frame = Frame(self._index, stamp_ns, image)
        self._index += 1
        return frame

    def close(self) -> None:
        """See FrameSource."""
        with self._lock:
            self._messages = None
            if self._bag is not None:
                self._bag.close()
            self._bag = None

    def _rate(self, bag: OpenBag) -> float:
        """Messages per second over the whole bag, 30 where that says nothing."""
        seconds = (bag.end_ns - bag.start_ns) * 1e-9
        count = bag.topics[self.topic].count
        rate = (count - 1) / seconds if count > 1 and seconds > 0 else 30.0
        return rate if 0.1 <= rate <= 1000 else 30.0

    def _decode(self, bag: OpenBag, message: BagMessage) -> tuple[int, Image]:
        content = bag.decode(message)
        try:
            if message.kind == COMPRESSED_IMAGE:
                image = compressed_to_bgr(content.data, content.format)
            else:
                image = image_to_bgr(
                    content.data,
                    content.encoding,
                    content.height,
                    content.width,
                    content.step,
                    bool(content.is_bigendian),
                )
        except SourceError as error:
            place = f'{self.name}: {message.topic}, frame {self._index}'
            raise SourceError(f'{place}: {error}') from error
        return header_stamp_ns(content), image
