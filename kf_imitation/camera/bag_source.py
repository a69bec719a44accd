"""The images of a ROS bag as a source; MCAP and SQLite, also ROS 1 bags."""

import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from kf_imitation.bags.opening import (
    COMPRESSED_IMAGE,
    READ_ERRORS,
    image_topic,
    open_reader,
    reason,
)
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
        self._reader: AnyReader | None = None
        self._messages: Generator[tuple[Any, int, bytes], None, None] | None = None
        self._index = 0
        self._last_ns = -1

    def open(self) -> None:
        """See FrameSource."""
        self.close()
        try:
            reader = self._reader = open_reader(self._path)
            self.topic = image_topic(self._path, reader, self._settings.topic)
        except BagError as error:
            self.close()
            raise SourceError(str(error)) from error
        try:
            connections = [c for c in reader.connections if c.topic == self.topic]
            self.frame_count = sum(c.msgcount for c in connections)
            if not self.frame_count:
                raise SourceError(f'{self.name}: topic {self.topic} has no messages')
            self.fps = self._rate(reader, connections)
            self._messages = reader.messages(connections=connections)
            first = self._decode(next(self._messages))[1]
            self.camera = camera_model(first.shape[1], first.shape[0], self._focal_px(reader))
            self._messages = reader.messages(connections=connections)
        except StopIteration:
            self.close()
            raise SourceError(f'{self.name}: topic {self.topic} has no messages') from None
        except SourceError:
            self.close()
            raise
        except READ_ERRORS as error:
            self.close()
            raise SourceError(f'{self.name}: is damaged: {reason(error)}') from error
        self._index = 0
        self._last_ns = -1

    def read(self) -> Frame | None:
        """See FrameSource."""
        with self._lock:
            return self._read()

    def _read(self) -> Frame | None:
        if self._messages is None:
            return None
        try:
            message = next(self._messages, None)
        except READ_ERRORS as error:
            raise SourceError(
                f'{self.name}: damaged after frame {self._index}: {reason(error)}'
            ) from error
        if message is None:
            return None
        header_ns, image = self._decode(message)
        stamp_ns = header_ns if header_ns > max(self._last_ns, 0) else message[1]
        stamp_ns = max(stamp_ns, self._last_ns + 1)
        self._last_ns = stamp_ns
        frame = Frame(self._index, stamp_ns, image)
        self._index += 1
        return frame

    def close(self) -> None:
        """See FrameSource."""
        with self._lock:
            self._messages = None
            if self._reader is not None:
                self._reader.close()
            self._reader = None

    def _rate(self, reader: AnyReader, connections: list[Any]) -> float:
        """Messages per second over the whole bag, 30 where that says nothing."""
        seconds = float(reader.duration) * 1e-9
        count = sum(c.msgcount for c in connections)
        rate = (count - 1) / seconds if count > 1 and seconds > 0 else 30.0
        return rate if 0.1 <= rate <= 1000 else 30.0

    def _focal_px(self, reader: AnyReader) -> float:
        """The focal length asked for, else that of the camera_info beside the image topic."""
        if self._settings.focal_px > 0:
            return self._settings.focal_px
        beside = self.topic.rsplit('/', 1)[0] + '/camera_info'
        infos = [c for c in reader.connections if c.topic == beside and c.msgcount]
        for connection, _, raw in reader.messages(connections=infos) if infos else ():
            info: Any = reader.deserialize(raw, connection.msgtype)
            return float(getattr(info, 'k', getattr(info, 'K', [0.0]))[0])
        return 0.0

    def _decode(self, message: tuple[Any, int, bytes]) -> tuple[int, Image]:
        connection, _, raw = message
        assert self._reader is not None
        place = f'{self.name}: {connection.topic}, frame {self._index}'
        try:
            content: Any = self._reader.deserialize(raw, connection.msgtype)
            if connection.msgtype == COMPRESSED_IMAGE:
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
            stamp = content.header.stamp
        except SourceError as error:
            raise SourceError(f'{place}: {error}') from error
        except READ_ERRORS as error:
            raise SourceError(f'{place}: is damaged: {reason(error)}') from error
        return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec), image
