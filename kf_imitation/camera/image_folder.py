"""A folder of images as a source."""

import re
from pathlib import Path

import cv2
import numpy as np

from kf_imitation.camera.frame_source import FOLDER_FPS, UNKNOWN_CAMERA, camera_model
from kf_imitation.data_types import CameraModel, Frame, Image
from kf_imitation.errors import SourceError
from kf_imitation.parameters.settings import SourceSettings

IMAGE_SUFFIXES = frozenset(
    {'.png', '.jpg', '.jpeg', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm'}
)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts image2 before image10."""
    parts = re.split(r'(\d+)', name.lower())
    return [(0, int(part), '') if part.isdecimal() else (1, 0, part) for part in parts if part]


class ImageFolder:
    """The images of a folder in natural order, at a fixed rate.

    All images must have the size of the first: a resized face would count as movement. Hidden
    files and other suffixes are left out.
    """

    is_live = False

    def __init__(self, folder: Path, settings: SourceSettings) -> None:
        """Only remember; open() does the work.

        Args:
            folder: folder, or one image.
            settings: fps (0: 30), focal_px and start_ns matter.
        """
        self.name = str(folder)
        self.fps = settings.fps or FOLDER_FPS
        self.camera: CameraModel = UNKNOWN_CAMERA
        self.frame_count: int | None = None
        self._folder = folder
        self._settings = settings
        self._paths: list[Path] = []
        self._index = 0

    def open(self) -> None:
        """See FrameSource."""
        try:
            paths = list(self._folder.iterdir()) if self._folder.is_dir() else [self._folder]
        except OSError as error:
            raise SourceError(f'{self.name}: cannot be read: {error.strerror}') from error
        paths = [p for p in paths if _is_image(p)]
        if not paths:
            raise SourceError(
                f'{self.name}: holds no images ({", ".join(sorted(IMAGE_SUFFIXES))})'
            )
        self._paths = sorted(paths, key=lambda p: natural_key(p.name))
        self.frame_count = len(paths)
        self._index = 0
        height, width = self._load(self._paths[0]).shape[:2]
        self.camera = camera_model(width, height, self._settings.focal_px)

    def read(self) -> Frame | None:
        """See FrameSource."""
        paths = self._paths  # close() may empty it meanwhile
        if self._index >= len(paths):
            return None
        path = paths[self._index]
        image = self._load(path)
        size = (image.shape[1], image.shape[0])
        if size != (self.camera.width, self.camera.height):
            raise SourceError(
                f'{path}: is {size[0]}x{size[1]}, but {paths[0].name} is '
                f'{self.camera.width}x{self.camera.height}: all images must have one size'
            )
        stamp_ns = self._settings.start_ns + round(self._index / self.fps * 1e9)
        frame = Frame(self._index, stamp_ns, image)
        self._index += 1
        return frame

    def close(self) -> None:
        """See FrameSource."""
        self._paths = []

    def _load(self, path: Path) -> Image:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SourceError(f'{path}: cannot be read: {error.strerror}') from error
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        if image is None:
            raise SourceError(f'{path}: is not an image that can be decoded')
        return np.asarray(image, np.uint8)


def _is_image(path: Path) -> bool:
    hidden = path.name.startswith('.')
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
