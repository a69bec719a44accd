"""The images of a ROS bag as a source; MCAP and SQLite, also ROS 1 bags."""

import threading
from collections.abc import Generator
from itertools import islice
from pathlib import Path
from typing import Any

from kf_imitation.bags.opening import (
    PACKED_IMAGES,
    BagMessage,
    OpenBag,
    focal_px,
    image_topic,
    open_bag,
)
from kf_imitation.bags.reader import header_stamp_ns
from kf_imitation.camera.encodings import GreySamples, compressed_to_bgr, image_to_bgr
from kf_imitation.camera.frame_source import MOST_BAD, UNKNOWN_CAMERA, camera_model
from kf_imitation.camera.left_out import LeftOut
from kf_imitation.camera.stamps import FrameTimes
from kf_imitation.data_types import CameraModel, Frame, Image
from kf_imitation.errors import BagError, SourceError
from kf_imitation.parameters.settings import SourceSettings


class BagSource:
    """The messages of one image topic in the order of the bag, stamped by their headers.

    FrameTimes has the rule for stamps; the time of recording is the arrival.
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
        self.left_out = LeftOut(self.name)
        self._times = FrameTimes(self.name)
        self._grey = GreySamples()

    def open(self) -> None:
        """See FrameSource."""
        self.close()
        try:
            bag = self._bag = open_bag(self._path)
            self.topic = image_topic(bag, self._settings.topic)
            self.frame_count = bag.topics[self.topic].count
            self.fps = self._rate(bag)
            self._grey = GreySamples(self.topic)
            height, width = self._first_size(bag)
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
        self.left_out = LeftOut(self.name)
        self._times = FrameTimes(self.name)

    def read(self) -> Frame | None:
        """See FrameSource."""
        with self._lock:
            return self._read()

    def _read(self) -> Frame | None:
        while self._messages is not None and self._bag is not None:
            try:
                message = next(self._messages, None)
            except BagError as error:
                raise SourceError(f'{error} (frame {self._index})') from error
            if message is None:
                return None
            index = self._index
            self._index += 1
            try:
                header_ns, image = self._decode(self._bag, message)
            except (BagError, SourceError) as error:
                self.left_out.add(f'frame {index}', str(error))
                continue
            stamp_ns = self._times.time_of(header_ns, message.stamp_ns)
            if stamp_ns is None:
                self.left_out.add(f'frame {index}', self._times.late_text)
                continue
            self.left_out.good()
            return Frame(index, stamp_ns, image)
        return None

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

    def _first_size(self, bag: OpenBag) -> tuple[int, int]:
        """Return height and width of the first good image."""
        reason = ''
        for message in islice(bag.messages({self.topic}), MOST_BAD):
            try:
                height, width = self._decode(bag, message)[1].shape[:2]
            except (BagError, SourceError) as error:
                reason = reason or str(error)
            else:
                return height, width
        if not reason:
            raise SourceError(f'{self.name}: topic {self.topic} has no messages')
        raise SourceError(
            f'{self.name}: {self.topic}: not one image can be decoded: {reason}{bag.unread}'
        )

    def _decode(self, bag: OpenBag, message: BagMessage) -> tuple[int, Image]:
        content = bag.decode(message)
        return header_stamp_ns(content), content_to_bgr(content, message.kind, self._grey)


def content_to_bgr(content: Any, kind: str, grey: GreySamples) -> Image:
    """Convert an image message of a bag.

    Args:
        content: decoded.
        kind: its type, one of IMAGES.
        grey: of its topic.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        SourceError: it cannot be decoded.
    """
    if kind in PACKED_IMAGES:
        return compressed_to_bgr(content.data, content.format)
    return image_to_bgr(
        content.data,
        content.encoding,
        content.height,
        content.width,
        content.step,
        bool(getattr(content, 'is_bigendian', False)),  # Foxglove's has none
        grey,
    )
