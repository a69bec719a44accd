"""Wait for a lost camera and open it again."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from kf_imitation.camera.frame_source import UNKNOWN_CAMERA, FrameSource, SourceLost
from kf_imitation.camera.left_out import LeftOut
from kf_imitation.data_types import CameraModel, Frame
from kf_imitation.errors import SourceError


class Clock(Protocol):
    """Time for waiting; tests bring their own."""

    def now_s(self) -> float:
        """Monotonic time."""

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """Return after a while, or at once when `stop` is set."""


class SystemClock:
    """The clock of this machine."""

    def now_s(self) -> float:
        """See Clock."""
        return time.monotonic()

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """See Clock."""
        stop.wait(seconds)


class Reconnecting:
    """A live source that comes back.

    open() fails at once when the device is missing from the start: that is a wrong name. Once it
    was open, read() waits through any loss: pause, reopen with the same settings, go on. Stamps
    strictly increase: a frame from before the loss is never returned after it. Indices count on.

    Attributes:
        state: what is going on, as a sentence.
        reconnects: times the device came back.
    """

    is_live = True
    frame_count: int | None = None

    def __init__(
        self,
        factory: Callable[[], FrameSource],
        pause_s: float,
        clock: Clock | None = None,
    ) -> None:
        """Only remember; open() does the work.

        Args:
            factory: makes the source (not opened); called once per attempt.
            pause_s: between attempts.
            clock: for waiting.
        """
        self._factory = factory
        self._pause_s = pause_s
        self._clock = clock or SystemClock()
        self._source = factory()
        self._stop = threading.Event()
        self._next_index = 0
        self._offset = 0
        self._last_ns = -1
        self.name = self._source.name
        self.fps = self._source.fps
        self.camera: CameraModel = UNKNOWN_CAMERA
        self.state = 'closed'
        self.reconnects = 0
        self.left_out = LeftOut(self.name)

    def open(self) -> None:
        """See FrameSource."""
        self._stop.clear()
        self._source.open()
        self._adopt()

    def read(self) -> Frame | None:
        """See FrameSource; blocks while the device is away, never raises SourceLost."""
        while not self._stop.is_set():
            try:
                frame = self._source.read()
            except SourceLost as lost:
                self._come_back(str(lost))
                continue
            if frame is None:
                return None
            if frame.stamp_ns <= self._last_ns:
                continue
            self._last_ns = frame.stamp_ns
            index = frame.index + self._offset
            self._next_index = index + 1
            return Frame(index, frame.stamp_ns, frame.bgr)
        return None

    def close(self) -> None:
        """See FrameSource."""
        self._stop.set()
        self._source.close()
        self.state = 'closed'

    def _come_back(self, reason: str) -> None:
        """Return when the source is open again, or close() was called."""
        self._source.close()
        since_s = self._clock.now_s()
        attempts = 0
        while not self._stop.is_set():
            away_s = self._clock.now_s() - since_s
            self.state = f'waiting for {self.name} ({away_s:.0f} s, {attempts} attempts): {reason}'
            self._clock.wait(self._stop, self._pause_s)
            if self._stop.is_set():
                return
            attempts += 1
            source = self._factory()
            try:
                source.open()
            except SourceError as error:
                reason = str(error)
                source.close()
                continue
            self._source = source
            self._offset = self._next_index
            self.reconnects += 1
            self._adopt()
            if self._stop.is_set():  # closed while it was being opened
                source.close()
            return

    def _adopt(self) -> None:
        self.fps = self._source.fps
        self.camera = self._source.camera
        self._source.left_out = self.left_out  # counts on
        again = f', back for the {self.reconnects}. time' if self.reconnects else ''
        self.state = f'open at {self.camera.width}x{self.camera.height}, {self.fps:g} fps{again}'
