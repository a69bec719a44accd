"""Video files for people: H.264 where PyAV is installed, else what OpenCV brings along."""

import errno
import os
import shutil
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2

from kf_imitation.camera.quiet import quiet_opencv
from kf_imitation.data_types import Image
from kf_imitation.output_files import OutputError

# Optional: browsers play its H.264, players also play OpenCV's MPEG-4.
av: Any = import_module('av') if find_spec('av') else None

# OpenCV's own codecs by the ending of the file.
_FOURCC = {
    '.mp4': 'mp4v',
    '.m4v': 'mp4v',
    '.mkv': 'mp4v',
    '.mov': 'mp4v',
    '.avi': 'MJPG',
    '.webm': 'VP80',
}
SUFFIXES = tuple(_FOURCC)
# OpenCV may hold back so much of a file until it closes it.
_LEAST_FREE_BYTES = 1_000_000


class VideoWriter:
    """Writes frames of one size at a constant rate; a context manager.

    Args:
        path: file to write; its ending chooses the container.
        fps: frames per second.
        size: width and height [px], both even.

    Raises:
        OutputError: the ending is unknown, or the file cannot be written.
        OSError: by any method: the disk is full.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        check_suffix(path)
        self._sink: _AvSink | _CvSink
        if av is not None and path.suffix.lower() in ('.mp4', '.m4v', '.mkv', '.mov'):
            self._sink = _AvSink(path, fps, size)
        else:
            self._sink = _CvSink(path, fps, size)

    def write(self, bgr: Image) -> None:
        """Append a frame."""
        self._sink.write(bgr)

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.close()


def check_suffix(path: Path) -> None:
    """Refuse file endings that cannot be written.

    Raises:
        OutputError: names those that can.
    """
    if not path.suffix:
        raise OutputError(f'--video {path}: has no ending; use {path}.mp4')
    if path.suffix.lower() not in _FOURCC:
        raise OutputError(f'{path}: cannot write {path.suffix}: use {", ".join(SUFFIXES)}')


class _AvSink:
    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        try:
            self._container: Any = av.open(str(path.absolute()), 'w')
        except OSError as error:
            raise OutputError(f'{path}: cannot be written: {error.strerror}') from error
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream('libx264', rate=rate)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = 'yuv420p'
        self._stream.options = {'crf': '20', 'preset': 'veryfast'}

    def write(self, bgr: Image) -> None:
        frame = av.VideoFrame.from_ndarray(bgr, format='bgr24')
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()


class _CvSink:
    """OpenCV reports no failed write, so the disk is asked."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        code = cv2.VideoWriter.fourcc(*_FOURCC[path.suffix.lower()])
        with quiet_opencv():
            self._writer: Any = cv2.VideoWriter(str(path.absolute()), code, fps, size)
        self._path = path
        if not self._writer.isOpened():
            raise OutputError(f'{path}: cannot be written')

    def write(self, bgr: Image) -> None:
        if shutil.disk_usage(self._path.parent).free < _LEAST_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with quiet_opencv():
            self._writer.write(bgr)

    def close(self) -> None:
        with quiet_opencv():
            self._writer.release()
        # Where a little more cannot be written (quota, limit, full disk), something is missing.
        length = self._path.stat().st_size
        with self._path.open('r+b') as file:
            file.seek(length)
            file.write(bytes(_LEAST_FREE_BYTES))
            file.flush()
            file.truncate(length)
