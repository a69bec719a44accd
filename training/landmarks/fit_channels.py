"""Fit the fixed mapping from geometry to channels on the train clips and write it as a table.

One ridge regression per channel on the features of kf_imitation/expression/geometry.py, inside
each person (a person's own mean is taken off both sides, so that only movement counts), on the
face and on its mirror image. The table is kf_imitation/expression/channel_weights.py:

    .venv/bin/python -m training.landmarks.fit_channels [--points predicted.npz] --write
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS, CameraModel, Landmarks
from kf_imitation.expression.geometry import FEATURES, face_features
from kf_imitation.landmarks.head_pose import solve_head_pose
from kf_imitation.offline.channel_labels import label_channels
from training.landmarks.data import mesh_to_wflw

POSE = ('yaw', 'pitch', 'roll', 'yaw_squared', 'pitch_squared')
MOUTH = (
    'lip_gap', 'lip_gap_side', 'chin', 'lower_lip', 'upper_lip', 'mouth_width', 'inner_width',
    'upper_thickness', 'lower_thickness', 'corner_up', 'corner_up_other', 'corner_drop',
    'corner_drop_other', 'corner_out', 'corner_out_other', 'nose_width', 'nose_length',
)  # fmt: skip
EYE = (
    'lids', 'lids_other', 'lids_least', 'upper_lid', 'upper_lid_other', 'lower_lid',
    'lower_lid_other', 'pupil_y', 'pupil_y_other',
)  # fmt: skip
BROW = (
    'brow_inner', 'brow_middle', 'brow_outer', 'brow_inner_other', 'brow_middle_other',
    'brow_outer_other', 'brow_gap',
)  # fmt: skip
LIDS = ('lids', 'lids_other')


class Fit(NamedTuple):
    """What a channel is regressed on.

    Attributes:
        features: without the pose.
        symmetry: 'side' (a left and a right channel), 'both' or 'odd' (changes sign mirrored).
        ridge: strength on standardised features.
    """

    features: tuple[str, ...]
    symmetry: str
    ridge: float = 0.01


FITS = {
    'jaw_open': Fit(MOUTH, 'both'),
    'mouth_smile': Fit(MOUTH, 'side', 0.03),
    'mouth_frown': Fit(MOUTH, 'side', 0.03),
    'mouth_pucker': Fit(MOUTH, 'both', 0.03),
    'lip_press': Fit(MOUTH, 'both', 0.03),
    'eye_close': Fit(EYE, 'side', 0.003),
    'eye_wide': Fit(EYE + BROW, 'side', 0.003),
    'brow_raise': Fit(BROW + LIDS, 'side', 0.01),
    'brow_lower': Fit(BROW + LIDS, 'both', 0.03),
    'gaze_yaw': Fit(
        (*EYE, 'pupil_x', 'pupil_x_other'),
        'odd',
        0.003,
    ),
    'gaze_pitch': Fit((*EYE, 'pupil_x', 'pupil_x_other'), 'both', 0.003),
}


class ClipFeatures(NamedTuple):
    """Features and labels of one clip.

    Attributes:
        stem: of the clip.
        left: (n, len(FEATURES)), the left side as the own side.
        right: (n, len(FEATURES)), of the mirrored face.
        angles: (n, 3) solved yaw, pitch, roll.
        channels: (n, 19) labels.
        index: (n,) frames.
    """

    stem: str
    left: NDArray[np.float64]
    right: NDArray[np.float64]
    angles: NDArray[np.float64]
    channels: NDArray[np.float32]
    index: NDArray[np.int64]


def clip_features(
    clips: Path, split: str, most: int, predicted: dict[str, NDArray[np.float32]] | None
) -> Iterator[ClipFeatures]:
    """Features of every clip of a split.

    Args:
        clips: folder with clips.csv.
        split: train or dev.
        most: about how many frames of a clip to take.
        predicted: points (N, 98, 2) by stem; None takes the labels' own points.
    """
    with (clips / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == split]
    for row in rows:
        labels = np.load(clips / split / f'{row["stem"]}.npz')
        good = np.flatnonzero(labels['valid'])
        index = good[:: max(1, len(good) // most)]
        if predicted is None:
            mesh = labels['landmarks_q'][index, :, :2].astype(np.float32) / 16
            points = mesh_to_wflw(mesh)
        else:
            points = predicted[row['stem']][index]
        width, height = int(row['width']), int(row['height'])
        camera = CameraModel(width, height, max(width, height) / 2 / np.tan(np.radians(30)))
        left, right, angles = [], [], []
        for frame in points:
            landmarks = Landmarks(0, frame.astype(np.float32), np.ones(98, np.float32))
            pose = solve_head_pose(landmarks, camera)
            own, other = face_features(landmarks, pose)
            left.append(own)
            right.append(other)
            angles.append((pose.yaw_rad, pose.pitch_rad, pose.roll_rad))
        channels = label_channels(labels['blendshapes'], labels['names'], labels['head_pose'])
        yield ClipFeatures(
            row['stem'],
            np.array(left),
            np.array(right),
            np.array(angles),
            channels[index],
            index,
        )


def fit(
    base: str, plan: Fit, clips: list[ClipFeatures]
) -> tuple[tuple[str, ...], NDArray[np.float64], float]:
    """Fit one channel.

    Returns:
        Feature names, weights and bias.
    """
    names = plan.features + POSE
    columns = [FEATURES.index(name) for name in names]
    x_parts, y_parts, weights, biases = [], [], [], []
    for clip in clips:
        if plan.symmetry == 'side':
            y_left = clip.channels[:, CHANNELS.index(f'{base}_left')]
            y_right = clip.channels[:, CHANNELS.index(f'{base}_right')]
        else:
            y_left = clip.channels[:, CHANNELS.index(base)]
            y_right = -y_left if plan.symmetry == 'odd' else y_left
        for features, y in ((clip.left, y_left), (clip.right, y_right)):
            x = features[:, columns]
            x_parts.append(x - x.mean(0))
            y_parts.append(y - y.mean())
            weights.append(np.full(len(y), len(y) ** -0.5))
            biases.append((x.mean(0), y.mean()))
    x, y, weight = np.vstack(x_parts), np.concatenate(y_parts), np.concatenate(weights)
    scale = x.std(0)
    z = x / scale
    gram = (z * weight[:, None]).T @ z / weight.sum() + plan.ridge * np.eye(len(columns))
    solution = np.linalg.solve(gram, (z * weight[:, None]).T @ y / weight.sum()) / scale
    bias = float(np.median([mean_y - mean_x @ solution for mean_x, mean_y in biases]))
    return names, solution, bias


def rest_level(base: str, plan: Fit, clips: list[ClipFeatures]) -> float:
    """What the labels say of a face at rest: the median over people of the 10th percentile."""
    if plan.symmetry == 'odd' or base == 'gaze_pitch':
        return 0.0
    sides = (f'{base}_left', f'{base}_right') if plan.symmetry == 'side' else (base,)
    picked = [CHANNELS.index(side) for side in sides]
    return float(np.median([np.percentile(c.channels[:, picked], 10) for c in clips]))


HEADER = '''"""The fixed mapping from geometry to channels, by training/landmarks/fit_channels.py.

value = bias + sum of weight * feature (kf_imitation/expression/geometry.py), in the units of the
channel. `REST` is the level of a face at rest.
"""

'''


def table(clips: list[ClipFeatures]) -> str:
    """Python source of the weight table."""
    fits = {base: fit(base, plan, clips) for base, plan in FITS.items()}
    lines = [HEADER, 'WEIGHTS: dict[str, dict[str, float]] = {\n']
    for base, (names, solution, _) in fits.items():
        lines.append(f'    {base!r}: {{\n')
        lines += [f'        {n!r}: {w:.4f},\n' for n, w in zip(names, solution, strict=True)]
        lines.append('    },\n')
    lines.append('}\n\nBIAS: dict[str, float] = {\n')
    lines += [f'    {base!r}: {bias:.4f},\n' for base, (_, _, bias) in fits.items()]
    lines.append('}\n\nREST: dict[str, float] = {\n')
    lines += [f'    {base!r}: {rest_level(base, plan, clips):.4f},\n' for base, plan in
              FITS.items()]  # fmt: skip
    lines.append('}\n\nODD = frozenset({')
    lines.append(', '.join(repr(b) for b, p in FITS.items() if p.symmetry == 'odd') + '})\n')
    return ''.join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips'))
    parser.add_argument('--points', type=Path, help='predicted points by stem (measure.py)')
    parser.add_argument('--write', action='store_true', help='write the table into the package')
    arguments = parser.parse_args()
    clips = list(clip_features(arguments.clips, 'train', 250, None))
    if arguments.points:
        clips += clip_features(arguments.clips, 'train', 250, dict(np.load(arguments.points)))
    source = table(clips)
    if arguments.write:
        target = Path('kf_imitation/expression/channel_weights.py')
        target.write_text(source, encoding='utf-8')
    else:
        print(source)


if __name__ == '__main__':
    main()
