"""Faces of an image by OpenCV's Haar cascades, as canonical regions."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FaceRegion, Image
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
# From the cascade's box (edge w, centre c) to the canonical region: centre = c + w * (x, y),
# edge = w * scale. Medians over the train clips: training/face/fit_region.py.
FRONTAL_OFFSET_X = 0.0
FRONTAL_OFFSET_Y = 0.083
FRONTAL_SCALE = 1.20
PROFILE_OFFSET_X = -0.115
PROFILE_OFFSET_Y = 0.115
PROFILE_SCALE = 1.15

# A whole frame is searched on a copy of this long edge, larger if the smallest face needs it.
SEARCH_EDGE_PX = 320
SMALLEST_BOX_PX = 24  # alt2 is trained at 20
# While following, detection runs on a window around the face, sampled so that the canonical
# region has this edge; below about 48 px the cascade misses, above it only gets slower.
PATCH_REGION_PX = 60
PATCH_PX = 96  # edge of the window: 1.6 regions
ROLLS_DEG = (-28.0, 28.0)  # the frontal cascade tolerates about +-15 degrees


@dataclass(frozen=True, slots=True)
class Found:
    """A detected face.

    Attributes:
        region: canonical.
        weight: number of raw boxes that agreed; more is surer.
        frontal: by the frontal cascade.
    """

    region: FaceRegion
    weight: int
    frontal: bool


class FaceDetector:
    """Two cascades; one instance per thread."""

    def __init__(self, minimum_px: float) -> None:
        """Load the cascades.

        Args:
            minimum_px: smallest face region that counts [px].

        Raises:
            ModelError: the cascades are missing.
        """
        self._minimum_px = minimum_px
        self._frontal = load_cascade(FRONTAL)
        self._profile = load_cascade(PROFILE)

    def search(self, bgr: Image, rolled: bool = False, profiles: bool = True) -> list[Found]:
        """Find faces in a whole frame, largest first.

        Frontal faces; where there is none, profiles of both sides.

        Args:
            bgr: (H, W, 3).
            rolled: where there are none of those, try heads tilted by ROLLS_DEG too.
            profiles: False: frontal faces only, and none tilted.
        """
        height, width = bgr.shape[:2]
        smallest = self._minimum_px / FRONTAL_SCALE
        scale = min(1.0, max(SEARCH_EDGE_PX / max(width, height), SMALLEST_BOX_PX / smallest))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA) if scale < 1 else bgr
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        lowest = max(20, int(smallest * scale))
        found = self._detect(grey, lowest, min(grey.shape), 1.1, 3, rolled, profiles)
        factor = size[0] / width
        regions = [
            Found(_scaled(f.region, 1 / factor, 0.0, 0.0), f.weight, f.frontal) for f in found
        ]
        return sorted(regions, key=lambda f: -f.region.size)

    def detect_near(
        self, patch: NDArray[np.uint8], expected: FaceRegion, thorough: bool
    ) -> Found | None:
        """Find the one face of a window around an expected region.

        Args:
            patch: (96, 96) grey, see PATCH_PX.
            expected: in patch pixels, edge about PATCH_REGION_PX.
            thorough: try profiles and rolled heads when there is no frontal face.

        Returns:
            The face nearest to the expected one, in patch pixels, or None.
        """
        box = expected.size / FRONTAL_SCALE
        found = self._detect(
            patch, max(20, int(0.72 * box)), int(1.4 * box), 1.08, 2, thorough, thorough
        )
        centre_x, centre_y = expected.x + expected.size / 2, expected.y + expected.size / 2

        def distance(f: Found) -> float:
            half = f.region.size / 2
            return float(np.hypot(f.region.x + half - centre_x, f.region.y + half - centre_y))

        near = [f for f in found if distance(f) < 0.4 * expected.size]
        return min(near, key=distance) if near else None

    def _detect(
        self,
        grey: NDArray[np.uint8],
        lowest: int,
        highest: int,
        step: float,
        neighbours: int,
        rolled: bool,
        profiles: bool = True,
    ) -> list[Found]:
        """Try the cascades in turn until one finds something."""
        found = self._run(self._frontal, grey, lowest, highest, step, neighbours)
        if found or not profiles:
            return [_frontal_found(box, weight) for box, weight in found]
        found = self._run(self._profile, grey, lowest, highest, step, neighbours)
        mirrored = np.ascontiguousarray(grey[:, ::-1])
        left = [_profile_found(box, weight, 1) for box, weight in found]
        found = self._run(self._profile, mirrored, lowest, highest, step, neighbours)
        width = grey.shape[1]
        right = [
            _profile_found((width - x - w, y, w, h), weight, -1) for (x, y, w, h), weight in found
        ]
        if left or right or not rolled:
            return left + right
        for angle in ROLLS_DEG:
            centre = (grey.shape[1] / 2, grey.shape[0] / 2)
            matrix = cv2.getRotationMatrix2D(centre, angle, 1.0)
            turned = np.asarray(
                cv2.warpAffine(grey, matrix, grey.shape[::-1], borderMode=cv2.BORDER_REPLICATE),
                np.uint8,
            )
            found = self._run(self._frontal, turned, lowest, highest, step, neighbours)
            if found:
                back = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
                return [_turned_back(_frontal_found(b, n), back) for b, n in found]
        return []

    @staticmethod
    def _run(
        cascade: Any,
        grey: NDArray[np.uint8],
        lowest: int,
        highest: int,
        step: float,
        neighbours: int,
    ) -> list[tuple[tuple[int, int, int, int], int]]:
        boxes, counts = cascade.detectMultiScale2(
            grey,
            scaleFactor=step,
            minNeighbors=neighbours,
            minSize=(lowest, lowest),
            maxSize=(highest, highest),
        )
        return [
            ((int(x), int(y), int(w), int(h)), int(count))
            for (x, y, w, h), count in zip(boxes, np.ravel(counts), strict=True)
        ]


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
        folders: to search; None: cascade_folders().

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
    searched = ', '.join(str(folder) for folder in places)
    raise ModelError(
        f'face cascade {name} is not installed (searched: {searched}): sudo apt install '
        f'opencv-data, or pip install "opencv-python-headless<5" where OpenCV is that of pip'
    )


def _frontal_found(box: tuple[int, int, int, int], weight: int) -> Found:
    region = box_to_region(box, FRONTAL_OFFSET_X, FRONTAL_OFFSET_Y, FRONTAL_SCALE)
    return Found(region, weight, True)


def _profile_found(box: tuple[int, int, int, int], weight: int, side: int) -> Found:
    region = box_to_region(box, side * PROFILE_OFFSET_X, PROFILE_OFFSET_Y, PROFILE_SCALE)
    return Found(region, weight, False)


def box_to_region(
    box: tuple[float, float, float, float], offset_x: float, offset_y: float, scale: float
) -> FaceRegion:
    """Map a cascade's box (x, y, width, height) to the canonical region."""
    x, y, width, height = box
    centre_x = x + width / 2 + offset_x * width
    centre_y = y + height / 2 + offset_y * width
    size = width * scale
    return FaceRegion(centre_x - size / 2, centre_y - size / 2, size)


def _turned_back(found: Found, matrix: NDArray[np.float64]) -> Found:
    half = found.region.size / 2
    x, y = matrix @ (found.region.x + half, found.region.y + half, 1.0)
    region = FaceRegion(float(x) - half, float(y) - half, found.region.size)
    return Found(region, found.weight, found.frontal)


def _scaled(region: FaceRegion, factor: float, x: float, y: float) -> FaceRegion:
    return FaceRegion(region.x * factor + x, region.y * factor + y, region.size * factor)
