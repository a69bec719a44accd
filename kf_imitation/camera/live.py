"""Cameras and streams: the newest frame only, stamped as it arrives.

A reader thread empties the driver's queue, so what read() returns is never an old frame that
waited in a buffer; frames nobody fetched in time are dropped and counted in the index.
"""

import os
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np

from kf_imitation.camera.device_path import DevicePath
from kf_imitation.camera.frame_source import UNKNOWN_CAMERA, SourceLost, camera_model
from kf_imitation.camera.left_out import LeftOut
from kf_imitation.camera.quiet import quiet_opencv
from kf_imitation.data_types import CameraModel, Frame, Image
from kf_imitation.errors import SourceError
from kf_imitation.parameters.settings import SourceSettings

# OpenCV waits this long for a frame of a dead camera (10 s by default).
os.environ.setdefault('OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT', '2')

SILENCE_S = 3.0  # without a frame a live source counts as lost
FIRST_FRAME_S = 10.0  # cameras and streams need time to start
OPEN_TIMEOUT_MS = 5000
STREAM_OPTIONS = (
    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
    OPEN_TIMEOUT_MS,
    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
    OPEN_TIMEOUT_MS,
)
JOIN_S = 3.0
# Of a stream, a frame that cannot be taken may be torn; after so many in a row it is lost.
MOST_TORN = 5
NO_IMAGE = np.zeros((0, 0, 3), np.uint8)
# A driver's time of capture is believed when it lies at most this far in the past.
OLDEST_STAMP_S = 1.0


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used; fakes in tests have it too."""

    def grab(self) -> bool:
        """Take the next frame from the device."""

    def retrieve(self) -> tuple[bool, Any]:
        """Decode the frame taken last."""

    def get(self, prop: int) -> float:
        """Read a property."""

    def set(self, prop: int, value: float) -> bool:
        """Ask for a property."""

    def release(self) -> None:
        """Close."""


class LiveSource:
    """A camera or stream that never waits for us.

    Stamps are wall-clock time. Where the driver reports when the frame was captured (V4L2 does, on
    the monotonic clock), that is the stamp; else the moment grab() returned.
    """

    is_live = True
    frame_count: int | None = None

    def __init__(
        self,
        name: str,
        opener: Callable[[], Capture],
        settings: SourceSettings,
        driver_stamps: bool = False,
        silence_s: float = SILENCE_S,
        most_torn: int = 0,
    ) -> None:
        """Only remember; open() does the work.

        Args:
            name: for messages.
            opener: returns an opened capture or raises SourceError.
            settings: width, height, fps and fourcc are asked of the device at every open();
                SourceError when fourcc is not four characters.
            driver_stamps: CAP_PROP_POS_MSEC is the monotonic time of capture (V4L2).
            silence_s: without a frame the source counts as lost.
            most_torn: frames in a row that may fail before it does.
        """
        self.name = name
        self.fps = settings.fps or 30.0
        self.camera: CameraModel = UNKNOWN_CAMERA
        self.left_out = LeftOut(name)
        self._opener = opener
        self._settings = settings
        self._driver_stamps = driver_stamps
        self._silence_s = silence_s
        self._most_torn = most_torn
        self._fourcc = _fourcc(settings.fourcc) if settings.fourcc else 0
        self._changed = threading.Condition()
        self._newest: tuple[int, int, Image] | None = None
        self._next_index = 0
        self._lost = ''
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """See FrameSource; waits for the first frame, which has the true size."""
        self.close()
        capture = self._opener()
        self._apply_settings(capture)
        self._newest = None
        self._lost = ''
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(capture, self._stop), name='camera reader', daemon=True
        )
        self._thread.start()
        with self._changed:
            self._changed.wait_for(self._has_news, FIRST_FRAME_S)
            newest, lost = self._newest, self._lost
        if newest is None:
            self.close()
            reason = lost or f'no frame within {FIRST_FRAME_S:g} s'
            raise SourceError(f'{self.name}: opens, but delivers nothing: {reason}')
        height, width = newest[2].shape[:2]
        self.camera = camera_model(width, height, self._settings.focal_px)

    def read(self) -> Frame | None:
        """See FrameSource."""
        with self._changed:
            stop = self._stop
            woken = self._changed.wait_for(
                lambda: self._has_news() or stop.is_set(), self._silence_s
            )
            if stop.is_set() or self._thread is None:
                return None
            if self._newest is None:
                reason = self._lost if woken else f'no frame for {self._silence_s:g} s'
                raise SourceLost(f'{self.name}: is gone: {reason}')
            index, stamp_ns, image = self._newest
            self._newest = None
        return Frame(index, stamp_ns, image)

    def close(self) -> None:
        """See FrameSource; a thread stuck in the driver is left to end by itself."""
        thread, self._thread = self._thread, None
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        if thread is not None:
            thread.join(JOIN_S)
        self._newest = None

    def _has_news(self) -> bool:
        return self._newest is not None or bool(self._lost)

    def _apply_settings(self, capture: Capture) -> None:
        wanted = self._settings
        if self._fourcc:  # first: it decides which sizes and rates exist
            capture.set(cv2.CAP_PROP_FOURCC, self._fourcc)
        if wanted.width:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.width)
        if wanted.height:
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.height)
        if wanted.fps:
            capture.set(cv2.CAP_PROP_FPS, wanted.fps)
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0.1 <= fps <= 1000 else wanted.fps or 30.0

    def _run(self, capture: Capture, stop: threading.Event) -> None:
        """Body of the reader thread; owns the capture and frees it."""
        reason = 'the device stopped delivering'
        try:
            while not stop.is_set():
                good, stamp_ns, image = self._take(capture)
                if not good:
                    if self.left_out.run >= self._most_torn:
                        break
                    self.left_out.add('a frame', 'cannot be decoded')
                    continue
                self.left_out.good()
                with self._changed:
                    if stop.is_set():
                        return
                    self._newest = (self._next_index, stamp_ns, image)
                    self._next_index += 1
                    self._changed.notify_all()
        except cv2.error as error:
            reason = str(error.err)
        finally:
            capture.release()
        with self._changed:
            if not stop.is_set():
                self._lost = reason
                self._changed.notify_all()

    def _take(self, capture: Capture) -> tuple[bool, int, Image]:
        """Take the next frame: whether it is good, its stamp, the image."""
        if not capture.grab():
            return False, 0, NO_IMAGE
        stamp_ns = self._stamp_ns(capture)
        good, image = capture.retrieve()
        if not good or image is None or not image.size:
            return False, 0, NO_IMAGE
        return True, stamp_ns, image

    def _stamp_ns(self, capture: Capture) -> int:
        now_ns = time.time_ns()
        if not self._driver_stamps:
            return now_ns
        age_s = time.monotonic() - capture.get(cv2.CAP_PROP_POS_MSEC) * 1e-3
        return now_ns - round(age_s * 1e9) if 0 <= age_s <= OLDEST_STAMP_S else now_ns


def open_device(device: DevicePath) -> Capture:
    """Open a V4L2 camera.

    Raises:
        SourceError: absent, not permitted, busy or no camera.
    """
    path = device.resolve()
    with quiet_opencv():
        capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise SourceError(
            f'camera {device.name}: {path} cannot be opened; it is busy (used by another '
            f'program) or does not capture video (cameras often have a second device for data)'
        )
    opened: Capture = capture
    return opened


def open_url(url: str) -> Capture:
    """Open a network stream.

    Raises:
        SourceError: no answer, or nothing that can be decoded.
    """
    with quiet_opencv():
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, list(STREAM_OPTIONS))
    if not capture.isOpened():
        capture.release()
        raise SourceError(
            f'{without_password(url)}: no stream within {OPEN_TIMEOUT_MS / 1000:g} s, or none '
            f'that can be decoded'
        )
    opened: Capture = capture
    return opened


def without_password(url: str) -> str:
    """The URL with the password starred, for messages and logs."""
    return re.sub(r'(://[^/:@]*):[^/@]*@', r'\1:***@', url)


def _fourcc(text: str) -> int:
    if len(text) != 4 or not text.isascii():
        raise SourceError(f'fourcc {text!r} must be four characters, for example MJPG')
    a, b, c, d = (ord(letter) for letter in text)
    return a | b << 8 | c << 16 | d << 24
