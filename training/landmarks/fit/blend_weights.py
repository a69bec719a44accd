"""Choose how much predictions count against the geometry, on people no model was trained on.

    .venv/bin/python -m training.landmarks.fit.blend_weights [--clips STEM ...]

Prints what every weight of the part model (PART_WEIGHT in landmarks/landmark_model.py) and of the
predictions (PREDICTION_WEIGHT in expression/channels.py and face_geometry/head_pose.py) gives on
the clips that training/keyframe/train/configs/default.yaml holds out: the part model was not
trained on them, PFLD and the eye model not on two of them (and not on
edtalk_test_data_pose_source2). The table has the mean correlation with the labels over the
clips where a channel moves, and the mean error.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS, HEAD_CHANNELS, Landmarks
from kf_imitation.expression.channels import PREDICTION_WEIGHT, raw_channels
from kf_imitation.face_geometry import head_pose
from kf_imitation.landmarks.landmark_model import PART_WEIGHT
from kf_imitation.pipeline.face_pipeline import build_landmark_model
from training.keyframe.train.config import TrainConfig
from training.landmarks.measure.run import (
    Clip,
    cache_folder,
    correlation,
    moves,
    open_clips,
)

Array = NDArray[np.float64]
MODELS = {'model': 'landmarks_pfld', 'eyes': 'landmarks_eyes', 'parts': 'landmarks_parts'}
WEIGHTS = tuple(np.round(np.linspace(0, 1, 11), 1).tolist())
HELD_OUT = Path('training/keyframe/train/configs/default.yaml')
# Which entry of PART_WEIGHT a channel depends on.
PART_OF = {
    'jaw_open': 'jaw',
    'mouth_smile': 'mouth',
    'mouth_frown': 'mouth',
    'mouth_pucker': 'mouth',
    'lip_press': 'mouthPress',
    'eye_close': 'eye',
    'eye_wide': 'eyeWide',
    'brow_raise': 'brow',
    'brow_lower': 'browDown',
    'gaze_yaw': 'eye',
    'gaze_pitch': 'eye',
}
EQUAL = 0.002  # correlations that differ by less are the same
LESS = 0.85  # an error is smaller if it is less than this fraction of the other


class Score(NamedTuple):
    """How well a channel fits.

    Attributes:
        r: mean correlation over the clips where it moves; nan where it moves in none.
        error: mean over all clips of the mean absolute error.
    """

    r: float
    error: float


def score(channel: str, clips: list[Clip], values: list[Array]) -> Score:
    """Compare a channel (both sides of it together) with the labels.

    Args:
        channel: its name without the side.
        clips: with labels.
        values: (n, 19) of each clip.
    """
    fits, errors = [], []
    for clip, found in zip(clips, values, strict=True):
        for k in columns(channel):
            truth = clip.channels[:, k]
            errors.append(float(np.abs(found[:, k] - truth).mean()))
            if moves(truth, k):
                fits.append(correlation(found[:, k], truth))
    return Score(float(np.mean(fits)) if fits else float('nan'), float(np.mean(errors)))


def columns(channel: str) -> list[int]:
    """Places of a channel in CHANNELS, of both sides of it if it has them."""
    names = (channel, f'{channel}_left', f'{channel}_right')
    return [k for k, name in enumerate(CHANNELS) if name in names]


def best(scores: dict[float, Score], now: float) -> float:
    """The weight to take: the one there is, unless another is better by more than chance.

    Better is a higher correlation, or the same with a smaller error.
    """
    here = scores[now]
    gains = {weight: 0.0 if np.isnan(s.r) else s.r - here.r for weight, s in scores.items()}
    first = max(gains, key=lambda weight: gains[weight])
    if gains[first] > EQUAL:
        return first
    equal = [weight for weight in scores if gains[weight] >= -EQUAL]
    nearest = min(equal, key=lambda weight: scores[weight].error)
    return nearest if scores[nearest].error < LESS * here.error else now


class Geometry(NamedTuple):
    """Of one clip, what the points alone say.

    Attributes:
        raw: (n, 19) raw channels.
        turning: (n, 19) what is taken off for the turn of the head.
        angles: (n, 3) yaw, pitch, roll of the points [rad].
    """

    raw: Array
    turning: Array
    angles: Array


def geometry(clip: Clip) -> Geometry:
    """Measure the points of a clip without predictions."""
    raw, turning, angles = [], [], []
    for found in clip.found:
        pose = head_pose.solve_head_pose(found, clip.camera)
        bare = Landmarks(0, found.points_px, found.confidence)
        raw.append(raw_channels(bare, pose, turning=False))
        turning.append(raw[-1] - raw_channels(bare, pose))
        own = head_pose.solve_head_pose(bare, clip.camera)
        angles.append((own.yaw_rad, own.pitch_rad, own.roll_rad))
    return Geometry(np.array(raw), np.array(turning), np.array(angles))


def predictions_of(clip: Clip, part_weight: float) -> Array:
    """Predictions (n, 19) of a clip with one weight of the part model for everything."""
    rows = [one.landmarks(0, part_weight).predictions for one in clip.predictions]
    return np.array(rows, np.float64)


def channel_scores(
    clips: list[Clip], bases: list[Geometry]
) -> Iterator[tuple[str, float, float, Score]]:
    """Channel, part weight, prediction weight and its score, for all of them."""
    for part in WEIGHTS:
        rows = [predictions_of(clip, part) for clip in clips]
        for weight in WEIGHTS:
            values = [
                clip.calibrated(base.raw + weight * (read - base.raw) - base.turning)
                for clip, base, read in zip(clips, bases, rows, strict=True)
            ]
            for channel in PART_OF:
                yield channel, part, weight, score(channel, clips, values)


def head_scores(clips: list[Clip], bases: list[Geometry]) -> dict[str, dict[float, Score]]:
    """By head angle and weight."""
    result: dict[str, dict[float, Score]] = {name: {} for name in HEAD_CHANNELS}
    places = [CHANNELS.index(name) for name in HEAD_CHANNELS]
    for weight in WEIGHTS:
        values = []
        for clip, base in zip(clips, bases, strict=True):
            seen = np.array([head_pose.predicted_angles(found) for found in clip.found])
            row = np.zeros((len(seen), len(CHANNELS)))
            row[:, places] = base.angles + weight * (seen - base.angles)
            values.append(row)
        for name in HEAD_CHANNELS:
            result[name][weight] = score(name, clips, values)
    return result


def show(title: str, scores: dict[float, Score], now: float, chosen: float) -> None:
    """Two rows of the table: correlation and error by weight."""
    print(f'{title:34s} now {now:.1f}, best {chosen:.1f}')
    for name, form in (('r', '{:6.3f}'), ('error', '{:6.3f}')):
        row = ' '.join(form.format(getattr(scores[weight], name)) for weight in WEIGHTS)
        print(f'    {name:6s} {row}')


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--clips', nargs='+', help='stems of training clips')
    parser.add_argument('--every', type=int, default=3, help='take every n-th frame')
    parser.add_argument('--jitter', type=float, default=0.04)
    parser.add_argument('--cache', type=Path, default=Path('data/predictions'))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    stems = arguments.clips or TrainConfig.load(HELD_OUT).hold_out
    clips = open_clips(arguments.shared / 'clips', 'train', arguments.every, stems)
    model = build_landmark_model({**MODELS, 'threads': 1})
    cache = cache_folder(
        arguments.cache, list(MODELS.values()), None, arguments.every, arguments.jitter
    )
    for clip in clips:
        clip.predict(model, arguments.jitter, cache)
    bases = [geometry(clip) for clip in clips]
    table: dict[str, dict[tuple[float, float], Score]] = {name: {} for name in PART_OF}
    for channel, part, weight, found in channel_scores(clips, bases):
        table[channel][part, weight] = found
    print(f'{len(clips)} clips; columns: weights ' + ' '.join(f'{s:.1f}' for s in WEIGHTS))
    print('\nPART_SHARE, of the blendshapes of a channel, with the prediction weight there is')
    for channel, key in PART_OF.items():
        prediction = PREDICTION_WEIGHT[channel]
        scores = {part: table[channel][part, prediction] for part in WEIGHTS}
        show(f'{key} ({channel})', scores, PART_WEIGHT[key], best(scores, PART_WEIGHT[key]))
    print('\nPREDICTION_WEIGHT of channels, with the part weight there is')
    for channel, key in PART_OF.items():
        scores = {weight: table[channel][PART_WEIGHT[key], weight] for weight in WEIGHTS}
        show(channel, scores, PREDICTION_WEIGHT[channel], best(scores, PREDICTION_WEIGHT[channel]))
    print('\nPREDICTION_WEIGHT of the head angles')
    for (name, scores), now in zip(
        head_scores(clips, bases).items(), head_pose.PREDICTION_WEIGHT.tolist(), strict=True
    ):
        show(name, scores, now, best(scores, now))


if __name__ == '__main__':
    main()
