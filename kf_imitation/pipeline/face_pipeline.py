"""The stages put together, once, for nodes, replays and evaluation.

FacePipeline runs on every frame and ends in keyframes; ExpressionPipeline runs on keyframes only.
Both are deterministic: no wall clock, only the stamps of the frames.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from kf_imitation.data_types import (
    CameraModel,
    Expression,
    FaceImage,
    FaceRegion,
    FloatArray,
    Frame,
    FrameScore,
    HeadPose,
    Keyframe,
    Landmarks,
)
from kf_imitation.errors import ModelError
from kf_imitation.expression.calibration import Calibration
from kf_imitation.expression.calibration_file import load_calibration
from kf_imitation.expression.channels import Levels, raw_channels
from kf_imitation.expression.keyframe_estimator import ExpressionEstimator
from kf_imitation.face.tracker import FaceTracker
from kf_imitation.face_geometry.head_pose import solve_head_pose
from kf_imitation.inference import OnnxModel
from kf_imitation.keyframe.explanation import Explanation, explain_pair
from kf_imitation.keyframe.scoring.pair_scorer import (
    LONGEST_PAIR_S,
    ChangeNetwork,
    Comparison,
    PairScorer,
    ScoredPair,
)
from kf_imitation.keyframe.selection.selector import KeyframeSelector, Selection
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.landmarks.landmark_model import LandmarkModel
from kf_imitation.landmarks.patches import EyeModel, PartModel
from kf_imitation.parameters.definition import settings_from
from kf_imitation.parameters.settings import (
    DetectorSettings,
    ExpressionSettings,
    FaceSettings,
    KeyframeSettings,
    LandmarksSettings,
    first_model,
)
from kf_imitation.pipeline.statistics import FAR_APART, Ledger

# A keyframe is committed within commit_delay_s plus the frame that shows it; slower cameras wait
# longer for that frame, so the crops are kept a little longer than the delay.
_CROP_MARGIN_S = 0.5
# Frames up to this size (1280 x 720) wait whole until one of them is chosen; of larger ones the
# crop is cut at once, because half a second of them would fill the memory.
_HELD_BYTES = 3_000_000


class FrameScorer(Protocol):
    """What FacePipeline needs of a PairScorer."""

    @property
    def pair(self) -> ScoredPair | None:
        """What a network compared for the newest frame; None without."""
        ...

    @property
    def comparison(self) -> Comparison:
        """What compares the frames."""
        ...

    def go_over_to(self, comparison: Comparison) -> None:
        """Compare otherwise from the next frame on."""
        ...

    def score(self, frame: Frame, region: FaceRegion | None) -> FrameScore:
        """Score a frame against the one before it."""
        ...

    def reset(self) -> None:
        """Forget the previous frame."""
        ...


@dataclass(frozen=True, slots=True)
class ChosenFrame:
    """A keyframe and the face in it.

    Attributes:
        keyframe: which frame, and why it passed.
        face: cut out of it.
        pair: what the network compared, for `FacePipeline.explain`; None where the scorer keeps
            nothing of the kind.
        change: (54,) smoothed change vector that the score was made from, or None.
    """

    keyframe: Keyframe
    face: FaceImage
    pair: ScoredPair | None = None
    change: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class FaceStep:
    """What one frame brought.

    Attributes:
        region: where the face is in this frame; None without a face.
        state: of the face tracker, as a sentence.
        scores: final scores that became known now, oldest first; each frame's comes once, late by
            the smoother's look-ahead.
        chosen: keyframes committed now, oldest first.
        raw: score of this frame before smoothing; None where no frame was pushed.
    """

    region: FaceRegion | None
    state: str
    scores: tuple[FrameScore, ...]
    chosen: tuple[ChosenFrame, ...]
    raw: FrameScore | None = None


@dataclass(frozen=True, slots=True)
class _KeptFrame:
    """A frame that may yet become a keyframe, or the face cut out of it."""

    index: int
    stamp_ns: int
    face: FaceImage | Frame
    region: FaceRegion
    pair: ScoredPair | None


class FacePipeline:
    """Face region, score and keyframes of a stream of frames."""

    def __init__(
        self,
        tracker: FaceTracker,
        scorer: FrameScorer,
        selector: KeyframeSelector,
        crop_px: int,
        ledger: Ledger,
    ) -> None:
        self._tracker = tracker
        self._scorer = scorer
        self._selector = selector
        self._crop_px = crop_px
        self._ledger = ledger
        self._kept: deque[_KeptFrame] = deque()
        self._newest_ns: int | None = None

    @property
    def network(self) -> ChangeNetwork | None:
        """What compares the frames; None for a baseline."""
        comparison = self._scorer.comparison
        return comparison if isinstance(comparison, ChangeNetwork) else None

    def score_with(self, network: ChangeNetwork) -> None:
        """Score with another network from the next frame on; smoothing stays as it is."""
        self._scorer.go_over_to(network)

    @property
    def settings(self) -> DetectorSettings:
        """The detector's settings in force."""
        return self._selector.settings

    @property
    def smoothing(self) -> Smoothing:
        """How the scores are smoothed."""
        return self._selector.smoothing

    def push(self, frame: Frame) -> FaceStep:
        """Take the next frame.

        Args:
            frame: later than every frame before it.

        Returns:
            The scores and keyframes that this frame made final.
        """
        with self._ledger.timed('face'):
            region = self._tracker.update(frame)
        with self._ledger.timed('score'):
            raw = self._scorer.score(frame, region)
        self._keep(frame, region)
        with self._ledger.timed('detect'):
            step = self._finish(self._selector.push(raw))
        self._drop_judged(frame.stamp_ns)
        self._ledger.add('frames')
        self._ledger.add('scored' if raw.score is not None else 'unscored')
        before_ns, self._newest_ns = self._newest_ns, frame.stamp_ns
        if before_ns is not None and frame.stamp_ns - before_ns > LONGEST_PAIR_S * 1e9:
            self._ledger.add(FAR_APART)
        if raw.model:
            self._ledger.add(f'scored by {raw.model}')
        return replace(step, region=region, raw=raw)

    def flush(self) -> FaceStep:
        """Commit what is pending, at the end of a source or in a pause of it."""
        step = self._finish(self._selector.flush())
        self._kept.clear()
        return step

    def reset(self) -> None:
        """Forget everything: the next frame is the first of another source."""
        self._newest_ns = None
        self._tracker.reset()
        self._scorer.reset()
        self._selector.reset()
        self._kept.clear()

    def configure(self, settings: DetectorSettings) -> FaceStep:
        """Change the detector's settings; return what that made final."""
        return self._finish(self._selector.configure(settings))

    def configure_face(self, settings: FaceSettings) -> None:
        """Change the tracker's settings while it runs."""
        self._tracker.set_settings(settings)

    def explain(self, chosen: ChosenFrame) -> Explanation | None:
        """Say why a frame was chosen; costs up to three runs of the score model.

        May be called from another thread while frames are pushed.

        Args:
            chosen: of this pipeline.

        Returns:
            None where the scorer's answer cannot be taken apart (baselines).
        """
        if chosen.pair is None or chosen.change is None:
            return None
        with self._ledger.timed('explain'):
            return explain_pair(chosen.pair, chosen.change)

    def _finish(self, selection: Selection) -> FaceStep:
        chosen = self._choose(selection)
        return FaceStep(None, self._tracker.state, tuple(selection.scores), tuple(chosen))

    def _choose(self, selection: Selection) -> list[ChosenFrame]:
        self._ledger.add('keyframes', len(selection.keyframes))
        if not selection.keyframes:
            return []  # most frames
        kept = {frame.index: frame for frame in self._kept}
        changes = {score.index: score.change for score in selection.scores}
        return [
            ChosenFrame(
                keyframe,
                self._face(kept[keyframe.index]),
                kept[keyframe.index].pair,
                changes.get(keyframe.index),
            )
            for keyframe in selection.keyframes
        ]

    def _keep(self, frame: Frame, region: FaceRegion | None) -> None:
        if region is None:
            return
        held = frame.bgr.nbytes <= _HELD_BYTES
        face: FaceImage | Frame = frame if held else self._cut(frame, region)
        self._kept.append(_KeptFrame(frame.index, frame.stamp_ns, face, region, self._scorer.pair))

    def _face(self, kept: '_KeptFrame') -> FaceImage:
        if isinstance(kept.face, FaceImage):
            return kept.face
        return self._cut(kept.face, kept.region)

    def _cut(self, frame: Frame, region: FaceRegion) -> FaceImage:
        with self._ledger.timed('crop'):
            return cut_face(frame, region, self._crop_px)

    def _drop_judged(self, newest_ns: int) -> None:
        """Forget the frames that are judged; only then, as a pause may lie before the newest."""
        oldest_ns = newest_ns - round((self.settings.commit_delay_s + _CROP_MARGIN_S) * 1e9)
        while self._kept and self._kept[0].stamp_ns < oldest_ns:
            self._kept.popleft()


def cut_face(frame: Frame, region: FaceRegion, crop_px: int) -> FaceImage:
    """Cut a face region out of a frame.

    Args:
        frame: the full image.
        region: clipped to the image.
        crop_px: largest edge of the result; a larger region is shrunk, a smaller one kept.
    """
    height, width = frame.bgr.shape[:2]
    left = min(max(0, round(region.x)), width - 1)
    top = min(max(0, round(region.y)), height - 1)
    right = min(max(left + 1, round(region.x + region.size)), width)
    bottom = min(max(top + 1, round(region.y + region.size)), height)
    part = frame.bgr[top:bottom, left:right]
    scale = crop_px / max(part.shape[:2])
    if scale < 1:
        size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    else:
        part = part.copy()  # the frame itself is not kept
    return FaceImage(frame.stamp_ns, part, left, top, right - left, bottom - top, region.track_id)


def face_square(face: FaceImage) -> FaceRegion:
    """Return the square face region inside a face image, in that image's own pixels.

    Where the region of interest was clipped at the image's border it is no square any more; the
    missing part lies beyond that border.
    """
    height, width = face.bgr.shape[:2]
    size = max(height, width)
    x = width - size if face.x == 0 else 0
    y = height - size if face.y == 0 else 0
    return FaceRegion(float(x), float(y), float(size))


@dataclass(frozen=True, slots=True)
class FaceReading:
    """What one keyframe says about the face."""

    landmarks: Landmarks
    pose: HeadPose
    expression: Expression


class ExpressionPipeline:
    """Landmarks, head pose and channels of keyframes."""

    def __init__(
        self, model: LandmarkModel, estimator: ExpressionEstimator, ledger: Ledger
    ) -> None:
        self._model = model
        self._estimator = estimator
        self._ledger = ledger
        self._track_id = 0

    def run(self, face: FaceImage, camera: CameraModel) -> FaceReading:
        """Read a face; that of another person than the last begins with nothing learned.

        Args:
            face: the crop of a keyframe.
            camera: of the full image.

        Returns:
            Landmarks in pixels of the full image, head pose and channels.
        """
        if face.track_id not in (0, self._track_id):
            if self._track_id:
                self.reset()
            self._track_id = face.track_id
        with self._ledger.timed('landmarks'):
            found = self._model.predict(face.bgr, face_square(face), face.stamp_ns)
            scale = face.width / face.bgr.shape[1], face.height / face.bgr.shape[0]
            points = (found.points_px + 0.5) * scale - 0.5 + (face.x, face.y)
            landmarks = replace(found, points_px=points.astype(np.float32))
        with self._ledger.timed('expression'):
            pose = solve_head_pose(landmarks, camera)
            expression = self._estimator.update(landmarks, pose)
        return FaceReading(landmarks, pose, expression)

    def read_raw(self, frame: Frame, region: FaceRegion, camera: CameraModel) -> Levels:
        """Return the (19,) raw channels of a face, for a calibration."""
        landmarks = self._model.predict(frame.bgr, region, frame.stamp_ns)
        return raw_channels(landmarks, solve_head_pose(landmarks, camera))

    def configure(self, settings: ExpressionSettings) -> None:
        """Change confidence, filter and gains while it runs."""
        self._estimator.configure(settings)

    def calibrate(self, calibration: Calibration | None) -> None:
        """Use the calibration of another person; None learns one as it goes."""
        self._estimator.calibrate(calibration)

    def neutral(self) -> tuple[float, dict[str, float]]:
        """Return what was learned of the face at rest; see ExpressionEstimator.neutral."""
        return self._estimator.neutral()

    def reset(self) -> None:
        """Forget the person."""
        self._estimator.reset()


def face_settings(values: Mapping[str, Any]) -> FaceSettings:
    """Return the tracker's settings from the keyframe node's parameters."""
    return settings_from(KeyframeSettings, values).face


def expression_settings(values: Mapping[str, Any]) -> ExpressionSettings:
    """Return the estimator's settings from the landmarks node's parameters."""
    return settings_from(LandmarksSettings, values).expression


def detector_settings(values: Mapping[str, Any]) -> DetectorSettings:
    """Return the detector's settings from the keyframe node's parameters."""
    return settings_from(KeyframeSettings, values).detector


def calibration_of(values: Mapping[str, Any]) -> Calibration | None:
    """Return the calibration that the landmarks node's parameters name; None learns one.

    Raises:
        ConfigError: the file is missing or faulty.
    """
    return load_calibration(values['calibration']) if values['calibration'] else None


def build_face_pipeline(values: Mapping[str, Any], ledger: Ledger) -> FacePipeline:
    """Build the first half from the keyframe node's parameters (params.SCHEMA).

    Raises:
        ModelError: the score model or the face detector's files are missing or altered.
    """
    model = OnnxModel.load(first_model(values['model']), values['threads'])
    return FacePipeline(
        FaceTracker(face_settings(values)),
        PairScorer(ChangeNetwork(model)),
        KeyframeSelector(detector_settings(values), Smoothing.of_model(model.entry)),
        values['crop_px'],
        ledger,
    )


# An input and an output of each model of the landmark stage, by its parameter.
_LANDMARK_MODELS = {
    'model': ('crop', 'points'),
    'eyes': ('patches', 'readings'),
    'parts': ('mouth', 'mouth_readings'),
}


def build_landmark_model(values: Mapping[str, Any], manifest: Path | None = None) -> LandmarkModel:
    """Build the landmark model with those of eyes and parts.

    Args:
        values: the landmarks node's parameters: model, eyes, parts and threads.
        manifest: as for OnnxModel.load.

    Raises:
        ModelError: one of them is missing, altered or made for something else.
    """

    def load(key: str) -> OnnxModel:
        model = OnnxModel.load(values[key], values['threads'], manifest)
        wanted = _LANDMARK_MODELS[key]
        if wanted not in {(i, o) for i in model.input_shapes for o in model.output_names}:
            raise ModelError(
                f'landmarks: {key} = {model.name} must take {wanted[0]} and give {wanted[1]}; it '
                f'is for another task ({model.entry.get("task", "unknown")}). A parameter file '
                'with /** means all nodes'
            )
        return model

    eyes = EyeModel(load('eyes')) if values['eyes'] else None
    parts = PartModel(load('parts')) if values['parts'] else None
    return LandmarkModel(load('model'), eyes, parts)


def build_expression_pipeline(values: Mapping[str, Any], ledger: Ledger) -> ExpressionPipeline:
    """Build the second half from the landmarks node's parameters (params.SCHEMA).

    Raises:
        ModelError: the landmark or the eye model is missing or altered.
        ConfigError: the calibration file is missing or faulty.
    """
    model = build_landmark_model(values)
    estimator = ExpressionEstimator(calibration_of(values), expression_settings(values))
    return ExpressionPipeline(model, estimator, ledger)
