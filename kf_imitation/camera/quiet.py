"""Keep OpenCV from printing what our errors say."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

# FFmpeg inside OpenCV prints its reasons to stderr on its own; 8 is "fatal only".
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '8')
_ERRORS_ONLY = 2


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Print no OpenCV warnings inside."""
    level = cv2.getLogLevel()
    cv2.setLogLevel(_ERRORS_ONLY)
    try:
        yield
    finally:
        cv2.setLogLevel(level)
