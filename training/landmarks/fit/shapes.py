"""Fit what predicted blendshapes are worth, on people that the landmark models have not seen.

    .venv/bin/python -m training.landmarks.fit.shapes [--write]

As for channels (size.py) a monotone map by quantiles, people counting alike, gives back the size
that the regression has lost; both sides share a map. Blendshapes that no map is written for are
not read from pictures: their correlation with the labels of people left out is too low, or they
move in too few people to say. Those that share a channel always have one.

The table that is printed has gain, concordance, apex, correlation and rest before and after, on
people left out by folds. Predictions are kept in --cache, which size.py fills too.
"""

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from scipy.special import expit

from kf_imitation.data_types import BLENDSHAPES
from kf_imitation.face_geometry.arkit import (
    LOOKS,
    MAKE_CHANNELS,
    SAME_AS,
    base_name,
    bounded_logits,
)
from kf_imitation.pipeline.face_pipeline import build_landmark_model
from training.landmarks.fit.size import (
    MODELS,
    UNSEEN,
    Channel,
    Signal,
    comparison,
    held_out,
    measured,
    quantile_map,
    unit_fit,
)
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text
from training.landmarks.measure.run import cache_folder, open_clips

CHANNEL = Channel()
LEAST_CORRELATION = 0.3
FEWEST_SIGNALS = 3
ABOUT = """
What predicted blendshapes are worth, by python -m training.landmarks.fit.shapes: points of a
monotone map from logits to 0..1, without side. r is the correlation with the labels of
people left out. Blendshapes that are missing are not read; those that a channel gives need no map.
"""


def signals_of(shared: Path, cache: Path, every: int, jitter: float) -> dict[str, list[Signal]]:
    """Return the signals of every blendshape, without its side, of people not seen before."""
    folder = shared / 'clips'
    with (folder / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == 'train']
    persons = {row['stem']: row['person'] for row in rows if row['stem'].startswith(UNSEEN)}
    model = build_landmark_model({**MODELS, 'threads': 1})
    kept = cache_folder(cache, list(MODELS.values()), None, every, jitter)
    found: dict[str, list[Signal]] = {}
    for clip in open_clips(folder, 'train', every, list(persons)):
        clip.predict(model, jitter, kept)
        raw = bounded_logits(np.array([one.blendshapes for one in clip.found], np.float64))
        rate_hz = clip.fps / float(np.median(np.diff(clip.index)))
        for k, name in enumerate(BLENDSHAPES):
            label = clip.shapes[:, k].astype(np.float64)
            signal = Signal(persons[clip.stem], raw[:, k], label, rate_hz)
            found.setdefault(base_name(name), []).append(signal)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--every', type=int, default=3, help='take every n-th frame')
    parser.add_argument('--jitter', type=float, default=0.04)
    parser.add_argument('--cache', type=Path, default=Path('data/predictions'))
    add_write_option(parser)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    signals = signals_of(arguments.shared, arguments.cache, arguments.every, arguments.jitter)
    table, report = comparison('before / after, people held out')
    document: dict[str, dict[str, object]] = {}
    given = {base_name(name) for name in (*SAME_AS, *LOOKS)}
    sharing = {base_name(name) for name in MAKE_CHANNELS}
    for name in sorted(signals.keys() - given):
        one = signals[name]
        before, after = measured(one, expit), held_out(one, unit_fit(CHANNEL))
        report(name, before, after)
        read = before['signals'] >= FEWEST_SIGNALS and after['r'] >= LEAST_CORRELATION
        if read or name in sharing:
            raw, value = quantile_map(one, CHANNEL)
            document[name] = {
                'r': round(after['r'], 2),
                'raw': rounded(raw, 3),
                'value': rounded(value, 3),
            }
    Console(width=110).print(table)
    settle('shape_size', table_text(ABOUT, dict(sorted(document.items()))), arguments.write)


if __name__ == '__main__':
    main()
