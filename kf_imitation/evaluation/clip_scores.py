"""Raw scores of labelled clips: decoding, face tracking and scorers, as the runtime does it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.errors import SourceError
from kf_imitation.evaluation.labels import load_labels
from kf_imitation.evaluation.methods import load_methods
from kf_imitation.evaluation.metrics import ClipMetrics, Target, clip_metrics, label_target
from kf_imitation.face.tracker import FaceTracker
from kf_imitation.keyframe.scoring.pair_scorer import PairScorer
from kf_imitation.keyframe.selection.selector import KeyframeSelector
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.parameters.settings import DetectorSettings, FaceSettings, SourceSettings
from kf_imitation.replay.run import open_file


@dataclass(frozen=True, slots=True)
class ScoredClip:
    """A clip's ground truth, and what each method makes of its frames.

    Attributes:
        name: path below the folder of clips, without the ending.
        target: from its labels.
        raw: unsmoothed scores of all frames, by method.
    """

    name: str
    target: Target
    raw: dict[str, list[FrameScore]]


def score_frames(
    video: Path, scorers: dict[str, PairScorer], face: FaceSettings
) -> dict[str, list[FrameScore]]:
    """Score every frame of a video with each scorer; the face is tracked once for all.

    Raises:
        SourceError: the video cannot be read.
    """
    source = open_file(str(video), SourceSettings())
    try:
        tracker = FaceTracker(face)
        for scorer in scorers.values():
            scorer.reset()
        raw: dict[str, list[FrameScore]] = {name: [] for name in scorers}
        while (frame := source.read()) is not None:
            region = tracker.update(frame)
            for name, scorer in scorers.items():
                raw[name].append(scorer.score(frame, region))
        return raw
    finally:
        source.close()


def score_clips(
    directory: Path,
    videos: Sequence[Path],
    methods: Sequence[str],
    face: FaceSettings,
    threads: int,
    jobs: int,
    on_clip: Callable[[str], None] = lambda name: None,
    labels: Mapping[Path, Path] | None = None,
) -> list[ScoredClip]:
    """Score clips, several at once when asked.

    Args:
        directory: that the clips' names are relative to.
        videos: with labels next to them, or in `labels`.
        methods: names of methods.
        face: of the face tracker.
        threads: of each model's runtime.
        jobs: processes; 1 works in this one.
        on_clip: called with the name of each finished clip.
        labels: label files by video, where they are not next to it.

    Returns:
        In the order of `videos`.

    Raises:
        SourceError: a clip cannot be read, or its labels do not fit.
    """
    places = labels or {}
    tasks = [
        (
            directory,
            video,
            places.get(video, video.with_suffix('.npz')),
            tuple(methods),
            face,
            threads,
        )
        for video in videos
    ]
    results: dict[str, ScoredClip] = {}
    for clip in _run(tasks, jobs):
        results[clip.name] = clip
        on_clip(clip.name)
    return [results[clip_name(directory, video)] for video in videos]


def with_faces(labels: Mapping[str, Path]) -> tuple[list[str], list[str]]:
    """Split clips into those to measure and those in which too few frames show a face.

    Args:
        labels: label file by name of the clip.

    Returns:
        The names of both, in order.

    Raises:
        SourceError: a label file cannot be read, or no clip is left to measure.
    """
    measurable = {
        name: load_labels(path, points=False).measurable for name, path in labels.items()
    }
    kept = [name for name, good in measurable.items() if good]
    if not kept:
        raise SourceError(f'no clip shows a face in half of its frames: {", ".join(labels)}')
    return kept, [name for name, good in measurable.items() if not good]


def clip_name(directory: Path, video: Path) -> str:
    """Return the path of a video below the folder of clips, without its ending."""
    return video.relative_to(directory).with_suffix('').as_posix()


def select(
    raw: Sequence[FrameScore], settings: DetectorSettings, smoothing: Smoothing
) -> tuple[list[FrameScore], list[Keyframe]]:
    """Return the final scores and the keyframes of a whole clip."""
    selector = KeyframeSelector(settings, smoothing)
    steps = [*(selector.push(score) for score in raw), selector.flush()]
    return [s for step in steps for s in step.scores], [
        k for step in steps for k in step.keyframes
    ]


def measure(
    clip: ScoredClip, scores: Sequence[FrameScore], keyframes: Sequence[Keyframe]
) -> ClipMetrics:
    """Compare with the ground truth."""
    return clip_metrics(
        clip.target,
        [score.score for score in scores],
        [keyframe.index for keyframe in keyframes],
        [keyframe.commit_delay_s for keyframe in keyframes],
    )


_Task = tuple[Path, Path, Path, tuple[str, ...], FaceSettings, int]


def _run(tasks: Sequence[_Task], jobs: int) -> Iterator[ScoredClip]:
    if jobs == 1:
        yield from map(_score_clip, tasks)
        return
    # Forked children would share the threads of loaded models.
    with ProcessPoolExecutor(jobs, mp_context=get_context('spawn')) as pool:
        futures = [pool.submit(_score_clip, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _score_clip(task: _Task) -> ScoredClip:
    directory, video, labels, methods, face, threads = task
    target = label_target(load_labels(labels, points=False))
    raw = score_frames(video, _scorers(methods, threads), face)
    for scores in raw.values():
        if len(scores) != len(target.scores):
            raise SourceError(
                f'{video}: {len(scores)} frames, but its labels have {len(target.scores)}'
            )
    return ScoredClip(clip_name(directory, video), target, raw)


@cache
def _scorers(methods: tuple[str, ...], threads: int) -> dict[str, PairScorer]:
    """Load the models once for all clips of a process."""
    return {m.name: m.scorer for m in load_methods(methods, DetectorSettings(), threads)}
