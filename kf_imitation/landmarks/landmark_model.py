"""The landmark model on one face region.

Two looks: the first on the region as given finds the face, the second on the face turned upright
and centred finds the points. The second makes the points independent of how the region was cut.
"""

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import WFLW_POINTS, FaceRegion, FloatArray, Image, Landmarks
from kf_imitation.errors import ModelError
from kf_imitation.image_ops import crop
from kf_imitation.landmarks.layouts import LAYOUTS
from kf_imitation.mean_face import template
from kf_imitation.wflw import FLIP


class Model(Protocol):
    """What is needed of OnnxModel."""

    name: str
    entry: Any

    def run(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once."""
        ...


class LandmarkModel:
    """98 points of a face, whatever layout the model itself has.

    The manifest entry says `preprocessing.crop_px`, `preprocessing.looks` (1 or 2, default 1),
    `preprocessing.mirror` (the later looks also see the mirrored face and average; default false)
    and `layout` (`wflw98`, `ibug68` or `mediapipe478`, default `wflw98`).
    """

    def __init__(self, model: Model) -> None:
        """Check that the model is a landmark model.

        Args:
            model: with input `crop` uint8 (1, S, S, 3) BGR, output `points` (1, K, 2) in crop
                edges and, if it has one, `confidence` (1, K).

        Raises:
            ModelError: the manifest entry names an unknown layout or lacks the crop size.
        """
        self._model = model
        preprocessing = model.entry.get('preprocessing', {})
        layout = model.entry.get('layout', 'wflw98')
        if layout not in LAYOUTS:
            raise ModelError(
                f'model {model.name}: layout {layout!r} must be one of {", ".join(LAYOUTS)}'
            )
        if 'crop_px' not in preprocessing:
            raise ModelError(f'model {model.name}: the manifest lacks preprocessing.crop_px')
        self._layout = LAYOUTS[layout]
        self._crop_px = int(preprocessing['crop_px'])
        self._looks = int(preprocessing.get('looks', 1))
        self._mirror = bool(preprocessing.get('mirror', False))
        self._template = template()

    def predict(self, bgr: Image, region: FaceRegion, stamp_ns: int) -> Landmarks:
        """Find the points of the face in a region.

        Args:
            bgr: (H, W, 3) uint8.
            region: where the face is, in pixels of this image.
            stamp_ns: of the image, handed through.

        Returns:
            Landmarks in pixels of this image.
        """
        scale = region.size / self._crop_px
        first, confidence = self._look(crop(bgr, region, self._crop_px))
        corner = region.x - 0.5, region.y - 0.5
        points: NDArray[Any] = first * self._crop_px * scale + corner
        for _ in range(1, self._looks):
            matrix = upright_crop(points, self._template, self._crop_px)
            face = _cut(bgr, matrix, self._crop_px)
            look, confidence = self._look(face)
            found: NDArray[Any] = look
            if self._mirror:
                twin, sure = self._look(np.ascontiguousarray(face[:, ::-1]))
                mirrored = twin[FLIP] * (-1, 1) + (1, 0)
                found = (found + mirrored) / 2
                confidence = np.float32(0.5) * (confidence + sure[FLIP])
            pixels = found * self._crop_px - 0.5
            points = (pixels - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        return Landmarks(stamp_ns, points.astype(np.float32), confidence)

    def _look(self, face: Image) -> tuple[FloatArray, FloatArray]:
        outputs = self._model.run({'crop': face[None]})
        points = outputs['points'][0]
        confidence = outputs.get('confidence')
        if confidence is None:
            confidence = np.ones((1, len(points)), np.float32)
        if points.shape != (self._layout.points, 2):
            raise ModelError(
                f'model {self._model.name}: points have shape {points.shape}, '
                f'layout {self._layout.name} has {self._layout.points}'
            )
        return self._layout.to_wflw(points, confidence[0])


def upright_crop(
    points: NDArray[np.floating], target: NDArray[np.float32], crop_px: int
) -> NDArray[np.float64]:
    """The similarity that brings a face upright into a crop (least squares).

    Args:
        points: (98, 2) [px].
        target: (98, 2) in crop edges.
        crop_px: edge of the crop.

    Returns:
        (2, 3) from image pixels to crop pixels, integers being pixel centres in both.
    """
    assert len(points) == WFLW_POINTS
    source = points - points.mean(axis=0)
    goal = (target - target.mean(axis=0)) * crop_px
    norm = max(float((source * source).sum()), 1e-9)
    cosine = float((source * goal).sum()) / norm
    sine = float((source[:, 0] * goal[:, 1] - source[:, 1] * goal[:, 0]).sum()) / norm
    linear = np.array([[cosine, -sine], [sine, cosine]])
    shift = target.mean(axis=0) * crop_px - 0.5 - linear @ points.mean(axis=0)
    return np.hstack([linear, shift[:, None]])


def _cut(bgr: Image, matrix: NDArray[np.float64], crop_px: int) -> Image:
    """Sample a crop by a similarity; average first where it shrinks by more than two."""
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
            (crop_px, crop_px),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
