"""A still face gives no keyframes: photographs with camera noise, and the flattest clip there is.

    python -m benchmark.stillness [PICTURE_OR_VIDEO …] [--clips ../shared/data/clips/dev …]

Each picture (of a video: its first frame; default: the demo clip) is shown for `--seconds` at
30 fps with noise as a sensor makes it: photon noise that grows with the root of the light, and
read noise, at several light levels. Of the labelled clips it takes the one with the fewest true
keyframes a second, and the longest stretch of all clips in which the labels have no keyframe and
no score above 0.1. Exit code 1 when a still picture or that stretch gives a keyframe.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from kf_imitation.camera.sources import open_source
from kf_imitation.data_types import Frame, FrameScore, Image, Keyframe
from kf_imitation.errors import KfImitationError
from kf_imitation.evaluation.labels import find_clips, load_labels
from kf_imitation.evaluation.metrics import Target, label_target
from kf_imitation.face.tracker import FaceTracker
from kf_imitation.inference import OnnxModel
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork, PairScorer
from kf_imitation.keyframe.selection.selector import KeyframeSelector
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.parameters.settings import FaceSettings, SourceSettings
from kf_imitation.paths import share_path
from kf_imitation.pipeline.face_pipeline import detector_settings, face_settings
from kf_imitation.ros_graph.nodes import merged_parameters

# Share of the picture's own light, and electrons a full pixel holds at that gain: a bright room,
# an evening lamp, and a dim room with the gain turned up.
LIGHTS = ((1.0, 8000.0), (0.6, 3000.0), (0.4, 1000.0), (0.35, 800.0))
READ_NOISE = 1.0  # grey levels
FPS = 30.0
QUIET = 0.1  # score


class KeyframeStage:
    """Face tracking, score, smoothing and detection with the package's parameters.

    Args:
        model_name: in the manifest.
        mode: of the detector.
        manifest: another one than the package's.
    """

    def __init__(self, model_name: str, mode: str, manifest: Path | None = None) -> None:
        values = merged_parameters('')['keyframe']
        self._face: FaceSettings = face_settings(values)
        self._settings = replace(detector_settings(values), mode=mode)
        self._model = OnnxModel.load(model_name, 2, manifest)

    def run(self, frames: Iterable[Frame]) -> tuple[list[FrameScore], list[Keyframe]]:
        """Return the scores and keyframes of a stream."""
        tracker = FaceTracker(self._face)
        scorer = PairScorer(ChangeNetwork(self._model))
        selector = KeyframeSelector(self._settings, Smoothing.of_model(self._model.entry))
        scores: list[FrameScore] = []
        keyframes: list[Keyframe] = []
        for frame in frames:
            step = selector.push(scorer.score(frame, tracker.update(frame)))
            scores += step.scores
            keyframes += step.keyframes
        step = selector.flush()
        return [*scores, *step.scores], [*keyframes, *step.keyframes]


def read_frames(video: str) -> Iterator[Frame]:
    """Decode a video."""
    source = open_source(video, SourceSettings())
    try:
        while (frame := source.read()) is not None:
            yield frame
    finally:
        source.close()


def noisy(
    picture: Image, light: float, electrons: float, count: int, seed: int
) -> Iterator[Frame]:
    """Yield a picture as a camera sees it again and again.

    Args:
        picture: (H, W, 3) uint8 BGR.
        light: factor on its brightness.
        electrons: that make grey level 255; fewer make more noise.
        count: frames.
        seed: of the noise.
    """
    rng = np.random.default_rng(seed)
    clean = picture.astype(np.float32) * light
    spread = np.sqrt(clean * (255.0 / electrons) + READ_NOISE**2)
    for i in range(count):
        noise = rng.standard_normal(clean.shape, dtype=np.float32)
        bgr = np.clip(np.rint(clean + spread * noise), 0, 255).astype(np.uint8)
        yield Frame(index=i, stamp_ns=round(i / FPS * 1e9), bgr=bgr)


def longest_quiet(target: Target) -> slice:
    """Return the longest stretch without a keyframe and without a score above QUIET."""
    loud = target.scores > QUIET
    loud[target.keyframes] = True
    edges = np.flatnonzero(np.concatenate([[True], loud, [True]]))
    place = int(np.argmax(np.diff(edges)))
    return slice(int(edges[place]), int(edges[place + 1]) - 1)


def check_pictures(stage: KeyframeStage, pictures: Sequence[str], seconds: float) -> int:
    """Print a row for each picture and light; return the number of keyframes."""
    total = 0
    print(
        f'{"still picture":32s}{"light":>7s}{"noise":>7s}{"scored":>8s}{"worst":>7s}{"keys":>6s}'
    )
    for name in pictures:
        picture = next(read_frames(name)).bgr
        for seed, (light, electrons) in enumerate(LIGHTS):
            frames = noisy(picture, light, electrons, round(seconds * FPS), seed)
            scores, keyframes = stage.run(frames)
            known = [s.score for s in scores if s.score is not None]
            noise = float(np.sqrt(picture.mean() * light * 255 / electrons + READ_NOISE**2))
            worst = max(known, default=float('nan'))
            total += len(keyframes)
            print(
                f'{Path(name).name:32s}{light:7.2f}{noise:7.1f}{len(known):8d}{worst:7.3f}'
                f'{len(keyframes):6d}'
            )
    return total


def check_clips(stage: KeyframeStage, folders: Sequence[Path]) -> int:
    """Print the flattest clip and the longest quiet stretch; return keyframes in the stretch."""
    videos = [video for folder in folders for video in find_clips(folder)]
    targets = {v: label_target(load_labels(v.with_suffix('.npz'))) for v in videos}
    flattest = min(
        videos, key=lambda v: len(targets[v].keyframes) / len(targets[v].scores) * targets[v].fps
    )
    quiet = {v: longest_quiet(t) for v, t in targets.items()}
    longest = max(videos, key=lambda v: (quiet[v].stop - quiet[v].start) / targets[v].fps)
    frames, found = len(targets[flattest].scores), stage.run(read_frames(str(flattest)))[1]
    truth = targets[flattest].keyframes
    print(
        f'flattest clip: {flattest.name}, {frames / targets[flattest].fps:.1f} s, '
        f'{len(truth)} true keyframes {truth.tolist()}, found {[k.index for k in found]}'
    )
    part, fps = quiet[longest], targets[longest].fps
    inside = [f for f in read_frames(str(longest)) if part.start <= f.index < part.stop]
    found = stage.run(inside)[1]
    print(
        f'longest quiet stretch: {longest.name}, frames {part.start} to {part.stop - 1} '
        f'({len(inside) / fps:.1f} s), found {[k.index for k in found]}'
    )
    return len(found)


def main() -> int:
    """Print tables; 1 when what is still gives a keyframe, 2 for what the user can fix."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('pictures', nargs='*', default=[str(share_path('media/demo.mp4'))])
    parser.add_argument('--clips', type=Path, nargs='*', default=[], metavar='DIR')
    parser.add_argument('--model', default='keyframe_default')
    parser.add_argument('--modes', default='peak,travel', help='of the detector')
    parser.add_argument('--manifest', type=Path, help='of other models than the package has')
    parser.add_argument('--seconds', type=float, default=4.0)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        moved = 0
        for mode in args.modes.split(','):
            print(f'{args.model}, mode {mode}')
            stage = KeyframeStage(args.model, mode, args.manifest)
            moved += check_pictures(stage, args.pictures, args.seconds)
            if args.clips:
                moved += check_clips(stage, args.clips)
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if moved else 0


if __name__ == '__main__':
    sys.exit(main())
