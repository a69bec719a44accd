"""Run ONNX models with bounded threads; cut the crops that they see, map their results back.

Start with __init__.py and optimised_models.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kf_imitation.data_types import WFLW_POINTS, FaceRegion, Image
from kf_imitation.errors import ModelError
from kf_imitation.inference.optimised_models import LOAD_ERRORS, open_session
from kf_imitation.model_files import find_model_file

Array = np.ndarray[Any, np.dtype[Any]]
THREADS = 1  # a second one gains nothing on kernels of a few microseconds, and costs hand-offs


class OnnxModel:
    """One ONNX file of the manifest.

    Attributes:
        name: in the manifest.
        entry: its manifest section (inputs, preprocessing, outputs, measured figures …).
        input_shapes: by name.
        output_names: in order.
    """

    def __init__(self, name: str, entry: Mapping[str, Any], file: Path, threads: int) -> None:
        self.name = name
        self.entry = entry

        def options() -> onnxruntime.SessionOptions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads or THREADS
            options.inter_op_num_threads = 1
            # Threads that wait sleep: spinning would starve the bus thread and the camera.
            options.add_session_config_entry('session.intra_op.allow_spinning', '0')
            options.log_severity_level = 3
            return options

        try:
            self._session = open_session(name, str(entry.get('sha256', '')), file, options)
        except LOAD_ERRORS as error:
            raise ModelError(f'model {name} ({file}) cannot be loaded: {error}') from error
        self.output_names = [output.name for output in self._session.get_outputs()]
        self.input_shapes = {i.name: tuple(i.shape) for i in self._session.get_inputs()}

    @classmethod
    def load(cls, name: str, threads: int = 0, manifest: Path | None = None) -> 'OnnxModel':
        """Load a model by its name in the manifest.

        Args:
            name: key in the manifest.
            threads: for the runtime; 0: THREADS.
            manifest: another manifest than the package's own; files lie next to it.

        Raises:
            ModelError: unknown name, missing or altered file, or a file that is no model.
        """
        entry, file = find_model_file('models', name, manifest)
        return cls(name, entry, file, threads)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Args:
            feeds: arrays by input name, with the shapes and dtypes of the manifest.

        Returns:
            Arrays by output name.
        """
        return dict(zip(self.output_names, self._session.run(None, dict(feeds)), strict=True))


def crop(bgr: Image, region: FaceRegion, size_px: int) -> Image:
    """Cut the square region out of an image and scale it.

    Args:
        bgr: (H, W, 3) uint8.
        region: may reach over the border; the border's pixels are repeated there.
        size_px: edge of the result [px].

    Returns:
        (size_px, size_px, 3) uint8. Shrinking averages over areas, so small movements do not
        alias; growing is bilinear. An image that is the crop already is returned itself.
    """
    whole = bgr.shape[:2] == (size_px, size_px)
    if whole and (region.x, region.y, region.size) == (0, 0, size_px):
        return bgr
    scale = size_px / region.size
    # Pixel centres: output u sees input x + (u + 0.5) / scale - 0.5.
    offset = 0.5 / scale - 0.5
    matrix = np.array([[1 / scale, 0, region.x + offset], [0, 1 / scale, region.y + offset]])
    source = bgr
    if scale < 0.5:
        # warpAffine samples points; average first by a whole factor, then sample.
        factor = min(int(1 / scale), *bgr.shape[:2])
        source, shift = _shrink_around(bgr, region, factor)
        matrix = matrix / factor
        matrix[:, 2] = (
            np.array([region.x + offset, region.y + offset]) - shift + 0.5
        ) / factor - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(  # type: ignore[no-any-return]
        source, matrix, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def channel_mean(bgr: Image) -> NDArray[np.uint8]:
    """Return the (H, W) uint8 mean of the channels of a (H, W, 3) uint8 image, rounded."""
    blue, green, red = cv2.split(bgr)
    total = np.add(blue, green, dtype=np.uint16)
    total += red
    total += 1  # a third is rounded down, two thirds up
    total //= 3
    return np.asarray(total, np.uint8)


def _shrink_around(
    bgr: Image, region: FaceRegion, factor: int
) -> tuple[Image, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Average blocks of factor x factor pixels around the region; return it and its origin."""
    height, width = bgr.shape[:2]
    left, columns = _blocks(region.x, region.size, width, factor)
    top, rows = _blocks(region.y, region.size, height, factor)
    part = bgr[top : top + rows * factor, left : left + columns * factor]
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    return small, np.array([left, top], np.float64)


def _blocks(start: float, size: float, limit: int, factor: int) -> tuple[int, int]:
    """Return the first pixel and the number of whole blocks that cover a span and its margin."""
    margin = 2 * factor
    low = min(max(0, int(start) - margin), limit - factor)
    high = min(limit, max(int(start + size) + margin, low + factor))
    return low, max(1, (high - low) // factor)


def similarity(points: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The turn, size and shift that bring points nearest to others (least squares).

    Args:
        points: (P, 2).
        target: (P, 2).

    Returns:
        (2, 3).
    """
    source, goal = points - points.mean(axis=0), target - target.mean(axis=0)
    norm = max(float((source * source).sum()), 1e-9)
    cosine = float((source * goal).sum()) / norm
    sine = float((source[:, 0] * goal[:, 1] - source[:, 1] * goal[:, 0]).sum()) / norm
    linear = np.array([[cosine, -sine], [sine, cosine]])
    shift = target.mean(axis=0) - linear @ points.mean(axis=0)
    return np.hstack([linear, shift[:, None]])


def upright_crop(
    points: NDArray[np.floating], target: NDArray[np.float32], crop_px: int
) -> NDArray[np.float64]:
    """The similarity that brings a face upright into a crop.

    Args:
        points: (98, 2) [px].
        target: (98, 2) in crop edges.
        crop_px: edge of the crop.

    Returns:
        (2, 3) from image pixels to crop pixels, integers being pixel centres in both.
    """
    assert len(points) == WFLW_POINTS
    return similarity(points, target * crop_px - 0.5)


def undo(matrix: NDArray[np.floating], points: NDArray[Any]) -> NDArray[Any]:
    """Bring (..., 2) points of a crop back into what a (2, 3) matrix cut it from."""
    return np.asarray((points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T)


def cut(bgr: Image, matrix: NDArray[np.float64], size_px: tuple[int, int]) -> Image:
    """Sample a crop by a similarity; average first where it shrinks by more than two.

    Args:
        bgr: (H, W, 3) uint8.
        matrix: (2, 3) from image pixels to crop pixels.
        size_px: width and height of the crop.

    Returns:
        (height, width, 3) uint8; beyond the border its pixels are repeated.
    """
    scale = float(np.hypot(*matrix[:, 0]))
    if scale < 0.5:
        factor = int(1 / scale)
        size = max(1, bgr.shape[1] // factor), max(1, bgr.shape[0] // factor)
        ratio = np.array([bgr.shape[1], bgr.shape[0]], np.float64) / size
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        matrix = matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ (ratio / 2 - 0.5)
        matrix[:, :2] *= ratio
    return np.asarray(
        cv2.warpAffine(
            bgr,
            matrix,
            size_px,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
