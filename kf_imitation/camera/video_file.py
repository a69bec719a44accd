"""Frames of a video file, stamped by the container."""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kf_imitation.camera.container import container_fault, quarter_turns, shown_s
from kf_imitation.camera.frame_source import UNKNOWN_CAMERA, camera_model
from kf_imitation.camera.left_out import LeftOut
from kf_imitation.camera.live import STREAM_OPTIONS
from kf_imitation.camera.quiet import quiet_opencv
from kf_imitation.data_types import CameraModel, Frame, Image
from kf_imitation.errors import SourceError
from kf_imitation.face_geometry.quarter_turns import quarter_turned
from kf_imitation.parameters.settings import SourceSettings

DEFAULT_FPS = 30.0
OPENCV = tuple(int(part) for part in cv2.__version__.split('.')[:2])
# A length may be rounded, so the end only counts as missing when clearly more is.
MISSING_SHARE = 0.05
MISSING_FRAMES = 3
# Frames in a row that cannot be decoded, after which the rest is given up: of a file as many as it
# has, within bounds; of a URL few, since each may wait for the network.
GIVE_UP = (600, 100_000)
GIVE_UP_URL = 3


class VideoFile:
    """A video file, or the URL of one; read as fast as the caller asks.

    stamp_ns = start_ns + presentation time of the container, so variable rates are kept. Where
    the container has no increasing times, index / fps takes their place. Frames that cannot be
    decoded are left out; so is what is missing at the end.
    """

    is_live = False

    def __init__(self, path: Path | str, settings: SourceSettings) -> None:
        """Only remember; open() does the work.

        Args:
            path: file, or http(s) URL of a file.
            settings: focal_px and start_ns matter.
        """
        self.name = str(path)
        self.fps = DEFAULT_FPS
        self.camera: CameraModel = UNKNOWN_CAMERA
        self.frame_count: int | None = None
        self._path = path
        self._settings = settings
        self._lock = threading.RLock()  # close() may come from another thread
        self._capture: Any = None
        self._turn_deg = 0
        self._index = 0
        self._last_s = 0.0
        self._first: np.ndarray[Any, Any] | None = None
        self.left_out = LeftOut(self.name)

    def open(self) -> None:
        """See FrameSource."""
        with self._lock:
            self._open()

    def _open(self) -> None:
        self._release()
        fault = _check_file(self._path) if isinstance(self._path, Path) else ''
        why = f': it {fault}' if fault else ''
        with quiet_opencv():
            options = [] if isinstance(self._path, Path) else list(STREAM_OPTIONS)
            # Absolute, since a name like 12:30.mp4 looks like a URL.
            name = self._path.absolute() if isinstance(self._path, Path) else self._path
            capture = cv2.VideoCapture(str(name), cv2.CAP_FFMPEG, options)
        if not capture.isOpened():
            capture.release()
            raise SourceError(f'{self.name}: is not a video that can be decoded{why}')
        self._turn_deg = self._upright(capture)
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0.1 <= fps <= 1000 else DEFAULT_FPS
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frame_count = count if count > 0 else None
        self.left_out = LeftOut(self.name)
        self._capture = capture
        self._index = -1
        self._last_s = -1 / self.fps
        image = self._next_image()
        if image is None:
            self._release()
            raise SourceError(f'{self.name}: opens, but not one frame can be decoded{why}')
        if fault:
            self.left_out.damaged(fault, 'what is there is played')
        self._first = image
        self._last_s = self._position_s()
        self.camera = camera_model(image.shape[1], image.shape[0], self._settings.focal_px)

    def read(self) -> Frame | None:
        """See FrameSource."""
        with self._lock:
            return self._read()

    def close(self) -> None:
        """See FrameSource."""
        with self._lock:
            self._release()

    def _read(self) -> Frame | None:
        if self._capture is None:
            return None
        if self._first is not None:
            image, self._first = self._first, None
        else:
            before = self._index
            following = self._next_image()
            if following is None:
                self._note_missing_end()
                self._release()
                return None
            image = following
            position = self._position_s()
            nominal = (self._index - before) / self.fps
            self._last_s = position if position > self._last_s else self._last_s + nominal
        stamp_ns = self._settings.start_ns + round(self._last_s * 1e9)
        return Frame(self._index, stamp_ns, image)

    def _next_image(self) -> Image | None:
        """Return the next image that can be decoded; None at the end."""
        low, high = GIVE_UP
        most = min(max(low, self.frame_count or 0), high)
        for failed in range(most if isinstance(self._path, Path) else GIVE_UP_URL):
            good, image = self._capture.read()
            if good and image is not None and image.size:
                if failed:
                    place = f'frame {self._index + 1} (after {max(0.0, self._last_s):.2f} s)'
                    more = f' and the next {failed - 1}' if failed > 1 else ''
                    self.left_out.add(place + more, 'cannot be decoded', failed)
                self.left_out.good()
                self._index += 1 + failed
                return quarter_turned(image, self._turn_deg) if self._turn_deg else image
        return None

    def _upright(self, capture: Any) -> int:
        """Switch OpenCV's own turning off; return the turn that puts the pictures upright [deg].

        OpenCV 4.6 (Ubuntu 24.04) turns the wrong way, so an MP4 is asked ourselves.
        """
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        turns = quarter_turns(self._path) if isinstance(self._path, Path) else None
        if turns is None:
            degrees = round(capture.get(cv2.CAP_PROP_ORIENTATION_META))
            turns = (-degrees if OPENCV < (4, 7) else degrees) // 90 % 4
        return 90 * turns

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
        self._capture = None
        self._first = None

    def _position_s(self) -> float:
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) * 1e-3

    def _note_missing_end(self) -> None:
        """Compare with the length that the container promises; only some do."""
        if not isinstance(self._path, Path):
            return
        end_s = shown_s(self._path)
        if end_s is None and self._path.suffix.lower() == '.avi' and self.frame_count:
            end_s = self.frame_count / self.fps
        if end_s is None:
            return
        missing = round((end_s - self._last_s) * self.fps) - 1
        if missing > max(MISSING_FRAMES, MISSING_SHARE * end_s * self.fps):
            place = f'the end after frame {self._index} (at {self._last_s:.2f} of {end_s:.2f} s)'
            self.left_out.add(place, 'cannot be decoded', missing)


def _check_file(path: Path) -> str:
    """Return what is missing of a file, or ''; raise SourceError when it cannot be a video."""
    try:
        size = path.stat().st_size
        with path.open('rb'):
            pass
    except OSError as error:
        raise SourceError(f'{path}: cannot be read: {error.strerror}') from error
    if size == 0:
        raise SourceError(f'{path}: is empty')
    return container_fault(path)
