"""Replay a recording: all stages over a file or bag (simulation.py), and the files it leaves."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from kf_imitation.bags.recognition import is_bag
from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.camera.left_out import LeftOut
from kf_imitation.camera.sources import open_source
from kf_imitation.errors import SourceError, counted
from kf_imitation.output_files import (
    OutputError,
    check_folder,
    check_free,
    new_file,
    new_folder,
)
from kf_imitation.parameters.schema import changed
from kf_imitation.parameters.settings import SourceSettings, UprightSettings
from kf_imitation.paths import user_path
from kf_imitation.pipeline.face_pipeline import detector_settings, face_settings
from kf_imitation.pipeline.run_figures import RunFigures
from kf_imitation.pipeline.statistics import FAR_APART, Ledger
from kf_imitation.replay.bag_output import RunBag
from kf_imitation.replay.comparison_video import VideoRun, write_video
from kf_imitation.replay.csv_writer import (
    write_expressions,
    write_joints,
    write_reflexes,
    write_scores,
    write_shapes,
)
from kf_imitation.replay.record import RunRecord, write_crops, write_facts
from kf_imitation.replay.score_trace import CHANGES, write_changes
from kf_imitation.replay.simulation import build_stages, replay
from kf_imitation.replay.summary_figure import write_summary
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.ros_graph.nodes import merged_parameters
from kf_imitation.visualization.video_writer import check_suffix

# A replay keeps no images: an hour of it is smaller.
ENOUGH_FREE_MB = 50.0
# What replay_to_files writes.
RESULTS = (
    'scores.csv',
    'expression.csv',
    'shapes.csv',
    'joints.csv',
    'summary.png',
    'run.json',
    'keyframes',
    'bag',
    CHANGES,
)
AHEAD = 8  # frames that are scored while the head still moves to earlier ones
# Shows how far it is: given what is done and of how many frames, told of each.
Watched = Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]
_logger = logging.getLogger('kf_imitation')


@contextmanager
def unwatched(what: str, frames: int | None) -> Iterator[Callable[[], None]]:
    """Show nobody how far it is."""
    yield lambda: None


def replay_to_files(
    spec: str,
    out: Path,
    robot_name: str = '',
    mode: str = '',
    parameter_file: str = '',
    topic: str = '',
    video: Path | None = None,
    overwrite: bool = False,
    summary: bool = False,
    learn: bool = False,
    upright: UprightSettings | None = None,
    watched: Watched = unwatched,
) -> RunFigures:
    """Replay a recording and write everything about it.

    Args:
        spec: video, folder of images or bag.
        out: folder to make.
        robot_name: in config/robots, or a file; '': as the parameters say.
        mode: of the detector; '': as the parameters say.
        parameter_file: parameters that override config/kf_imitation.yaml; '': none.
        topic: image topic of a bag with several; of nothing else.
        video: side-by-side video to make, outside of `out`.
        overwrite: replace results that exist.
        summary: draw summary.png, too; it takes two seconds.
        learn: learn the person's neutral face, as a live run does by default; without, every
            frame counts against that of most people.
        upright: how frames are turned; None: as the parameters say.
        watched: given what is done and how many frames there are (None: unknown); is told of each.

    Returns:
        Counts and times for the table.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    sources = [user_path(spec)]
    check_folder(out, overwrite, sources, RESULTS)
    if video is not None:
        check_suffix(video)
        check_free(video, overwrite, sources)
        if out.resolve() in video.resolve().parents:
            raise OutputError(f'{video}: must not be inside {out}, which is made at the end')
    values = merged_parameters(parameter_file)
    values['landmarks']['learn_neutral'] = learn
    if mode:
        values['keyframe']['detector.mode'] = mode
    if upright is not None:
        values['camera'] |= asdict(upright)
    robot_name = values['servo']['robot'] = robot_name or str(values['servo']['robot'])
    channels_of = JointMapping(load_robot(robot_name)).channels
    settings = source_settings(values['camera'], topic)
    with ThreadPoolExecutor(1) as thread, ExitStack() as outputs:
        loading = thread.submit(build_stages, values, robot_name)  # mostly outside Python's lock
        source = open_file(spec, settings)
        outputs.callback(source.close)
        if topic and not is_bag(sources[0]):
            raise SourceError(f'{spec}: --topic = {topic} counts only with a bag: leave it out')
        folder = outputs.enter_context(new_folder(out, overwrite, sources, RESULTS))
        new_video = video and outputs.enter_context(new_file(video, overwrite, sources))
        free_mb = min(ENOUGH_FREE_MB, values['recorder']['minimum_free_mb'])
        bag = RunBag(folder / 'bag', detector_settings(values['keyframe']).prominence, free_mb)
        with bag, watched('replay', source.frame_count) as advance:
            stages = loading.result()
            started_s = perf_counter()
            mode = values['keyframe']['detector.mode']
            record = replay(source, stages, mode, bag, advance, ahead=AHEAD)
        keyframes = [posed.keyframe for posed in record.posed]
        for keyframe in keyframes:
            stages.ledger.observe('commit delay', keyframe.commit_delay_s)
        write_scores(folder / 'scores.csv', record.scores, keyframes)
        write_expressions(folder / 'expression.csv', record.posed)
        write_shapes(folder / 'shapes.csv', record.posed)
        write_reflexes(folder / 'reflex.csv', record.reflexes)
        write_joints(folder / 'joints.csv', record.joints)
        if summary:
            threshold = float(values['keyframe']['detector.threshold'])
            write_summary(folder / 'summary.png', record, channels_of, threshold)
        write_crops(folder / 'keyframes', record)
        write_changes(folder / CHANGES, record.raw, stages.face.smoothing)
        elapsed_s = perf_counter() - started_s
        if said := source.left_out.summary(len(record.raw)):
            _logger.warning('%s: %s', source.name, said)
        if not faces_in(record):
            minimum_px = face_settings(values['keyframe']).minimum_px
            _logger.warning('%s: %s', source.name, no_face(len(record.raw), minimum_px))
        write_facts(
            folder / 'run.json',
            record,
            robot_name,
            stages.face.settings,
            changed(values),
            stages.ledger.times(),
        )
        if new_video:
            source.close()
            source.open()
            with watched('video', source.frame_count) as advance:
                write_video(new_video, source, VideoRun.of_replay(record), channels_of, advance)
    return _figures(record, stages.ledger, elapsed_s, source.left_out)


def source_settings(camera: dict[str, Any], topic: str = '') -> SourceSettings:
    """Return the settings of a file from the camera node's parameters."""
    return SourceSettings(
        fps=camera['fps'],
        focal_px=camera['focal_px'],
        topic=topic or camera['topic'],
        upright=UprightSettings(camera['rotate'], camera['mirror']),
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


def faces_in(record: RunRecord) -> int:
    """Return how many frames show a face."""
    return sum(score.region is not None for score in record.raw)


def no_face(frames: int, minimum_px: float) -> str:
    """Return one sentence about a run without any face: what to try.

    Args:
        frames: of the run.
        minimum_px: smallest face edge that counts.
    """
    return (
        f'no face was seen in {counted(frames, "frame")}; one that lies on its side or upside '
        'down needs --rotate 90, 180 or 270; else light from the front helps, and a face that is '
        f'nearer: {minimum_px:g} px or more'
    )


def _figures(record: RunRecord, ledger: Ledger, elapsed_s: float, left_out: LeftOut) -> RunFigures:
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
        left_out=left_out.count,
        damaged=left_out.damage,
        models=ledger.counts('scored by '),
        far_apart=ledger.count(FAR_APART),
        faces=faces_in(record),
    )
