"""What a replay produced: the one input of the tables, the picture and the video."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import (
    Expression,
    FaceImage,
    FloatArray,
    FrameScore,
    HeadPose,
    Keyframe,
    Landmarks,
)
from kf_imitation.keyframe.explanation import split_change
from kf_imitation.keyframe.scoring.pair_scorer import CHANGE_NAMES
from kf_imitation.output_files import OutputError
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.pipeline.statistics import Times

RadArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PosedKeyframe:
    """A keyframe and what became of it.

    Attributes:
        keyframe: as the detector chose it.
        face: what the landmark stage saw of it.
        landmarks: in pixels of the full image.
        pose: of the head.
        expression: channel values.
        goal_rad: (J,) joint goals that the robot was given at the commitment.
        change: (54,) smoothed change vector that the score was made from, or None.
    """

    keyframe: Keyframe
    face: FaceImage
    landmarks: Landmarks
    pose: HeadPose
    expression: Expression
    goal_rad: RadArray
    change: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class JointTrace:
    """Joint positions over time; T cycles of the servo controller, J joints.

    Attributes:
        names: of the joints, in the order of the robot file.
        stamp_ns: (T,) int64.
        goal_rad: (T, J) last goal the controller was given.
        commanded_rad: (T, J) what the motion planner sent.
        present_rad: (T, J) what the servos answered.
    """

    names: tuple[str, ...]
    stamp_ns: NDArray[np.int64]
    goal_rad: RadArray
    commanded_rad: RadArray
    present_rad: RadArray

    def at(self, stamp_ns: int) -> int:
        """Return the row of the last cycle at or before a stamp (the first row before that)."""
        return max(0, int(np.searchsorted(self.stamp_ns, stamp_ns, side='right')) - 1)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run over one source.

    Attributes:
        source_name: what the user would call it.
        fps: nominal rate of the source [Hz].
        mode: of the keyframe detector.
        scores: of every frame, smoothed, in the order of the frames.
        posed: keyframes in the order of their commitment.
        joints: of the simulated servos.
        raw: scores of every frame as the model gave them, before smoothing.
        reflexes: what the reflex lane was given, of every frame with a face; empty when off.
    """

    source_name: str
    fps: float
    mode: str
    scores: Sequence[FrameScore]
    posed: Sequence[PosedKeyframe]
    joints: JointTrace
    raw: Sequence[FrameScore] = ()
    reflexes: Sequence[Expression] = ()

    @property
    def start_ns(self) -> int:
        """Stamp of the first frame; 0 without frames."""
        return self.scores[0].stamp_ns if self.scores else 0


def write_facts(
    path: Path,
    run: RunRecord,
    robot: str,
    settings: DetectorSettings,
    parameters: Mapping[str, object],
    times: Mapping[str, Times],
) -> None:
    """Write run.json.

    Args:
        path: to write.
        run: the results.
        robot: name of the robot.
        settings: of the detector.
        parameters: of all nodes that are not as defined, by node.name.
        times: of the stages; the only part that differs from run to run.
    """
    document = {
        'source': run.source_name,
        'fps': run.fps,
        'robot': robot,
        'scored_by': dict(Counter(score.model for score in run.scores if score.model)),
        'detector': asdict(settings),
        'parameters': dict(parameters),
        'keyframes': [
            {
                'frame': posed.keyframe.index,
                'stamp_s': posed.keyframe.stamp_ns * 1e-9,
                'prominence': round(posed.keyframe.prominence, 6),
                'changes': strongest(posed.change),
            }
            for posed in run.posed
        ],
        'times_ms': {
            name: {'p50': time.p50_ms, 'p95': time.p95_ms, 'p99': time.p99_ms, 'n': time.count}
            for name, time in times.items()
        },
    }
    path.write_text(json.dumps(document, indent=1) + '\n', encoding='utf-8')


def write_crops(folder: Path, run: RunRecord) -> None:
    """Write keyframes/<frame>.jpg: the face of each keyframe as the landmark stage saw it.

    Raises:
        OutputError: a picture cannot be written.
    """
    folder.mkdir()
    for posed in run.posed:
        path = folder / crop_name(posed)
        if not cv2.imwrite(str(path), posed.face.bgr, [cv2.IMWRITE_JPEG_QUALITY, 90]):
            raise OutputError(f'{path}: cannot be written')


def crop_name(posed: PosedKeyframe) -> str:
    """Return the file name of a keyframe's picture."""
    return f'{posed.keyframe.index:06d}.jpg'


def strongest(change: FloatArray | None) -> dict[str, float]:
    """Return the largest entries of a change vector by name, strongest first."""
    if change is None or len(change) != len(CHANGE_NAMES):
        return {}
    return {name: round(value, 5) for name, value in split_change(change).strongest}
