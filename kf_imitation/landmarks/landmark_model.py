"""The landmark model on one face region.

Two looks: the first on the region as given finds the face, the second on the face turned upright
and centred finds the points. The second makes the points independent of how the region was cut.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FaceRegion, FloatArray, Image, Landmarks
from kf_imitation.errors import ModelError
from kf_imitation.image_ops import crop
from kf_imitation.landmarks.alignment import cut, undo, upright_crop
from kf_imitation.landmarks.eyes import EyeModel
from kf_imitation.landmarks.layouts import LAYOUTS
from kf_imitation.landmarks.parts import PartModel
from kf_imitation.landmarks.readings import channel_readings
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

    def __init__(
        self, model: Model, eyes: EyeModel | None = None, parts: PartModel | None = None
    ) -> None:
        """Check that the model is a landmark model.

        Args:
            model: with input `crop` uint8 (1, S, S, 3) BGR, output `points` (1, K, 2) in crop
                edges and, if it has them, `confidence` (1, K) and `readings` (1, 54).
            eyes: looks at the eyes again, larger; None leaves lids and pupils as they are.
            parts: reads eyes and mouth from the face region; None does without.

        Raises:
            ModelError: the manifest entry names an unknown layout or lacks the crop size.
        """
        self._model = model
        self._eyes = eyes
        self._parts = parts
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
        first, confidence, read = self._look(crop(bgr, region, self._crop_px))
        corner = region.x - 0.5, region.y - 0.5
        points: NDArray[Any] = first * self._crop_px * scale + corner
        turned_rad = 0.0
        for _ in range(1, self._looks):
            matrix = upright_crop(points, self._template, self._crop_px)
            face = cut(bgr, matrix, (self._crop_px, self._crop_px))
            turned_rad = float(np.arctan2(matrix[1, 0], matrix[0, 0]))
            look, confidence, read = self._look(face)
            found: NDArray[Any] = look
            if self._mirror:
                twin, sure, _ = self._look(np.ascontiguousarray(face[:, ::-1]))
                mirrored = twin[FLIP] * (-1, 1) + (1, 0)
                found = (found + mirrored) / 2
                confidence = np.float32(0.5) * (confidence + sure[FLIP])
            points = undo(matrix, found * self._crop_px - 0.5)
        eyes: FloatArray | None = None
        if self._eyes is not None:
            points, eyes = self._eyes.refine(bgr, points)
        parts = None if self._parts is None else self._parts.read(bgr, region, points)
        readings = channel_readings(read, eyes, turned_rad, parts)
        return Landmarks(stamp_ns, points.astype(np.float32), confidence, readings)

    def _look(self, face: Image) -> tuple[FloatArray, FloatArray, FloatArray | None]:
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
        read = outputs.get('readings')
        found, sure = self._layout.to_wflw(points, confidence[0])
        return found, sure, None if read is None else read[0]
