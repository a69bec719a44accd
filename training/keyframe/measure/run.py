"""The keyframe metrics of docs/benchmark.md section 2 on labelled clips, crops from the labels.

`python -m training.keyframe.measure --model models/keyframe_default.onnx --clips DIR`

The official figures come from `kf_imitation evaluate`, which runs the face tracker too. This
script needs only the labels and serves while training.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks

from kf_imitation.data_types import FaceRegion, FrameScore, Image, Keyframe
from kf_imitation.evaluation.labels import Labels as RuntimeLabels
from kf_imitation.evaluation.labels import load_labels as load_runtime_labels
from kf_imitation.evaluation.metrics import ClipMetrics, clip_metrics, label_target, mean_metrics
from kf_imitation.inference import crop
from kf_imitation.keyframe.scoring.pair_scorer import (
    REFERENCE_S,
    pictures,
    score_of_change,
    states,
)
from kf_imitation.keyframe.selection.selector import KeyframeSelector
from kf_imitation.parameters.settings import DetectorSettings
from training.data.clip_cache import CachedClip, build, load
from training.data.face_states import FaceStates, target

# Consecutive crops of one region, (n, S, S, 3), to (n-1, K) changes of the pairs. K = 1: scores.
PairScorer = Callable[[Image], np.ndarray]


def hold_regions(regions: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """Split a clip where the face leaves its region, as the face tracker does.

    Args:
        regions: (N, 3) centre x, centre y, size of every frame.

    Returns:
        (first frame, one past the last, (3,) region) without gaps.
    """
    parts: list[tuple[int, int, np.ndarray]] = []
    start, held = 0, regions[0]
    for i, region in enumerate(regions):
        moved = np.abs(region[:2] - held[:2]).max() > 0.06 * held[2]
        if moved or abs(region[2] / held[2] - 1) > 0.1:
            parts.append((start, i, held))
            start, held = i, region
    parts.append((start, len(regions), held))
    return [p for p in parts if p[1] > p[0]]


def clip_changes(clip: CachedClip, scorer: PairScorer, crop_px: int, limit: int) -> np.ndarray:
    """Return (N, K) changes per pair of a clip; the first frame has zeros.

    Args:
        clip: frames and labels.
        scorer: see PairScorer.
        crop_px: edge of the crops.
        limit: use at most so many frames.
    """
    count = min(limit, len(clip.frames))
    rows: list[np.ndarray] = []
    for first, last, (x, y, size) in hold_regions(clip.regions[:count]):
        region = FaceRegion(x - size / 2, y - size / 2, size)
        # The frame before the part is cropped again with the part's region.
        frames = clip.frames[max(0, first - 1) : last]
        rows.append(scorer(np.stack([crop(f, region, crop_px) for f in frames])))
    changes = np.concatenate(rows)
    return np.concatenate([np.zeros_like(changes[:1]), changes])[:count]


def smoothed_score(
    changes: np.ndarray, fps: float, sigma_s: float = 0.05, reach_s: float = 0.1
) -> np.ndarray:
    """Smooth changes over time and turn them to scores, as the runtime does.

    Args:
        changes: (N, 54) change vectors of pairs, or (N, 1) scores, which are smoothed as such.
        fps: of the clip.
        sigma_s: of the Gaussian [s].
        reach_s: look-ahead and look-back [s].
    """
    reach = int(reach_s * fps + 1e-6)
    apart_s = np.arange(-reach, reach + 1) / fps
    weight = np.exp(-0.5 * (apart_s / sigma_s) ** 2)
    weight /= weight.sum()
    padded = np.pad(changes, ((reach, reach), (0, 0)), mode='edge')
    smooth = np.stack([np.convolve(c, weight, 'valid') for c in padded.T], axis=1)
    if changes.shape[1] == 1:
        return smooth[:, 0]
    return np.append(0.0, score_of_change(smooth[1:] * (fps * REFERENCE_S)))


def figures(score: np.ndarray, labels: FaceStates, prominence: float) -> ClipMetrics:
    """Compare the scores of a clip's first frames with its labels; peaks are found afterwards."""
    spacing = max(1, round(0.2 * labels.fps))
    found = find_peaks(score, prominence=prominence, distance=spacing)[0]
    return clip_metrics(target(labels).first(len(score)), score.tolist(), found)


def mean_figures(rows: list[ClipMetrics]) -> dict[str, float]:
    """Average over the clips with at least three keyframes; what no clip has is left out."""
    means = mean_metrics(rows)
    return {k: float(v) for k, v in means.items() if v is not None and k != 'clips'}


def frame_difference(crops: Image) -> np.ndarray:
    """The baseline: mean absolute grey difference, as (n-1, 1)."""
    grey = crops.astype(np.float32).mean(axis=-1)
    return np.abs(np.diff(grey, axis=0)).mean(axis=(1, 2))[:, None] / 10


class OnnxScorer:
    """An exported model as PairScorer; run frame by frame with its state, as the robot does."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(path), options)
        shapes = {i.name: i.shape for i in self._session.get_inputs()}
        self.crop_px, self._shapes = int(shapes['crop'][1]), shapes
        self._zero = {name: np.zeros(shape, np.float32) for name, shape in states(shapes).items()}
        self._outputs = [o.name for o in self._session.get_outputs()]

    def __call__(self, crops: Image) -> np.ndarray:
        """Return (n-1, 54) changes of consecutive crops; (n-1, 1) scores of models without."""
        state, rows = self._zero, []
        for image in crops:
            values = self._session.run(None, {**pictures(image, self._shapes), **state})
            result = dict(zip(self._outputs, values, strict=True))
            state = {name: result['next_' + name] for name in self._zero}
            rows.append(result['change'][0] if 'change' in result else result['score'])
        return np.stack(rows)[1:]


def load_clips(folder: Path, cache: Path) -> list[CachedClip]:
    """Open all labelled clips of a folder through a cache."""
    videos = sorted(v for v in folder.glob('*.mp4') if v.with_suffix('.npz').exists())
    return [load(build(video, cache)) for video in videos]


def online_metrics(
    changes: np.ndarray, labels: RuntimeLabels, settings: DetectorSettings
) -> ClipMetrics:
    """Run the runtime's own smoothing and detector over a clip.

    Args:
        changes: (N, 54) change vectors of pairs, or (N, 1) scores; the first is ignored.
        labels: of the clip.
        settings: of the detector; the commit delay includes the look-ahead of the smoothing.
    """
    selector = KeyframeSelector(settings)
    scores: list[FrameScore] = []
    keyframes: list[Keyframe] = []
    dt_s, rate = 1 / labels.fps, labels.fps * REFERENCE_S
    for i, row in enumerate(changes):
        stamp_ns = round(i / labels.fps * 1e9)
        if i == 0:
            frame = FrameScore(i, stamp_ns, None)
        elif len(row) == 1:
            frame = FrameScore(i, stamp_ns, float(np.clip(row[0], 0, 1)), dt_s=dt_s)
        else:
            change = (row * rate).astype(np.float32)
            score = float(score_of_change(change))
            frame = FrameScore(i, stamp_ns, score, dt_s=dt_s, change=change)
        selection = selector.push(frame)
        scores += selection.scores
        keyframes += selection.keyframes
    selection = selector.flush()
    scores += selection.scores
    keyframes += selection.keyframes
    return clip_metrics(
        label_target(labels),
        [s.score for s in scores],
        [k.index for k in keyframes],
        [k.commit_delay_s for k in keyframes],
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, help='exported model; none: frame difference')
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/dev'))
    parser.add_argument('--cache', type=Path, default=Path('data/clips_dev'))
    parser.add_argument('--stems', nargs='*', default=[], help='only these clips')
    parser.add_argument('--prominence', type=float, nargs='+', default=[0.1])
    parser.add_argument('--commit-delay', type=float, default=0.17)
    parser.add_argument('--save', type=Path, help='write the changes of all clips to this .npz')
    parser.add_argument('--saved', type=Path, help='read the changes from such a file')
    arguments = parser.parse_args()
    scorer = OnnxScorer(arguments.model) if arguments.model else None
    saved: dict[str, np.ndarray] = dict(np.load(arguments.saved)) if arguments.saved else {}
    clips = load_clips(arguments.clips, arguments.cache)
    clips = [c for c in clips if not arguments.stems or c.stem in arguments.stems]
    for clip in clips:
        if clip.stem not in saved:
            size = scorer.crop_px if scorer else 96
            model = scorer or frame_difference
            saved[clip.stem] = clip_changes(clip, model, size, len(clip.frames))
    if arguments.save:
        np.savez(arguments.save, **saved)
    for prominence in arguments.prominence:
        settings = DetectorSettings(
            mode='peak', prominence=prominence, commit_delay_s=arguments.commit_delay
        )
        online, offline = [], []
        for clip in clips:
            labels = load_runtime_labels(arguments.clips / f'{clip.stem}.npz')
            online.append(online_metrics(saved[clip.stem], labels, settings))
            score = smoothed_score(saved[clip.stem], labels.fps)
            offline.append(figures(score, clip.labels, prominence))
            if len(arguments.prominence) == 1:
                row = {k: v and round(v, 3) for k, v in asdict(online[-1]).items()}
                print(f'{clip.stem[:40]:40s}', json.dumps(row))
        for name, means in (
            ('online ', mean_metrics(online)),
            ('offline', mean_figures(offline)),
        ):
            rounded = {k: v and round(v, 3) for k, v in means.items()}
            print(f'prominence {prominence} {name}', json.dumps(rounded))


if __name__ == '__main__':
    main()
