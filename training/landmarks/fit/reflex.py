"""Fit what the reflex lane's predictions are worth, on people that the networks have not seen.

    .venv/bin/python -m training.landmarks.fit.reflex [--write]

The keyframe model reads eyes and mouth in every frame (kf_imitation/expression/reflex_sizes.py).
As with raw channels (size.py) a monotone map by quantiles, people counting alike, gives back the
size that the regression has lost. The table that is printed has, on people left out by folds,
gain, concordance, apex, correlation and rest before and after. Predictions are kept in --cache.
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.special import expit

from kf_imitation.data_types import CHANNELS, FRAME_CHANNELS
from kf_imitation.evaluation.channel_labels import label_channels
from kf_imitation.evaluation.labels import load_labels
from kf_imitation.expression.reflex_sizes import raw_reflexes
from kf_imitation.inference import OnnxModel, crop
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork
from training.landmarks.fit.clip_faces import faces_of
from training.landmarks.fit.size import (
    UNSEEN,
    Channel,
    Signal,
    angle_fit,
    angle_map,
    comparison,
    held_out,
    measured,
    medians_of,
    quantile_map,
    shifted,
    unit_fit,
)
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text

MODEL = 'keyframe_default'
FRAMES, EVERY = 250, 4  # of each clip, and of them every n-th
UNIT = {
    'jaw_open': Channel(trust=0.5),
    'eye_close': Channel(closed=True),
    'eye_wide': Channel(stretch=1.25),
    'mouth_smile': Channel(),
    'mouth_pucker': Channel(),
    'lip_press': Channel(),
    'brow_raise': Channel(),
    'brow_lower': Channel(),
}
# The networks read nothing of them that moves: in these, keyframes are followed as they are.
NOT_READ = ('mouth_frown',)
ANGLES = {'gaze_yaw': True, 'gaze_pitch': False}
# How far a person's own median is taken off, as Channel.trust: eyes that are read as looking down
# are mostly those of a face that looks so. To the sides that is no gain (docs/landmarks.md).
ANGLE_TRUST = {'gaze_yaw': 0.0, 'gaze_pitch': 0.5}
ABOUT = """
What the reflex lane's predictions are worth, by python -m training.landmarks.fit.reflex: points
of a monotone map from logits to 0..1; of gaze, the factor of what it differs from rest. typical is
the median over a clip of most people, spread how much people differ in it and trust how much of
that is theirs and not what they just do.
"""


def read_clip(folder: Path, stem: str, model: OnnxModel) -> tuple[NDArray[np.float64], ...]:
    """Return raw reflexes (n, 16), the labels' channels (n, 19) and the frame rate (1,)."""
    labels = load_labels(folder / f'{stem}.npz')
    human = label_channels(labels.blendshapes, labels.names, labels.head_pose)
    network = ChangeNetwork(model)
    raw, kept = [], []
    for index, frame, region in faces_of(folder / f'{stem}.mp4', min(FRAMES, len(human)), EVERY):
        if not labels.valid[index]:
            continue
        network.compare(crop(frame.bgr, region, network.crop_px))
        assert network.reading is not None
        raw.append(raw_reflexes(network.reading))
        kept.append(index)
    return np.array(raw), human[kept].astype(np.float64), np.array([labels.fps / EVERY])


def signals_of(folder: Path, cache: Path) -> dict[str, list[Signal]]:
    """Return the signals of every reflex channel, without its side, of people not seen before."""
    with (folder / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == 'train']
    model = OnnxModel.load(MODEL, 1)
    cache.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Signal]] = {}
    for row in rows:
        if not row['stem'].startswith(UNSEEN):
            continue
        kept = cache / f'{row["stem"]}.npz'
        if not kept.exists():
            np.savez(kept, *read_clip(folder / 'train', row['stem'], model))
        with np.load(kept) as file:
            raw, human, fps = file['arr_0'], file['arr_1'], file['arr_2']
        for k, name in enumerate(FRAME_CHANNELS):
            base = name.removesuffix('_left').removesuffix('_right')
            label = human[:, CHANNELS.index(name)]
            found.setdefault(base, []).append(
                Signal(row['person'], raw[:, k], label, float(fps[0]))
            )
    return found


def fitted(signals: Mapping[str, Sequence[Signal]]) -> str:
    """Return the text of the table, fitted on signals by channel without its side."""
    document: dict[str, dict[str, object]] = {}
    for name, channel in UNIT.items():
        medians = medians_of(signals[name])
        raw, value = quantile_map(shifted(signals[name], channel.trust), channel)
        document[name] = {
            'trust': channel.trust,
            'typical': round(float(np.median(medians)), 3),
            'spread': round(float(medians.std()), 3),
            'raw': rounded(raw, 3),
            'value': rounded(value, 3),
        }
    for name in NOT_READ:
        document[name] = {'raw': [0.0], 'value': [0.0]}
    for name, symmetric in ANGLES.items():
        medians, trust = medians_of(signals[name]), ANGLE_TRUST[name]
        rest, gain = angle_map(shifted(signals[name], trust), symmetric)
        document[name] = {
            'trust': trust,
            'typical': round(float(np.median(medians)), 3),
            'spread': round(float(medians.std()), 3),
            'rest': round(rest, 3),
            'gain': round(gain, 3),
        }
    return table_text(ABOUT, document)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--cache', type=Path, default=Path('data/reflex'))
    add_write_option(parser)
    arguments = parser.parse_args()
    signals = signals_of(arguments.shared / 'clips', arguments.cache)
    table, report = comparison('before / after, people held out')
    for name, channel in UNIT.items():
        seen = shifted(signals[name], channel.trust)
        report(name, measured(signals[name], expit), held_out(seen, unit_fit(channel)))
    for name, symmetric in ANGLES.items():
        seen = shifted(signals[name], ANGLE_TRUST[name])
        new = held_out(seen, angle_fit(symmetric))
        report(name, measured(signals[name], np.asarray), new)
    Console(width=110).print(table)
    settle('reflex_size', fitted(signals), arguments.write)


if __name__ == '__main__':
    main()
