"""What bounded delay costs: keyframes found online in perfect change vectors.

    python -m benchmark.commit_delay ../shared/data/clips/dev ../shared/data/clips/train

The input of the keyframe stage is the labels' own change from frame to frame, not smoothed;
smoothing and detection are the runtime's. What is lost against the ground truth is lost by
looking ahead no further than the commit delay. `--noise` adds white noise to the vectors, about
what a network leaves.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from kf_imitation.data_types import FrameScore
from kf_imitation.errors import KfImitationError
from kf_imitation.evaluation.clip_scores import ScoredClip, measure, select
from kf_imitation.evaluation.labels import Labels, find_clips, load_labels
from kf_imitation.evaluation.metrics import label_target, mean_metrics
from kf_imitation.face_geometry.head_pose import unwrapped
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.parameters.settings import DetectorSettings

DELAYS_S = (0.04, 0.07, 0.1, 0.135, 0.17, 0.2, 0.25, 0.3, 0.5)


def perfect_scores(labels: Labels, noise: float, seed: int) -> list[FrameScore]:
    """Return what a scorer without error would say of each frame; score itself is not used."""
    rotation = labels.head_pose[:, :3, :3].astype(np.float64)
    vectors = unwrapped(Rotation.from_matrix(rotation).as_rotvec())
    motion = np.concatenate([labels.blendshapes[:, 1:], vectors], axis=1)
    change = np.diff(motion, axis=0) * labels.fps / 30
    # The head's angles weigh twice and are estimated better.
    spread = np.array([1.0] * 51 + [0.3] * 3) * noise
    change = change + np.random.default_rng(seed).normal(0, 1, change.shape) * spread
    first = FrameScore(0, 0, None)
    return [
        first,
        *(
            FrameScore(
                i,
                round(i / labels.fps * 1e9),
                0.5,
                dt_s=1 / labels.fps,
                change=vector.astype(np.float32),
            )
            for i, vector in enumerate(change, start=1)
        ),
    ]


def table(clips: Sequence[ScoredClip], smoothing: Smoothing) -> None:
    """Print the means by commit delay."""
    print('| commit delay [s] | E_n | E_l | F1@2 | rho | median, worst delay [s] |')
    print('|---|---|---|---|---|---|')
    for delay_s in DELAYS_S:
        settings = DetectorSettings(mode='peak', commit_delay_s=delay_s)
        means = mean_metrics(
            measure(clip, *select(clip.raw['labels'], settings, smoothing)) for clip in clips
        )
        e_n, e_l, f1, rho, median, worst = (
            means[key] or 0.0
            for key in ('e_n', 'e_l', 'f1', 'rho', 'delay_median_s', 'delay_worst_s')
        )
        print(
            f'| {delay_s:g} | {e_n:.2f} | {e_l:.2f} | {f1:.3f} | {rho:.3f} '
            f'| {median:.3f}, {worst:.3f} |',
            flush=True,
        )


def main() -> int:
    """Measure and print; 2 for what the user can fix."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('directories', nargs='+', type=Path)
    parser.add_argument('--noise', type=float, default=0.0)
    parser.add_argument('--sigma-s', type=float, default=Smoothing().sigma_s)
    parser.add_argument('--forecast-s', type=float, default=Smoothing().forecast_s)
    args = parser.parse_args()
    try:
        videos = [video for directory in args.directories for video in find_clips(directory)]
        clips = []
        for i, video in enumerate(videos):
            labels = load_labels(video.with_suffix('.npz'))
            raw = {'labels': perfect_scores(labels, args.noise, i)}
            clips.append(ScoredClip(video.stem, label_target(labels), raw))
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    table(clips, Smoothing(args.sigma_s, args.forecast_s))
    return 0


if __name__ == '__main__':
    sys.exit(main())
