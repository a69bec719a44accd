"""`kf_imitation evaluate --imitation`: does the robot look and move like the person?

The definitions are benchmark.md, section 3 (imitation_metrics.py). Every method gets the same
frames, the same landmarks and the same simulated servos; they differ only in which frames become
poses and when that is known:

peak, settle, travel, combined: the keyframe modes, with their commit delay, through the pose
    budget of the robot (servo/pose_budget.py).
every_frame: each frame with a face, at once.
uniform: as many frames as the default mode chose, evenly spaced, at once; uniform_<mode>: as many
as that mode chose.
frame_difference: peaks of the frame difference instead of the model's score.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from kf_imitation.data_types import (
    CHANNELS,
    Expression,
    FloatArray,
    FrameScore,
    HeadPose,
    Landmarks,
)
from kf_imitation.errors import ConfigError, SourceError
from kf_imitation.expression.calibration import Calibration
from kf_imitation.expression.estimator import ExpressionEstimator
from kf_imitation.face.face_tracker import FaceTracker
from kf_imitation.graph import merged_parameters
from kf_imitation.keyframe.baselines import FrameDifferenceScorer
from kf_imitation.keyframe.change_scorer import ChangeScorer
from kf_imitation.keyframe.detector_settings import MODES, DetectorSettings
from kf_imitation.keyframe.score_smoother import Smoothing
from kf_imitation.keyframe.selector import KeyframeSelector
from kf_imitation.offline import imitation_metrics as metrics
from kf_imitation.offline.channel_labels import label_channels
from kf_imitation.offline.imitation_video import clip_video, video_run
from kf_imitation.offline.labels import find_clips, load_labels
from kf_imitation.offline.methods import load_methods
from kf_imitation.offline.output import check_free, new_file
from kf_imitation.offline.replay import open_file, source_settings
from kf_imitation.offline.run_record import JointTrace
from kf_imitation.offline.simulation import VirtualHead
from kf_imitation.onnx_model import OnnxModel
from kf_imitation.pipeline import (
    build_expression_pipeline,
    cut_face,
    detector_settings,
    face_settings,
)
from kf_imitation.robot_config import RobotConfig, load_robot
from kf_imitation.servo.joint_mapping import JointMapping
from kf_imitation.servo.pose_budget import PoseBudget
from kf_imitation.stats import Ledger

Rows = NDArray[np.float64]
LABELS, LANDMARKS = 'labels', 'landmarks'
_TAIL_S = metrics.LONGEST_DELAY_S


@dataclass(frozen=True, slots=True)
class Pose:
    """One frame that a method sends to the robot.

    Attributes:
        frame: its place in the clip.
        sent_ns: when it is sent, never before the frame.
    """

    frame: int
    sent_ns: int


@dataclass(frozen=True, slots=True)
class Clip:
    """All that the methods share; N frames.

    Attributes:
        name: of the clip.
        stamps_ns: (N,) int64.
        human: (N, 19) channels from the labels.
        valid: (N,) bool, frames whose labels count.
        readings: landmarks and head pose of each frame, None without a face.
        scores: raw, of the keyframe model.
        differences: raw, of the frame difference.
        smoothing: of the model's scores.
    """

    name: str
    stamps_ns: NDArray[np.int64]
    human: Rows
    valid: NDArray[np.bool_]
    readings: Sequence[tuple[Landmarks, HeadPose] | None]
    scores: Sequence[FrameScore]
    differences: Sequence[FrameScore]
    smoothing: Smoothing = field(default_factory=Smoothing)

    @property
    def duration_s(self) -> float:
        """From the first to the last frame."""
        return float(self.stamps_ns[-1] - self.stamps_ns[0]) * 1e-9


@dataclass(frozen=True, slots=True)
class ImitationMetrics:
    """One method on one clip; benchmark.md, section 3.

    Attributes:
        cosine: mean over poses, the robot read when its move ends or is overtaken.
        tracking: correlation after the best delay, mean over the channels that move.
        delay_s: that delay.
        smoothness: log dimensionless jerk; nearer to 0 is smoother.
        reversals_per_s: direction changes of all joints.
        commands_per_s: poses sent.
        poses: how many.
        arrived: share of the poses that the robot reached before the next.
        on_time: share of the poses that the joints had the time for, by the budget; NaN without.
        merged: poses of which a joint's part was merged into a later one.
    """

    cosine: float
    tracking: float
    delay_s: float
    smoothness: float
    reversals_per_s: float
    commands_per_s: float
    poses: int
    arrived: float
    on_time: float = float('nan')
    merged: int = 0


class Imitator:
    """Runs methods on clips with one robot.

    Args:
        robot: whose limits count.
        values: parameters of all nodes.
    """

    def __init__(self, robot: RobotConfig, values: Mapping[str, Mapping[str, Any]]) -> None:
        self._robot = robot
        self._values = values
        self._mapping = JointMapping(robot)
        self._calibration: Calibration | None = None
        if values['landmarks']['calibration']:
            self._calibration = Calibration.load(values['landmarks']['calibration'])

    @property
    def settings(self) -> DetectorSettings:
        """Of the default mode."""
        return detector_settings(self._values['keyframe'])

    def methods(self, chosen: Sequence[str] = ()) -> list[str]:
        """Return the names of all methods, or check those chosen.

        Raises:
            ConfigError: an unknown name.
        """
        others = [f'uniform_{mode}' for mode in MODES if mode != self.settings.mode]
        known = [*MODES, 'every_frame', 'uniform', *others, 'frame_difference']
        faults = [f'{m!r} must be one of {", ".join(known)}' for m in chosen if m not in known]
        if faults:
            raise ConfigError('--imitation-methods', faults)
        return list(chosen) or known

    def poses(self, clip: Clip, method: str) -> list[Pose]:
        """Return the frames that a method sends, in order of time."""
        if method in MODES:
            settings = replace(self.settings, mode=method)
            return _selected(clip.scores, settings, clip.smoothing)
        if method == 'frame_difference':
            peak = replace(self.settings, mode='peak')
            tuned = load_methods([method], peak, 1)[0]  # config/evaluate.yaml
            return _selected(clip.differences, tuned.settings, tuned.smoothing)
        if method == 'every_frame':
            return [Pose(i, int(stamp)) for i, stamp in enumerate(clip.stamps_ns)]
        mode = method.removeprefix('uniform').strip('_') or self.settings.mode
        return uniform_poses(clip.stamps_ns, len(self.poses(clip, mode)))

    def measure(self, clip: Clip, method: str, channels: str = LANDMARKS) -> ImitationMetrics:
        """Run a method on a clip.

        Args:
            clip: prepared.
            method: one of methods().
            channels: 'landmarks' (what the robot will have) or 'labels' (perfect channels: what
                is left is the choice of frames and the servos).
        """
        budget = self.budget(method)
        poses, joints = self.run(clip, method, channels, budget)
        measured = measure(clip, poses, joints, self.robot_channels(joints))
        if budget is None:
            return measured
        count = budget.count()
        return replace(measured, on_time=count.share, merged=count.merged)

    def budget(self, method: str) -> PoseBudget | None:
        """Return a fresh budget for the methods that choose their frames, else None."""
        patience_s = self._values['servo']['pose_patience_s']
        return PoseBudget(self._robot, patience_s) if method in MODES else None

    def run(
        self, clip: Clip, method: str, channels: str, budget: PoseBudget | None = None
    ) -> tuple[list[Pose], JointTrace]:
        """Move the head through a method's poses; poses without a face are left out."""
        servo = self._values['servo']
        head = VirtualHead(self._robot, servo['rate_hz'], servo['hold_s'], budget)
        estimator = ExpressionEstimator(
            self._calibration, self._values['landmarks']['minimum_confidence']
        )
        sent = []
        head.start(int(clip.stamps_ns[0]))
        waiting = self.poses(clip, method)
        for frame, stamp in enumerate(clip.stamps_ns.tolist()):
            head.advance(stamp)
            if clip.readings[frame] is not None:
                head.see_face(stamp)
            while waiting and waiting[0].sent_ns <= stamp:
                pose = waiting.pop(0)
                expression = _expression(clip, pose.frame, channels, estimator)
                if expression is not None:
                    head.set_goal(self._mapping.goals(expression), stamp, expression.stamp_ns)
                    sent.append(Pose(pose.frame, stamp))
        head.advance(int(clip.stamps_ns[-1]) + round(_TAIL_S * 1e9))
        return sent, head.trace()

    def write_video(self, path: Path, video: Path, clip: Clip, method: str, channels: str) -> None:
        """Write the side-by-side video of a method on a clip; see imitation_video.clip_video."""
        poses, joints = self.run(clip, method, channels, self.budget(method))
        sent = [(pose.frame, pose.sent_ns) for pose in poses]
        settings = replace(self.settings, mode=method) if method in MODES else self.settings
        run = video_run(clip.scores, clip.readings, sent, joints, settings, clip.smoothing)
        clip_video(path, video, self._values, run, self._mapping.channels)

    def robot_channels(self, joints: JointTrace) -> Rows:
        """Return the channels (T, 19) that the present positions show."""
        return np.stack([self._mapping.channels(row) for row in joints.present_rad]).astype(
            np.float64
        )


class ClipReader:
    """Reads clips: everything that methods share is computed once.

    Args:
        values: parameters of all nodes.
    """

    def __init__(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        keyframe = values['keyframe']
        self._values = values
        self._model = OnnxModel.load(keyframe['model'], keyframe['threads'])
        self._pipeline = build_expression_pipeline(values['landmarks'], Ledger())

    def read(self, path: Path) -> Clip:
        """Read a labelled clip.

        Raises:
            SourceError: video or labels are missing or do not belong together.
        """
        labels = load_labels(path.with_suffix('.npz'))
        human = label_channels(labels.blendshapes, labels.names, labels.head_pose)
        tracker = FaceTracker(face_settings(self._values['keyframe']))
        scorer, difference = ChangeScorer(self._model), FrameDifferenceScorer()
        self._pipeline.reset()
        source = open_file(str(path), source_settings(dict(self._values['camera'])))
        stamps, readings, scores, differences = [], [], [], []
        try:
            while (frame := source.read()) is not None:
                region = tracker.update(frame)
                stamps.append(frame.stamp_ns)
                scores.append(scorer.score(frame, region))
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
        if abs(len(stamps) - len(human)) > 2 or count < 2:
            raise SourceError(f'{path}: {len(stamps)} frames, but labels of {len(human)}')
        return Clip(
            path.stem,
            np.array(stamps[:count], np.int64),
            human[:count].astype(np.float64),
            labels.valid[:count],
            readings[:count],
            scores[:count],
            differences[:count],
            Smoothing.of_model(self._model.entry),
        )


def measure(
    clip: Clip, poses: Sequence[Pose], joints: JointTrace, robot: Rows
) -> ImitationMetrics:
    """Compare what the robot did with what the person did.

    Args:
        clip: the person.
        poses: what was sent.
        joints: what the servos did.
        robot: (T, 19) channels of the present positions.
    """
    rows, arrived = metrics.move_ends(joints, [pose.sent_ns for pose in poses])
    cosines = [
        metrics.cosine(clip.human[pose.frame], robot[row])
        for pose, row in zip(poses, rows, strict=True)
        if clip.valid[pose.frame]
    ]
    stamps = clip.stamps_ns[clip.valid]

    def robot_at(delay_s: float) -> Rows:
        late = stamps + round(delay_s * 1e9)
        found: Rows = robot[
            np.clip(np.searchsorted(joints.stamp_ns, late, side='right') - 1, 0, None)
        ]
        return found

    followed = metrics.tracking(clip.human[clip.valid], robot_at)
    during = joints.stamp_ns <= clip.stamps_ns[-1]
    commanded = joints.commanded_rad[during]
    interval_s = float(np.median(np.diff(joints.stamp_ns))) * 1e-9
    return ImitationMetrics(
        cosine=_mean(cosines),
        tracking=followed.correlation,
        delay_s=followed.delay_s,
        smoothness=metrics.log_dimensionless_jerk(commanded, interval_s),
        reversals_per_s=metrics.reversals(joints.present_rad[during]) / clip.duration_s,
        commands_per_s=len(poses) / clip.duration_s,
        poses=len(poses),
        arrived=_mean([float(a) for a in arrived]),
    )


def uniform_poses(stamps_ns: NDArray[np.int64], count: int) -> list[Pose]:
    """Return evenly spaced frames, each in the middle of its share of the clip."""
    places = (np.arange(count) + 0.5) * len(stamps_ns) / max(count, 1)
    return [Pose(int(place), int(stamps_ns[int(place)])) for place in places]


def means(results: Iterable[ImitationMetrics]) -> dict[str, float]:
    """Return the mean of every figure over clips; what is undefined on a clip is left out."""
    rows = [asdict(result) for result in results]
    return {key: _mean([float(row[key]) for row in rows]) for key in rows[0]}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; the evaluate command adds them to its own."""
    parser.add_argument(
        '--imitation', type=Path, metavar='DIR', help='measure imitation on labelled clips'
    )
    parser.add_argument('--robot', default='', help='name in config/robots, or a file')
    parser.add_argument(
        '--channels',
        choices=(LANDMARKS, LABELS),
        default=LANDMARKS,
        help='imitation: where the poses come from; labels are perfect channels',
    )
    parser.add_argument(
        '--imitation-methods', default='', metavar='A,B', help='only these; default: all'
    )
    parser.add_argument(
        '--video',
        type=Path,
        metavar='DIR',
        help='imitation: side-by-side videos of the default mode, or of the first method named',
    )


def run(args: argparse.Namespace) -> int:
    """Measure all methods on all clips of a folder; print a table, write JSON.

    Args:
        args: of add_arguments(), and json and params of evaluate where given.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    out: Path | None = getattr(args, 'json', None)
    overwrite = True  # figures are made again and again
    if out is not None:
        out = Path(out)
        check_free(out, overwrite)
    if args.video is not None:
        check_free(args.video, overwrite)
    values = merged_parameters(getattr(args, 'params', '') or '')
    robot = load_robot(args.robot or str(values['servo']['robot']))
    clips = find_clips(Path(args.imitation))
    imitator, reader = Imitator(robot, values), ClipReader(values)
    methods = imitator.methods([m for m in args.imitation_methods.split(',') if m])
    results: dict[str, dict[str, ImitationMetrics]] = {name: {} for name in methods}
    for path in clips:
        print(f'{path.stem} …', file=sys.stderr, flush=True)
        clip = reader.read(path)
        for method, by_clip in results.items():
            by_clip[clip.name] = imitator.measure(clip, method, args.channels)
        if args.video is not None:
            shown = methods[0] if args.imitation_methods else imitator.settings.mode
            imitator.write_video(args.video / f'{path.stem}.mp4', path, clip, shown, args.channels)
    Console(width=None if sys.stdout.isatty() else 110).print(
        results_table(results, robot.name, len(clips), args.channels)
    )
    if out is not None:
        with new_file(out, overwrite) as partial:
            document = as_json(results, robot.name, args.channels, imitator.settings)
            partial.write_text(document, encoding='utf-8')
    return 0


def as_json(
    results: Mapping[str, Mapping[str, ImitationMetrics]],
    robot: str,
    channels: str,
    settings: DetectorSettings,
) -> str:
    """Return the results by method and clip, with the means; NaN becomes null."""
    document = {
        'robot': robot,
        'channels': channels,
        'detector': asdict(settings),
        'methods': {
            method: {name: _finite(asdict(result)) for name, result in by_clip.items()}
            for method, by_clip in results.items()
        },
        'means': {method: _finite(means(by_clip.values())) for method, by_clip in results.items()},
    }
    return json.dumps(document, indent=1) + '\n'


def results_table(
    results: Mapping[str, Mapping[str, ImitationMetrics]], robot: str, clips: int, channels: str
) -> Table:
    """Return the means over the clips, one row for each method."""
    title = f'imitation by {robot}, mean of {clips} clips, channels from {channels}'
    table = Table(title=title, title_justify='left')
    table.add_column('method')
    columns: dict[str, Callable[[float], str]] = {
        'cosine': '{:.3f}'.format,
        'tracking': '{:.3f}'.format,
        'delay_s': '{:.2f}'.format,
        'smoothness': '{:.2f}'.format,
        'reversals_per_s': '{:.2f}'.format,
        'commands_per_s': '{:.2f}'.format,
        'arrived': '{:.0%}'.format,
        'on_time': lambda share: '' if math.isnan(share) else f'{share:.0%}',
    }
    for name in columns:
        table.add_column(name.replace('_', ' '), justify='right')
    for method, by_clip in results.items():
        row = means(by_clip.values())
        table.add_row(method, *(write(row[name]) for name, write in columns.items()))
    return table


def _selected(
    scores: Sequence[FrameScore], settings: DetectorSettings, smoothing: Smoothing
) -> list[Pose]:
    selector = KeyframeSelector(settings, smoothing)
    keyframes = [k for score in scores for k in selector.push(score).keyframes]
    keyframes += selector.flush().keyframes
    first = scores[0].index
    return [Pose(k.index - first, k.committed_stamp_ns) for k in keyframes]


def _expression(
    clip: Clip, frame: int, channels: str, estimator: ExpressionEstimator
) -> Expression | None:
    if channels == LABELS:
        values: FloatArray = clip.human[frame].astype(np.float32)
        stamp_ns = int(clip.stamps_ns[frame])
        return Expression(stamp_ns, values, np.ones(len(CHANNELS), np.float32))
    reading = clip.readings[frame]
    return None if reading is None else estimator.update(*reading)


def _mean(values: Sequence[float]) -> float:
    good = [value for value in values if not math.isnan(value)]
    return sum(good) / len(good) if good else float('nan')


def _finite(row: Mapping[str, float]) -> dict[str, float | None]:
    return {key: None if math.isnan(value) else value for key, value in row.items()}
