"""A folder of images as a source."""

import re
from pathlib import Path

from kf_imitation.camera.encodings import decoded
from kf_imitation.camera.frame_source import FOLDER_FPS, MOST_BAD, UNKNOWN_CAMERA, camera_model
from kf_imitation.camera.left_out import LeftOut
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

    Images that cannot be decoded, or have another size than the first good one, are left out: a
    resized face would count as movement. Hidden files and other suffixes are no images.
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
        self.left_out = LeftOut(self.name)
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
        self.left_out = LeftOut(self.name)
        height, width = self._first_size()
        self.camera = camera_model(width, height, self._settings.focal_px)

    def read(self) -> Frame | None:
        """See FrameSource."""
        paths = self._paths  # close() may empty it meanwhile
        while self._index < len(paths):
            index, path = self._index, paths[self._index]
            self._index += 1
            try:
                image = self._load(path)
                self._require_size(image)
            except SourceError as error:
                self.left_out.add(path.name, str(error))
                continue
            self.left_out.good()
            stamp_ns = self._settings.start_ns + round(index / self.fps * 1e9)
            return Frame(index, stamp_ns, image)
        return None

    def close(self) -> None:
        """See FrameSource."""
        self._paths = []

    def _first_size(self) -> tuple[int, int]:
        """Return height and width of the first good image."""
        reasons = []
        for path in self._paths[:MOST_BAD]:
            try:
                height, width = self._load(path).shape[:2]
            except SourceError as error:
                reasons.append(f'{path.name}: {error}')
            else:
                return height, width
        raise SourceError(f'{self.name}: not one image can be decoded; {reasons[0]}')

    def _load(self, path: Path) -> Image:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SourceError(f'cannot be read: {error.strerror}') from error
        if not data:
            raise SourceError('is empty')
        return decoded(data, 'is not an image that can be decoded')

    def _require_size(self, image: Image) -> None:
        size, wanted = image.shape[1::-1], (self.camera.width, self.camera.height)
        if size != wanted:
            raise SourceError(
                f'is {size[0]}x{size[1]}, the others {wanted[0]}x{wanted[1]}: all images must '
                f'have one size'
            )


def _is_image(path: Path) -> bool:
    hidden = path.name.startswith('.')
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
