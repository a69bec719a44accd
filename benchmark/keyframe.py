"""Time per frame of the keyframe stage, beside what a user would take instead.

    python -m benchmark.keyframe VIDEO --landmarker face_landmarker.task

Every subject gets the same decoded frames, one frame after the other, the subjects in turn, so
that a busy machine slows all of them alike. A frame of a keyframe model is face tracking, score,
smoothing and detection. Printed are median and 95th percentile of all frames but the first
(loading, warming up), the processor time of all threads, and ratios of medians. The process is
kept on two processors.

The MediaPipe face landmarker needs `pip install mediapipe` and its model file; without
--landmarker it is left out.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

import cv2
import numpy as np

from kf_imitation.camera.frame_source import SourceSettings
from kf_imitation.camera.sources import open_source
from kf_imitation.data_types import Frame
from kf_imitation.errors import KfImitationError, SourceError
from kf_imitation.face.face_tracker import FaceSettings, FaceTracker
from kf_imitation.keyframe.baselines import DisFlowScorer, FrameDifferenceScorer
from kf_imitation.keyframe.change_scorer import ChangeScorer
from kf_imitation.keyframe.detector_settings import DetectorSettings
from kf_imitation.keyframe.pair_scorer import PairScorer
from kf_imitation.keyframe.score_smoother import Smoothing
from kf_imitation.keyframe.selector import KeyframeSelector
from kf_imitation.onnx_model import OnnxModel
from kf_imitation.paths import share_path

PEER = 'MediaPipe face landmarker'
WARM_UP = 10


@dataclass
class Subject:
    """Something that is timed on every frame."""

    name: str
    step: Callable[[Frame], object]
    close: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)
    busy_seconds: list[float] = field(default_factory=list)

    def run(self, frame: Frame) -> None:
        """Time one frame."""
        start, busy = perf_counter(), process_time()
        self.step(frame)
        self.seconds.append(perf_counter() - start)
        self.busy_seconds.append(process_time() - busy)

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the times after warming up."""
        return float(np.percentile(self.seconds[WARM_UP:], percent)) * 1e3

    @property
    def busy_ms(self) -> float:
        """Median of the processor time of all threads, which a busy machine stretches less."""
        return float(np.median(self.busy_seconds[WARM_UP:])) * 1e3


def stage(scorer: PairScorer, smoothing: Smoothing) -> Callable[[Frame], object]:
    """Return the keyframe stage of one frame: face tracking, score, smoothing, detection."""
    tracker = FaceTracker(FaceSettings())
    selector = KeyframeSelector(DetectorSettings(), smoothing)
    return lambda frame: selector.push(scorer.score(frame, tracker.update(frame)))


def model_subject(name: str, threads: int) -> Subject:
    """Return the keyframe stage with a model of the manifest."""
    model = OnnxModel.load(name, threads)
    return Subject(name, stage(ChangeScorer(model), Smoothing.of_model(model.entry)))


def landmarker_subject(task_file: Path) -> Subject:
    """Return the MediaPipe face landmarker in video mode with blendshapes."""
    try:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise SourceError('--landmarker needs mediapipe: pip install mediapipe') from error
    if not task_file.is_file():
        raise SourceError(f'{task_file} is missing')
    landmarker = vision.FaceLandmarker.create_from_options(
        vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(task_file)),
            running_mode=vision.RunningMode.VIDEO,
            output_face_blendshapes=True,
        )
    )

    def step(frame: Frame) -> object:
        rgb = cv2.cvtColor(frame.bgr, cv2.COLOR_BGR2RGB)
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)
        return landmarker.detect_for_video(image, frame.stamp_ns // 1_000_000)

    return Subject(PEER, step, landmarker.close)


def read_frames(video: str, most: int) -> list[Frame]:
    """Decode the first frames of a video."""
    source = open_source(video, SourceSettings())
    try:
        frames = []
        while len(frames) < most and (frame := source.read()) is not None:
            frames.append(frame)
    finally:
        source.close()
    if len(frames) <= WARM_UP:
        raise SourceError(f'{video}: {len(frames)} frames are too few, {WARM_UP + 1} are needed')
    return frames


def measure(subjects: Sequence[Subject], frames: Sequence[Frame]) -> None:
    """Run every subject on every frame; who begins changes from frame to frame."""
    for i, frame in enumerate(frames):
        first = i % len(subjects)
        for subject in [*subjects[first:], *subjects[:first]]:
            subject.run(frame)


def main() -> int:
    """Measure and print; 2 for what the user can mend."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('video', nargs='?', default=str(share_path('media/demo.mp4')))
    parser.add_argument('--models', default='keyframe_default,keyframe_lite')
    parser.add_argument('--landmarker', type=Path, metavar='FILE', help='face_landmarker.task')
    parser.add_argument('--frames', type=int, default=300, help='at most so many')
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))[: args.threads]
    os.sched_setaffinity(0, cpus)
    cv2.setNumThreads(args.threads)
    try:
        subjects = [model_subject(name, args.threads) for name in args.models.split(',') if name]
        subjects += [
            Subject('face tracking alone', FaceTracker(FaceSettings()).update),
            Subject('frame difference', stage(FrameDifferenceScorer(), Smoothing())),
            Subject('OpenCV DIS flow', stage(DisFlowScorer(), Smoothing())),
        ]
        if args.landmarker is not None:
            subjects.append(landmarker_subject(args.landmarker))
        frames = read_frames(args.video, args.frames)
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    measure(subjects, frames)
    for subject in subjects:
        subject.close()
    height, width = frames[0].bgr.shape[:2]
    print(f'{args.video}: {len(frames)} frames of {width} x {height}, {len(cpus)} processors')
    against = {subject.name: subject.percentile_ms(50) for subject in subjects}
    peers = [name for name in (PEER, 'OpenCV DIS flow') if name in against]
    header = ''.join(f'{"of " + name:>29s}' for name in peers)
    print(f'{"":28s}{"median [ms]":>12s}{"p95 [ms]":>10s}{"processor [ms]":>16s}{header}')
    for subject in subjects:
        median = subject.percentile_ms(50)
        ratios = ''.join(f'{median / against[name]:29.2f}' for name in peers)
        p95 = subject.percentile_ms(95)
        print(f'{subject.name:28s}{median:12.2f}{p95:10.2f}{subject.busy_ms:16.2f}{ratios}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
