"""A labelled clip as the methods of `evaluate --imitation` see it: computed once for all."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import (
    CHANNELS,
    Expression,
    FloatArray,
    FrameScore,
    HeadPose,
    Landmarks,
    Shapes,
)
from kf_imitation.errors import SourceError
from kf_imitation.evaluation.channel_labels import label_channels, label_shapes, mouth_aperture
from kf_imitation.evaluation.labels import load_labels
from kf_imitation.expression.reflex_estimator import ReflexEstimator
from kf_imitation.face.tracker import FaceTracker
from kf_imitation.inference import OnnxModel
from kf_imitation.keyframe.scoring.baselines import FrameDifference
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork, PairScorer
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.parameters.settings import first_model
from kf_imitation.pipeline.face_pipeline import build_expression_pipeline, cut_face, face_settings
from kf_imitation.pipeline.statistics import Ledger
from kf_imitation.replay.run import open_file, source_settings

Rows = NDArray[np.float64]
Reading = tuple[Landmarks, HeadPose]


@dataclass(frozen=True, slots=True)
class Clip:
    """All that the methods share; N frames.

    Attributes:
        name: of the clip.
        stamps_ns: (N,) int64.
        human: (N, 19) float64 channels from the labels.
        shapes: (N, 51) float32 blendshapes of the labels; None where only channels are known.
        valid: (N,) bool, frames whose labels count.
        readings: landmarks and head pose of each frame, None without a face.
        scores: raw, of the keyframe model.
        differences: raw, of the frame difference.
        smoothing: of the model's scores.
        reflexes: of each frame, None without a face.
        aperture: (N,) of the mouth, 0..1, from the labels; None where they have no points.
    """

    name: str
    stamps_ns: NDArray[np.int64]
    human: Rows
    valid: NDArray[np.bool_]
    readings: Sequence[Reading | None]
    scores: Sequence[FrameScore]
    differences: Sequence[FrameScore]
    smoothing: Smoothing = field(default_factory=Smoothing)
    aperture: Rows | None = None
    reflexes: Sequence[Expression | None] = ()
    shapes: FloatArray | None = None

    def labelled(self, frame: int) -> Expression:
        """Return what the labels say of a frame."""
        shapes = None
        if self.shapes is not None:
            shapes = Shapes(self.shapes[frame], np.ones(self.shapes.shape[1], np.float32))
        values = self.human[frame].astype(np.float32)
        sure = np.ones(len(CHANNELS), np.float32)
        return Expression(int(self.stamps_ns[frame]), values, sure, shapes)

    @property
    def duration_s(self) -> float:
        """From the first to the last frame."""
        return float(self.stamps_ns[-1] - self.stamps_ns[0]) * 1e-9


class ClipReader:
    """Reads clips.

    Args:
        values: parameters of all nodes.
    """

    def __init__(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        keyframe = values['keyframe']
        self._values = values
        self._model = OnnxModel.load(first_model(keyframe['model']), keyframe['threads'])
        self._pipeline = build_expression_pipeline(values['landmarks'], Ledger())

    def read(self, path: Path, most_s: float = math.inf) -> Clip:
        """Read a labelled clip.

        Args:
            path: the video, its labels next to it.
            most_s: where to stop [s].

        Raises:
            SourceError: video or labels are missing or do not belong together.
        """
        labels = load_labels(path.with_suffix('.npz'), points=False)
        human = label_channels(labels.blendshapes, labels.names, labels.head_pose)
        tracker = FaceTracker(face_settings(self._values['keyframe']))
        scorer = PairScorer(ChangeNetwork(self._model))
        difference = PairScorer(FrameDifference())
        reader = ReflexEstimator(self._values['landmarks']['learn_neutral'])
        self._pipeline.reset()
        source = open_file(str(path), source_settings(dict(self._values['camera'])))
        stamps: list[int] = []
        readings, scores, differences, reflexes = [], [], [], []
        try:
            most = most_s * labels.fps
            while len(stamps) < most and (frame := source.read()) is not None:
                region = tracker.update(frame)
                stamps.append(frame.stamp_ns)
                scores.append(scorer.score(frame, region))
                reflexes.append(reader.update(scores[-1]))
                differences.append(difference.score(frame, region))
                reading = None
                if region is not None:
                    crop_px = self._values['keyframe']['crop_px']
                    found = self._pipeline.run(cut_face(frame, region, crop_px), source.camera)
                    reading = found.landmarks, found.pose
                readings.append(reading)
        finally:
            source.close()
        count = min(len(stamps), len(human))
        if (count < most and abs(len(stamps) - len(human)) > 2) or count < 2:
            raise SourceError(f'{path}: {len(stamps)} frames, but labels of {len(human)}')
        aperture = None
        if labels.has_points:
            aperture = mouth_aperture(labels.landmarks_px, labels.head_pose)[:count]
        return Clip(
            path.stem,
            np.array(stamps[:count], np.int64),
            human[:count].astype(np.float64),
            labels.valid[:count],
            readings[:count],
            scores[:count],
            differences[:count],
            Smoothing.of_model(self._model.entry),
            aperture,
            reflexes[:count],
            label_shapes(labels.blendshapes, labels.names)[:count].astype(np.float32),
        )
