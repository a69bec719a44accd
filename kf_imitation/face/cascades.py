"""Find and load the Haar cascades that come with OpenCV 4."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from kf_imitation.errors import ModelError

FRONTAL = 'haarcascade_frontalface_alt2.xml'
PROFILE = 'haarcascade_profileface.xml'  # faces that look to the left of the image

# Where packages put them when cv2.data is absent (Debian and Ubuntu: opencv-data).
SYSTEM_FOLDERS = (
    '/usr/share/opencv4/haarcascades',
    '/usr/local/share/opencv4/haarcascades',
    '/usr/share/opencv/haarcascades',
    '/usr/share/OpenCV/haarcascades',
)


def cascade_folders() -> list[Path]:
    """Folders that may hold the cascades, best first."""
    folders = []
    if prefix := os.environ.get('CONDA_PREFIX'):
        folders.append(Path(prefix) / 'share/opencv4/haarcascades')
    data: Any = getattr(cv2, 'data', None)
    if data is not None:
        folders.insert(0, Path(data.haarcascades))
    return folders + [Path(folder) for folder in SYSTEM_FOLDERS]


def load_cascade(name: str, folders: Sequence[Path] | None = None) -> Any:
    """Load one cascade.

    Args:
        name: file name.
        folders: where to look; None: cascade_folders().

    Returns:
        A cv2.CascadeClassifier.

    Raises:
        ModelError: OpenCV has no cascades any more (5), or the file is missing or damaged.
    """
    maker: Any = getattr(cv2, 'CascadeClassifier', None)
    if maker is None:
        raise ModelError(
            f'OpenCV {cv2.__version__} has no CascadeClassifier: install OpenCV 4 '
            f'(pip: opencv-python-headless<5, Ubuntu: python3-opencv)'
        )
    places = cascade_folders() if folders is None else folders
    for folder in places:
        path = folder / name
        if not path.is_file():
            continue
        cascade = maker()
        try:
            good = cascade.load(str(path))
        except cv2.error as error:
            raise ModelError(f'face cascade {path} is damaged: {error.err}') from error
        if not good:
            raise ModelError(f'face cascade {path} is damaged')
        return cascade
    looked = ', '.join(str(folder) for folder in places)
    raise ModelError(
        f'face cascade {name} is not installed (looked in {looked}): install the package '
        f'opencv-data (Ubuntu) or opencv-python-headless<5 (pip)'
    )
