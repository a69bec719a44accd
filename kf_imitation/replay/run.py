"""The whole pipeline over a file or bag, without ROS and without waiting.

The stages are those of the nodes; time is the frames' own. Everything happens at the virtual time
at which it would be known: a keyframe's expression reaches the servos at its commitment, never
earlier. (What inference takes on a machine comes on top of that live; it is not simulated.) The
same source, parameters and thread count give the same bytes in every table.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.camera.sources import open_source
from kf_imitation.data_types import CameraModel, Expression, Frame, FrameScore
from kf_imitation.errors import SourceError
from kf_imitation.head.reports import ServoCycle
from kf_imitation.keyframe.explanation import Explanation
from kf_imitation.output_files import OutputError, check_free, new_file, new_folder
from kf_imitation.parameters.settings import SourceSettings
from kf_imitation.pipeline.face_pipeline import (
    ChosenFrame,
    ExpressionPipeline,
    FacePipeline,
    FaceStep,
    build_expression_pipeline,
    build_face_pipeline,
)
from kf_imitation.pipeline.run_report import RunFigures
from kf_imitation.pipeline.statistics import Ledger
from kf_imitation.replay.bag_output import RunBag
from kf_imitation.replay.comparison_video import VideoRun, write_video
from kf_imitation.replay.csv_writer import write_expressions, write_joints, write_scores
from kf_imitation.replay.record import PosedKeyframe, RadArray, RunRecord, write_crops, write_facts
from kf_imitation.replay.score_trace import CHANGES, write_changes
from kf_imitation.replay.simulation import VirtualHead
from kf_imitation.replay.summary_figure import write_summary
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.robot.pose_budget import PoseBudget
from kf_imitation.ros_graph.nodes import merged_parameters
from kf_imitation.visualization.video_writer import check_suffix

# The head goes on for so long after the last frame, so that the last move is seen to its end.
TAIL_S = 1.0


@dataclass(frozen=True, slots=True)
class Stages:
    """What a replay is made of.

    Attributes:
        face: frames to keyframes.
        expression: keyframes to channels.
        goals: channels to joint goals.
        head: simulated servos on virtual time.
        ledger: measures the stages.
    """

    face: FacePipeline
    expression: ExpressionPipeline
    goals: Callable[[Expression], RadArray]
    head: VirtualHead
    ledger: Ledger


class Listener(Protocol):
    """Follows a replay in the order of virtual time."""

    def on_step(self, frame: Frame, step: FaceStep) -> None:
        """Take what one frame brought; its keyframes follow in on_posed."""

    def on_posed(
        self, posed: PosedKeyframe, camera: CameraModel, explanation: Explanation | None
    ) -> None:
        """Take a keyframe with its expression and why it was chosen, at its commitment."""

    def on_cycle(self, cycle: ServoCycle) -> None:
        """Take one cycle of the servo controller."""


def replay(
    source: FrameSource,
    stages: Stages,
    mode: str,
    listener: Listener | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> RunRecord:
    """Run the stages over a source.

    Args:
        source: open; read to its end.
        stages: fresh.
        mode: of the detector, for the record.
        listener: follows the run.
        on_frame: called after each frame, for progress.

    Returns:
        All results.

    Raises:
        SourceError: the source broke, or held no frame.
    """
    head = stages.head
    scores: list[FrameScore] = []
    raw: list[FrameScore] = []
    posed: list[PosedKeyframe] = []
    frame: Frame | None = None
    last: Frame | None = None

    def take(step: FaceStep, at: Frame) -> None:
        scores.extend(step.scores)
        if step.raw is not None:
            raw.append(step.raw)
        if listener:
            listener.on_step(at, step)
        for chosen in step.chosen:
            result = _pose(chosen, stages, source.camera)
            posed.append(result)
            head.set_goal(result.goal_rad, at.stamp_ns, chosen.keyframe.stamp_ns)
            if listener:
                listener.on_posed(result, source.camera, stages.face.explain(chosen))

    head.on_cycle = listener.on_cycle if listener else None
    while True:
        with stages.ledger.timed('camera read'):
            frame = source.read()
        if frame is None:
            break
        if last is None:
            head.start(frame.stamp_ns)
        elif frame.stamp_ns <= last.stamp_ns:
            raise SourceError(
                f'{source.name}: frame {frame.index} is not later than the one before it'
            )
        # Cycles up to the frame know nothing of it.
        head.advance(frame.stamp_ns)
        step = stages.face.push(frame)
        if step.region is not None:
            head.see_face(frame.stamp_ns)
        take(step, frame)
        last = frame
        on_frame()
    if last is None:
        raise SourceError(f'{source.name}: holds no frame')
    take(stages.face.flush(), last)
    head.advance(last.stamp_ns + round(TAIL_S * 1e9))
    return RunRecord(source.name, source.fps, mode, scores, posed, head.trace(), raw)


def build_stages(values: dict[str, dict[str, Any]], robot_name: str) -> Stages:
    """Build fresh stages from the parameters of all nodes.

    Raises:
        ConfigError: the robot file or the calibration is faulty.
        ModelError: a model is missing or altered.
    """
    ledger = Ledger()
    robot = load_robot(robot_name)
    mapping = JointMapping(robot)
    servo = values['servo']
    return Stages(
        build_face_pipeline(values['keyframe'], ledger),
        build_expression_pipeline(values['landmarks'], ledger),
        mapping.goals,
        VirtualHead(
            robot,
            servo['rate_hz'],
            servo['hold_s'],
            PoseBudget(robot, servo['pose_patience_s']),
        ),
        ledger,
    )


def replay_to_files(
    spec: str,
    out: Path,
    robot_name: str = '',
    mode: str = '',
    parameter_file: str = '',
    topic: str = '',
    video: Path | None = None,
    overwrite: bool = False,
) -> RunFigures:
    """Replay a recording and write everything about it.

    Args:
        spec: video, folder of images or bag.
        out: folder to make.
        robot_name: in config/robots, or a file; '': as the parameters say.
        mode: of the detector; '': as the parameters say.
        parameter_file: parameters that override config/kf_imitation.yaml; '': none.
        topic: image topic of a bag with several.
        video: side-by-side video to make, outside of `out`.
        overwrite: replace results that exist.

    Returns:
        Counts and times for the table.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    check_free(out, overwrite)
    if video is not None:
        check_suffix(video)
        check_free(video, overwrite)
        if out.absolute() in video.absolute().parents:
            raise OutputError(f'{video}: must not be inside {out}, which is made at the end')
    values = merged_parameters(parameter_file)
    if mode:
        values['keyframe']['detector.mode'] = mode
    robot_name = robot_name or str(values['servo']['robot'])
    stages = build_stages(values, robot_name)
    channels_of = JointMapping(load_robot(robot_name)).channels
    settings = source_settings(values['camera'], topic)
    started_s = perf_counter()
    with ExitStack() as outputs:
        source = open_file(spec, settings)
        outputs.callback(source.close)
        folder = outputs.enter_context(new_folder(out, overwrite))
        new_video = video and outputs.enter_context(new_file(video, overwrite))
        bag = RunBag(
            folder / 'bag', stages.face.settings.prominence, values['recorder']['minimum_free_mb']
        )
        with bag, _progress(source, 'replay') as advance:
            record = replay(source, stages, values['keyframe']['detector.mode'], bag, advance)
        keyframes = [posed.keyframe for posed in record.posed]
        write_scores(folder / 'scores.csv', record.scores, keyframes)
        write_expressions(folder / 'expression.csv', record.posed)
        write_joints(folder / 'joints.csv', record.joints)
        threshold = float(values['keyframe']['detector.threshold'])
        write_summary(folder / 'summary.png', record, channels_of, threshold)
        write_crops(folder / 'keyframes', record)
        write_changes(folder / CHANGES, record.raw, stages.face.smoothing)
        elapsed_s = perf_counter() - started_s
        write_facts(
            folder / 'run.json', record, robot_name, stages.face.settings, stages.ledger.times()
        )
        if new_video:
            source.close()
            source.open()
            with _progress(source, 'video') as advance:
                write_video(new_video, source, VideoRun.of_replay(record), channels_of, advance)
    return _figures(record, stages.ledger, elapsed_s)


def source_settings(camera: dict[str, Any], topic: str = '') -> SourceSettings:
    """Return the settings of a file from the camera node's parameters."""
    return SourceSettings(
        fps=camera['fps'], focal_px=camera['focal_px'], topic=topic or camera['topic']
    )


def open_file(spec: str, settings: SourceSettings) -> FrameSource:
    """Open a source that ends.

    Raises:
        SourceError: it is missing, unreadable or live.
    """
    source = open_source(spec, settings)
    if source.is_live:
        source.close()
        raise SourceError(f'{spec}: replay needs a file, folder or bag; use mimic for cameras')
    return source


def _pose(chosen: ChosenFrame, stages: Stages, camera: CameraModel) -> PosedKeyframe:
    reading = stages.expression.run(chosen.face, camera)
    with stages.ledger.timed('mapping'):
        goal_rad = stages.goals(reading.expression)
    return PosedKeyframe(
        chosen.keyframe,
        chosen.face,
        reading.landmarks,
        reading.pose,
        reading.expression,
        goal_rad,
        chosen.change,
    )


def _figures(record: RunRecord, ledger: Ledger, elapsed_s: float) -> RunFigures:
    return RunFigures(
        elapsed_s=elapsed_s,
        frames_in=ledger.count('frames'),
        received=len(record.scores),
        scored=ledger.count('scored'),
        keyframes=ledger.count('keyframes'),
        poses=len(record.posed),
        times=ledger.times(),
        realtime=False,
        bus=None,
    )


@contextmanager
def _progress(source: FrameSource, what: str) -> Iterator[Callable[[], None]]:
    """Show frames done on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('frames'),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=source.frame_count)
        yield lambda: bar.advance(task)
