"""The landmark model on one face region.

Two passes: the first on the region as given finds the face, the second on the face turned upright
and centred finds the points. The second makes the points independent of how the region was cut.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import (
    BLENDSHAPES,
    HEAD_CHANNELS,
    UNIT_CHANNELS,
    WFLW_POINTS,
    FaceRegion,
    FloatArray,
    Image,
    Landmarks,
)
from kf_imitation.errors import ModelError
from kf_imitation.face_geometry import wflw
from kf_imitation.face_geometry.arkit import (
    bounded_logits,
    channels_of_blendshapes,
    mirrored_name,
)
from kf_imitation.face_geometry.head_pose import angles_of, rotation_of, template
from kf_imitation.face_geometry.point_sets import LAYOUTS
from kf_imitation.face_geometry.wflw import FLIP
from kf_imitation.inference import crop, cut, undo, upright_crop
from kf_imitation.landmarks.patches import (
    EYE_BLENDSHAPES,
    PREDICTIONS,
    EyeModel,
    PartModel,
    both_sides,
    eyes_are_hidden,
)

Values = NDArray[np.float64]
# Weight of the part model against the landmark and the eye model, by the beginning of the
# blendshape's name, the first that fits; chosen on held-out training people
# (training/landmarks/fit/blend_weights.py).
PART_WEIGHT = {
    'eyeWide': 0.0, 'eye': 0.8, 'browDown': 0.8, 'brow': 0.6, 'jaw': 0.7, 'mouthPress': 1.0,
    'mouth': 0.5, 'cheek': 0.5,
}  # fmt: skip
_PART_WEIGHT = np.array(
    [
        next((w for start, w in PART_WEIGHT.items() if name.startswith(start)), 1.0)
        for name in BLENDSHAPES
    ]
)
# Of points that are not seen behind dark glasses, which hide brows or change how they look.
_BEHIND_GLASSES = np.ones(WFLW_POINTS, np.float32)
_BEHIND_GLASSES[
    [
        *wflw.LEFT_EYE, *wflw.RIGHT_EYE, wflw.LEFT_PUPIL, wflw.RIGHT_PUPIL,
        *wflw.LEFT_BROW, *wflw.RIGHT_BROW,
    ]
] = 0.1  # fmt: skip
_EYES = both_sides(EYE_BLENDSHAPES[:PREDICTIONS])
_UNIT = slice(0, len(UNIT_CHANNELS))
_HEAD = slice(-len(HEAD_CHANNELS), None)
_MIRRORED = [BLENDSHAPES.index(mirrored_name(name)) for name in BLENDSHAPES]


class Model(Protocol):
    """What is needed of OnnxModel."""

    name: str
    entry: Any

    def run(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once."""
        ...


class FacePrediction(NamedTuple):
    """What the models of the landmark stage predict for one face, before it is put together.

    Attributes:
        points_px: (98, 2) float32 in pixels of the image, lids and pupils by the eye model.
        confidence: (98,) float32, 0..1.
        head: (54,) of the landmark model, angles in the image; None without.
        eyes: (2, 7) logits of the eye model; None without.
        parts: (51,) logits of the part model, as PartModel.predict; None without.
    """

    points_px: FloatArray
    confidence: FloatArray
    head: FloatArray | None
    eyes: FloatArray | None
    parts: Values | None

    def landmarks(self, stamp_ns: int, part_weight: Values | float = _PART_WEIGHT) -> Landmarks:
        """Put it together; part_weight as in blendshape_predictions."""
        shapes = blendshape_predictions(self.head, self.eyes, self.parts, part_weight)
        predictions = channel_predictions(shapes, self.head)
        shown = None if shapes is None else shapes.astype(np.float32)
        return Landmarks(stamp_ns, self.points_px, self.confidence, predictions, shown)


class CropPrediction(NamedTuple):
    """What the landmark model predicts for one crop.

    Attributes:
        points: (98, 2) in crop edges.
        confidence: (98,).
        head: (54,) logits of blendshapes, then angles in the crop; None without.
    """

    points: FloatArray
    confidence: FloatArray
    head: FloatArray | None

    def mirrored(self) -> 'CropPrediction':
        """The same of the mirrored crop."""
        points = self.points[FLIP] * (-1, 1) + (1, 0)
        head = None if self.head is None else mirrored_head(self.head)
        return CropPrediction(points, self.confidence[FLIP], head)


class LandmarkModel:
    """98 points of a face, whatever layout the model itself has.

    The manifest entry says `layout` (`wflw98`, `ibug68` or `mediapipe478`, default `wflw98`) and,
    under `preprocessing`:

    - `crop_px`: edge of the crop;
    - `passes`: 1 or 2, default 1;
    - `mirror`: the later pass also sees the mirrored face and averages, which takes half as long
      again; default false;
    - `first_weight`: how much the first pass counts against the later one, default 0: two crops of
      a face err differently, their mean less than either.
    """

    def __init__(
        self, model: Model, eyes: EyeModel | None = None, parts: PartModel | None = None
    ) -> None:
        """Check that the model is a landmark model.

        Args:
            model: with input `crop` uint8 (1, S, S, 3) BGR, output `points` (1, K, 2) in crop
                edges and, if it has them, `confidence` (1, K) and `readings` (1, 54).
            eyes: refines the eyes, larger; None leaves lids and pupils as they are.
            parts: predicts eyes and mouth from the face region; None does without.

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
        self._passes = int(preprocessing.get('passes', 1))
        self._mirror = bool(preprocessing.get('mirror', False))
        self._first_weight = float(preprocessing.get('first_weight', 0.0))
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
        return self.infer(bgr, region).landmarks(stamp_ns)

    def infer(self, bgr: Image, region: FaceRegion) -> FacePrediction:
        """Run the models; `predict` puts their answers together."""
        scale = region.size / self._crop_px
        found = self._infer(crop(bgr, region, self._crop_px))
        corner = np.array([region.x - 0.5, region.y - 0.5])
        first: NDArray[Any] = found.points * self._crop_px * scale + corner
        points, head = first, found.head
        for _ in range(1, self._passes):
            matrix = upright_crop(points, self._template, self._crop_px)
            found = self._infer_upright(cut(bgr, matrix, (self._crop_px, self._crop_px)))
            points = undo(matrix, found.points * self._crop_px - 0.5)
            if found.head is not None and head is not None:
                upright = turned_back(found.head, float(np.arctan2(matrix[1, 0], matrix[0, 0])))
                head = upright + np.float32(self._first_weight) * (head - upright)
        points = points + self._first_weight * (first - points)
        eyes: FloatArray | None = None
        if self._eyes is not None:
            points, eyes = self._eyes.refine(bgr, points)
        parts = None if self._parts is None else self._parts.predict(bgr, region, points)
        sure = found.confidence
        if eyes_are_hidden(bgr, points):
            sure = sure * _BEHIND_GLASSES
        return FacePrediction(points.astype(np.float32), sure, head, eyes, parts)

    def _infer_upright(self, face: Image) -> CropPrediction:
        """Run on an upright face, and on its mirror image if the manifest says so."""
        one = self._infer(face)
        if not self._mirror:
            return one
        twin = self._infer(np.ascontiguousarray(face[:, ::-1])).mirrored()
        half = np.float32(0.5)
        head = None if one.head is None or twin.head is None else half * (one.head + twin.head)
        points, confidence = one.points + twin.points, one.confidence + twin.confidence
        return CropPrediction(half * points, half * confidence, head)

    def _infer(self, face: Image) -> CropPrediction:
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
        head = outputs.get('readings')
        sure = confidence[0]
        if self._layout.name != 'wflw98':
            points, sure = self._layout.to_wflw(points, sure)
        return CropPrediction(points, sure, None if head is None else head[0])


def blendshape_predictions(
    head: NDArray[np.floating] | None,
    eyes: NDArray[np.floating] | None,
    parts: Values | None = None,
    part_weight: Values | float = _PART_WEIGHT,
) -> Values | None:
    """Put the predictions of the three models together.

    Args:
        head: (54,) of the landmark model: logits of BLENDSHAPES, then yaw, pitch and roll [rad] of
            the head in the image; None without.
        eyes: (2, 7) of the eye model: logits, right eye first; they take the place of the
            landmark model's for the eyes; None without.
        parts: (51,) logits of the part model, NaN where it predicts nothing; None without.
        part_weight: (51,) how much those count against the others, or one for all.

    Returns:
        (51,) float64 as Landmarks.blendshapes; None without any.
    """
    if head is None and eyes is None and parts is None:
        return None
    logits = np.full(len(BLENDSHAPES), np.nan)
    if head is not None:
        logits[:] = head[: len(BLENDSHAPES)]
    if eyes is not None:
        logits[_EYES] = eyes
    if parts is not None:
        logits = np.where(np.isnan(logits), parts, logits)
        logits += part_weight * np.where(np.isnan(parts), 0.0, parts - logits)
    return np.asarray(1 / (1 + np.exp(-logits)))


def channel_predictions(
    shapes: Values | None, head: NDArray[np.floating] | None
) -> FloatArray | None:
    """Turn blendshapes into channels.

    Args:
        shapes: (51,) of blendshape_predictions.
        head: (54,) as there, for its angles.

    Returns:
        (19,) as Landmarks.predictions; None without blendshapes.
    """
    if shapes is None:
        return None
    found = channels_of_blendshapes(shapes)
    found[_UNIT] = bounded_logits(found[_UNIT])
    if head is not None:
        found[_HEAD] = head[len(BLENDSHAPES) :]
    return found.astype(np.float32)


def turned_back(head: NDArray[np.floating], turned_rad: float) -> FloatArray:
    """Turn predictions of a turned crop into those of the image.

    Args:
        head: (54,) as in blendshape_predictions, angles as the crop shows the head.
        turned_rad: how far the crop was turned against the image, clockwise as seen.

    Returns:
        (54,) float32.
    """
    c, s = np.cos(turned_rad), np.sin(turned_rad)
    back = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])  # axes x right, y down
    angles = (float(angle) for angle in head[len(BLENDSHAPES) :])
    found = np.array(head, np.float32)
    found[len(BLENDSHAPES) :] = angles_of(back @ rotation_of(*angles))
    return found


def mirrored_head(head: NDArray[np.floating]) -> FloatArray:
    """Predictions of a face of which these are those of its mirror image: (54,) float32."""
    angles = head[len(BLENDSHAPES) :] * (-1, 1, -1)  # yaw and roll change their sign
    return np.concatenate([head[_MIRRORED], angles]).astype(np.float32)
