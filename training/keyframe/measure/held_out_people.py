"""Measure a checkpoint or an exported model on clips kept out of its training.

`python -m training.keyframe.measure.held_out_people --model runs/keyframe_lite/last.ckpt`

In addition to the figures of `run.py` it reports how far the change vectors are off, the finest
measure there is of what a change of the training does: every pair counts, not only keyframes.
With `--gains` and `--sigmas` every combination is measured: what the export takes.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kf_imitation.cli.terminal import write_json
from kf_imitation.errors import KfImitationError
from kf_imitation.evaluation import datasets
from kf_imitation.evaluation.metrics import SIGMA_S
from kf_imitation.keyframe.scoring.pair_scorer import CHANGE_SIZE
from training.data import clip_cache
from training.data.clip_cache import CachedClip
from training.data.face_states import TRAINED_SIGMA_S, smooth
from training.keyframe.export.run import held_out, load_network
from training.keyframe.measure.held_out import net_scorer
from training.keyframe.measure.run import (
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
    state = smooth(labels.state, TRAINED_SIGMA_S, labels.fps)
    truth = np.diff(state[:count], axis=0)
    known = labels.valid[1:count] & labels.valid[: count - 1]
    apart = np.square(changes[1:] - truth)[known].mean()
    return float(np.sqrt(apart / (np.square(truth)[known].mean() + 1e-12)))


@dataclass(frozen=True)
class Scoring:
    """How scores are made of change vectors.

    Attributes:
        gain: on the vectors, as in the export.
        sigma_s: of the smoothing [s].
    """

    gain: float = 1.0
    sigma_s: float = SIGMA_S


def measure(
    scorer: PairScorer,
    clips: list[CachedClip],
    crop_px: int,
    limit: int = 150,
    scorings: Sequence[Scoring] = (Scoring(),),
) -> list[dict[str, float]]:
    """Return for each scoring the means over clips: rho, f1, e_n, e_l and, of vectors, error."""
    changes = [clip_changes(clip, scorer, crop_px, limit) for clip in clips]
    found = []
    for scoring in scorings:
        rows = []
        for clip, change in zip(clips, changes, strict=True):
            score = smoothed_score(scoring.gain * change, clip.labels.fps, scoring.sigma_s)
            rows.append(figures(score, clip.labels, 0.1))
        errors = [
            relative_error(scoring.gain * c, clip)
            for c, clip in zip(changes, clips, strict=True)
            if c.shape[1] == CHANGE_SIZE
        ]
        means = mean_figures(rows)
        found.append(
            ({'error': float(np.mean(errors))} if errors else {})
            | {k: means[k] for k in ('rho', 'f1', 'e_n', 'e_l') if k in means}
        )
    return found


def measure_file(
    model: Path,
    clips: list[CachedClip],
    limit: int = 150,
    scorings: Sequence[Scoring] = (Scoring(),),
) -> list[dict[str, float]]:
    """Measure a .ckpt or .onnx; see `measure`."""
    if model.suffix == '.onnx':
        scorer = OnnxScorer(model)
        return measure(scorer, clips, scorer.crop_px, limit, scorings)
    net = load_network(model)
    return measure(net_scorer(net), clips, net.crop_px, limit, scorings)


def clips_of(
    folder: Path, labels: Path | None, cache: Path, names: Sequence[str]
) -> list[CachedClip]:
    """Open the clips of the people named (by clip or person); without names all.

    Raises:
        SourceError: there is no labelled clip, or a name is nobody's.
    """
    found = datasets.find(folder, labels, labelled=True)
    people = datasets.people_named(found, names)
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
    parser.add_argument('--gains', type=float, nargs='+', default=[1.0])
    parser.add_argument('--sigmas', type=float, nargs='+', default=[SIGMA_S], help='[s]')
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
    grid = itertools.product(options.gains, options.sigmas)
    scorings = [Scoring(*values) for values in grid]
    rows = measure_file(options.model, clips, options.limit, scorings)
    print(f'{options.model} on {len(clips)} clips')
    rounded = [{k: round(v, 4) for k, v in row.items()} for row in rows]
    for scoring, row in zip(scorings, rounded, strict=True):
        print(json.dumps((asdict(scoring) if len(scorings) > 1 else {}) | row))
    write_json(rounded[0], options.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
