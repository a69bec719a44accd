"""Measure a checkpoint or an exported model on clips kept out of its training.

`python -m training.keyframe.measure_held_out --model runs/keyframe_lite/last.ckpt`

Beside the figures of `measure.py` it tells how far the change vectors are off, the finest measure
there is of what a change of the training does: every pair counts, not only keyframes.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kf_imitation.errors import KfImitationError
from kf_imitation.offline import layouts
from training.data import clip_cache
from training.data.clip_cache import CachedClip
from training.data.labels import TRAINED_SIGMA_S, smooth, target_score
from training.keyframe.export import held_out, load_network
from training.keyframe.held_out import net_scorer
from training.keyframe.measure import (
    OnnxScorer,
    PairScorer,
    clip_changes,
    figures,
    mean_figures,
    smoothed_score,
)


def relative_error(changes: np.ndarray, clip: CachedClip) -> float:
    """Return RMS(found - true) / RMS(true) of (N, 54) change vectors; 1 is that of saying 0."""
    labels, count = clip.labels, len(changes)
    state = np.concatenate([labels.blendshapes, labels.rotation], axis=1)
    state = smooth(state, TRAINED_SIGMA_S, labels.fps, labels.lag_s)
    truth = np.diff(state[:count], axis=0)
    known = labels.valid[1:count] & labels.valid[: count - 1]
    apart = np.square(changes[1:] - truth)[known].mean()
    return float(np.sqrt(apart / (np.square(truth)[known].mean() + 1e-12)))


def measure(
    scorer: PairScorer, clips: list[CachedClip], crop_px: int, limit: int = 150
) -> dict[str, float]:
    """Return the means over clips: error (relative_error), rho, f1, e_n, e_l."""
    errors, rows = [], []
    for clip in clips:
        changes = clip_changes(clip, scorer, crop_px, limit)
        errors.append(relative_error(changes, clip))
        score = smoothed_score(changes, clip.labels.fps)
        truth = target_score(clip.labels)[: len(score)]
        rows.append(figures(score, truth, clip.labels.fps, 0.1))
    means = mean_figures(rows)
    return {'error': float(np.mean(errors))} | {
        k: means[k] for k in ('rho', 'f1', 'e_n', 'e_l') if k in means
    }


def measure_file(model: Path, clips: list[CachedClip], limit: int = 150) -> dict[str, float]:
    """Measure a .ckpt or .onnx."""
    if model.suffix == '.onnx':
        scorer = OnnxScorer(model)
        return measure(scorer, clips, scorer.crop_px, limit)
    net = load_network(model)
    return measure(net_scorer(net), clips, net.crop_px, limit)


def clips_of(
    folder: Path, labels: Path | None, cache: Path, names: Sequence[str]
) -> list[CachedClip]:
    """Open the clips of the people named (by clip or person); without names all.

    Raises:
        SourceError: there is no labelled clip.
    """
    found = layouts.find(folder, labels, labelled=True)
    people = {c.person for c in found if c.key in names or c.person in names}
    chosen = [c for c in found if not names or c.person in people]
    return [clip_cache.load(clip_cache.build_clip(c, cache)) for c in chosen]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, required=True, help='.ckpt or .onnx')
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/train'))
    parser.add_argument('--labels', type=Path, help='label files, mirroring --clips')
    parser.add_argument('--cache', type=Path, default=Path('data/clips'))
    parser.add_argument('--hold-out', nargs='*', help="none: the checkpoint's own")
    parser.add_argument('--limit', type=int, default=150, help='frames of a clip')
    parser.add_argument('--json', type=Path, help='also write the figures to this file')
    options = parser.parse_args(arguments)
    if not options.model.is_file():
        parser.error(f'--model {options.model}: no such file')
    names = options.hold_out
    if names is None:
        names = held_out(options.model)
    try:
        clips = clips_of(options.clips, options.labels, options.cache, names)
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    if not clips:
        print(f'{options.clips}: no clip of {", ".join(names)}', file=sys.stderr)
        return 2
    row = measure_file(options.model, clips, options.limit)
    text = json.dumps({k: round(v, 4) for k, v in row.items()})
    print(f'{options.model} on {len(clips)} clips {text}')
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
