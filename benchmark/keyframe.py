"""Time and memory of the keyframe stage, beside what a user would take instead.

    python -m benchmark.keyframe VIDEO --landmarker face_landmarker.task --paper

Every subject gets the same decoded frames, one frame after the other, the subjects in turn, so
that a busy machine slows all of them alike. A frame of a keyframe model is face tracking, score,
smoothing and detection. Printed are median and 95th percentile of all frames but the first
(loading, warming up), the processor time of all threads, ratios of medians, and the peak memory
of a process that does only this. The process is kept on two processors.

The MediaPipe face landmarker needs `pip install mediapipe` and its model file; without
--landmarker it is left out. --paper adds the paper's two networks run without streaming, float32,
FastFlowNet on both frames at 256 px and ResNet-50 at 224 px (needs PyTorch; the weights are
random, the time does not depend on them).
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time

import cv2
import numpy as np
import onnxruntime

from kf_imitation.camera.sources import open_source
from kf_imitation.data_types import Frame
from kf_imitation.errors import KfImitationError, SourceError
from kf_imitation.face.tracker import FaceTracker
from kf_imitation.inference import OnnxModel, crop
from kf_imitation.keyframe.scoring.baselines import DisFlow, FrameDifference
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork, Comparison, PairScorer
from kf_imitation.keyframe.selection.selector import KeyframeSelector
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.parameters.settings import DetectorSettings, FaceSettings, SourceSettings
from kf_imitation.paths import share_path

PEER = 'MediaPipe face landmarker'
DIS = 'OpenCV DIS flow'
PAPER = 'the paper, no streaming'
WARM_UP = 10
PAPER_EVERY = 5  # it takes as long as ten others
FLOW_PX, RESNET_PX = 256, 224


@dataclass
class Subject:
    """Something that is timed on every frame."""

    name: str
    step: Callable[[Frame], object]
    close: Callable[[], None] = lambda: None
    every: int = 1  # frames
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
        return float(np.percentile(self.seconds[WARM_UP // self.every :], percent)) * 1e3

    @property
    def busy_ms(self) -> float:
        """Median of the processor time of all threads, which a busy machine stretches less."""
        return float(np.median(self.busy_seconds[WARM_UP // self.every :])) * 1e3


def stage(comparison: Comparison, smoothing: Smoothing) -> Callable[[Frame], object]:
    """Return the keyframe stage of one frame: face tracking, score, smoothing, detection."""
    tracker, scorer = FaceTracker(FaceSettings()), PairScorer(comparison)
    selector = KeyframeSelector(DetectorSettings(mode='peak'), smoothing)
    return lambda frame: selector.push(scorer.score(frame, tracker.update(frame)))


def model_subject(name: str, threads: int, manifest: Path | None) -> Subject:
    """Return the keyframe stage with a model of the manifest."""
    model = OnnxModel.load(name, threads, manifest)
    return Subject(name, stage(ChangeNetwork(model), Smoothing.of_model(model.entry)))


def paper_subject(threads: int) -> Subject:
    """Return face tracking and the paper's two networks, both frames seen anew each time."""
    from training.keyframe.export.unstreamed import write  # needs PyTorch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'paper.onnx'
        write(file, FLOW_PX, RESNET_PX)
        session = onnxruntime.InferenceSession(
            str(file), options, providers=['CPUExecutionProvider']
        )
    tracker = FaceTracker(FaceSettings())
    before: list[Frame] = []

    def step(frame: Frame) -> object:
        region = tracker.update(frame)
        previous = before.pop() if before else frame
        before.append(frame)
        if region is None:
            return None
        crops = np.stack([crop(f.bgr, region, FLOW_PX) for f in (frame, previous)])
        return session.run(None, {'crops': crops})

    return Subject(PAPER, step, every=PAPER_EVERY)


def make_subject(name: str, threads: int, landmarker: Path, manifest: Path | None) -> Subject:
    """Return a subject by its name in the table; a model's is its name in the manifest."""
    if name == PEER:
        return landmarker_subject(landmarker)
    if name == PAPER:
        return paper_subject(threads)
    if name == 'face tracking alone':
        return Subject(name, FaceTracker(FaceSettings()).update)
    if name == 'frame difference':
        return Subject(name, stage(FrameDifference(), Smoothing()))
    if name == DIS:
        return Subject(name, stage(DisFlow(), Smoothing()))
    return model_subject(name, threads, manifest)


def peak_mb(name: str, threads: int, landmarker: Path, manifest: Path | None, video: str) -> float:
    """Return the peak resident memory of this process after some frames of one subject [MB]."""
    subject = make_subject(name, threads, landmarker, manifest)
    for frame in read_frames(video, WARM_UP + 5):
        subject.step(frame)
    subject.close()
    # Not ru_maxrss, which a new process inherits from the one that started it.
    status = Path('/proc/self/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0]) / 1024


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
        frames: list[Frame] = []
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
            if i % subject.every == 0:
                subject.run(frame)


def main() -> int:
    """Measure and print; 2 for what the user can fix."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('video', nargs='?', default=str(share_path('media/demo.mp4')))
    parser.add_argument('--models', default='keyframe_default,keyframe_lite')
    parser.add_argument('--manifest', type=Path, help='of other models than the package has')
    parser.add_argument('--landmarker', type=Path, metavar='FILE', help='face_landmarker.task')
    parser.add_argument('--paper', action='store_true', help="with the paper's two networks")
    parser.add_argument('--frames', type=int, default=300, help='at most so many')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--no-memory', action='store_true', help='leave out the peak memory')
    args = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))[: args.threads]
    os.sched_setaffinity(0, cpus)
    cv2.setNumThreads(args.threads)
    names = [name for name in args.models.split(',') if name]
    names += ['face tracking alone', 'frame difference', DIS]
    names += [PAPER] if args.paper else []
    names += [PEER] if args.landmarker is not None else []
    settings = (args.threads, args.landmarker, args.manifest)
    memory: dict[str, float] = {}
    try:
        frames = read_frames(args.video, args.frames)
        subjects = [make_subject(name, *settings) for name in names]
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    measure(subjects, frames)
    for subject in subjects:
        subject.close()
    if not args.no_memory:
        for name in names:  # a fresh process each: memory that was once taken stays taken
            with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
                memory[name] = pool.submit(peak_mb, name, *settings, args.video).result()
    print_table(args.video, frames[0], len(frames), len(cpus), subjects, memory)
    return 0


def print_table(
    video: str,
    frame: Frame,
    count: int,
    cpus: int,
    subjects: Sequence[Subject],
    memory: dict[str, float],
) -> None:
    """Print a row for each subject, and ratios to those a user would take instead."""
    height, width = frame.bgr.shape[:2]
    print(f'{video}: {count} frames of {width} x {height}, {cpus} processors')
    against = {subject.name: subject.percentile_ms(50) for subject in subjects}
    peers = [name for name in (PEER, DIS) if name in against]
    header = ''.join(f'{"of " + name.split()[0] + " " + name.split()[1]:>18s}' for name in peers)
    print(f'{"":28s}{"median [ms]":>12s}{"p95":>8s}{"processor":>11s}{"peak [MB]":>11s}{header}')
    for subject in subjects:
        median = subject.percentile_ms(50)
        ratios = ''.join(f'{median / against[name]:18.2f}' for name in peers)
        p95 = subject.percentile_ms(95)
        peak = f'{memory[subject.name]:.0f}' if subject.name in memory else '-'
        print(
            f'{subject.name:28s}{median:12.2f}{p95:8.2f}{subject.busy_ms:11.2f}{peak:>11s}{ratios}'
        )


if __name__ == '__main__':
    sys.exit(main())
