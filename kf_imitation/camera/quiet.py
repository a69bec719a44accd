"""Keep OpenCV from printing what our errors say."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2

# FFmpeg inside OpenCV prints its reasons to stderr on its own; 8 is "fatal only".
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '8')
_ERRORS_ONLY = 2


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Print no OpenCV warnings inside; does nothing where OpenCV has no such switch."""
    utils: Any = getattr(cv2, 'utils', None)
    logging: Any = getattr(utils, 'logging', None)
    if logging is None:
        yield
        return
    level = logging.getLogLevel()
    logging.setLogLevel(_ERRORS_ONLY)
    try:
        yield
    finally:
        logging.setLogLevel(level)
