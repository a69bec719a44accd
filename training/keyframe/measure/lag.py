"""How late the labels of clips are, by what a keyframe model sees change.

`python -m training.keyframe.measure.lag --model models/keyframe_lite.onnx`

The teacher smooths over time with what is past, so its labels are late; a model that compares two
frames knows nothing of what was before. Printed is how well the model's changes agree with those
of the labels so much later (correlation over all frames of all clips), by part of the face.
TEACHER_LAG_S of training/data/labels.py and the exports' `delay_s` come from there.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kf_imitation.errors import KfImitationError
from kf_imitation.evaluation.metrics import SIGMA_S
from kf_imitation.keyframe.scoring.score_scale import BLENDSHAPES, CHANGE_NAMES
from training.data.clip_cache import CachedClip
from training.data.labels import smooth
from training.keyframe.measure.held_out_people import clips_of
from training.keyframe.measure.run import OnnxScorer, clip_changes

LAGS_S = (-0.01, 0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04)
PARTS = {
    'eyes': [i for i, n in enumerate(CHANGE_NAMES[:BLENDSHAPES]) if n.startswith('eye')],
    'brows': [i for i, n in enumerate(CHANGE_NAMES[:BLENDSHAPES]) if n.startswith('brow')],
    'mouth': [
        i for i, n in enumerate(CHANGE_NAMES[:BLENDSHAPES]) if n.startswith(('jaw', 'mouth'))
    ],
    'head': list(range(BLENDSHAPES, len(CHANGE_NAMES))),
}


def agreement(
    pairs: Iterable[tuple[np.ndarray, CachedClip]], lags_s: Sequence[float]
) -> dict[str, list[float]]:
    """Correlate changes with those of the labels some time later.

    Args:
        pairs: (N, 54) changes of consecutive frames, and their clip.
        lags_s: how much later; below 0 earlier [s].

    Returns:
        For each part of the face a correlation for each lag.
    """
    sums = {part: np.zeros((3, len(lags_s))) for part in PARTS}
    for changes, clip in pairs:
        labels, count = clip.labels, len(changes)
        state = smooth(labels.state[:count], SIGMA_S, labels.fps)
        found = smooth(changes, SIGMA_S, labels.fps)
        known = labels.valid[1:count] & labels.valid[: count - 1]
        frame = np.arange(count)
        for k, lag_s in enumerate(lags_s):
            at = frame + lag_s * labels.fps
            later = np.stack([np.interp(at, frame, column) for column in state.T], axis=1)
            truth = np.diff(later, axis=0)[known]
            for part, which in PARTS.items():
                a, b = found[1:][known][:, which], truth[:, which]
                sums[part][:, k] += (a * b).sum(), (a * a).sum(), (b * b).sum()
    return {
        part: list(both / np.sqrt(own * true + 1e-12)) for part, (both, own, true) in sums.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, default=Path('models/keyframe_lite.onnx'))
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/train'))
    parser.add_argument('--labels', type=Path, help='label files, mirroring --clips')
    parser.add_argument('--cache', type=Path, default=Path('data/clips'))
    parser.add_argument('--hold-out', nargs='*', default=[], help='clips or people; none: all')
    parser.add_argument('--limit', type=int, default=150, help='frames of a clip')
    options = parser.parse_args(arguments)
    if not options.model.is_file():
        parser.error(f'--model {options.model}: no such file')
    try:
        clips = clips_of(options.clips, options.labels, options.cache, options.hold_out)
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    scorer = OnnxScorer(options.model)
    changes = (clip_changes(clip, scorer, scorer.crop_px, options.limit) for clip in clips)
    found = agreement(zip(changes, clips, strict=True), LAGS_S)
    print('labels so much later [s]', *(f'{lag_s:7.3f}' for lag_s in LAGS_S))
    for part, row in found.items():
        print(f'{part:24s}', *(f'{value:7.3f}' for value in row))
    return 0


if __name__ == '__main__':
    sys.exit(main())
