"""Fit the fixed mapping from geometry to channels on the train clips and write it as a table.

Unit channels: sigmoid(bias + weights * features), least squares on the label, with a ridge on the
weights and an offset per person that is thrown away afterwards. Gaze: ridge regression inside
each person. Everything on the face and on its
mirror image. The table is models/channel_mapping.yaml:

    .venv/bin/python -m training.landmarks.fit.channels [--points predicted.npz] --write
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from kf_imitation.data_types import CHANNELS, CameraModel, Landmarks
from kf_imitation.evaluation.channel_labels import label_channels
from kf_imitation.expression.channels import FEATURES, face_features
from kf_imitation.face_geometry.head_pose import solve_head_pose
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text
from training.landmarks.train.data import mesh_to_wflw

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
    ridge: float


FITS = {
    'jaw_open': Fit(MOUTH, 'both', 1e-3),
    'mouth_smile': Fit(MOUTH, 'side', 3e-4),
    'mouth_frown': Fit(MOUTH, 'side', 1e-3),
    'mouth_pucker': Fit(MOUTH, 'both', 3e-4),
    'lip_press': Fit(MOUTH, 'both', 3e-3),
    'eye_close': Fit(EYE, 'side', 1e-4),
    'eye_wide': Fit(EYE + BROW, 'side', 1e-4),
    'brow_raise': Fit(BROW + LIDS, 'side', 3e-3),
    'brow_lower': Fit(BROW + LIDS, 'both', 1e-3),
    'gaze_yaw': Fit((*EYE, 'pupil_x', 'pupil_x_other'), 'odd', 0.003),
    'gaze_pitch': Fit((*EYE, 'pupil_x', 'pupil_x_other'), 'both', 0.003),
}
LINEAR = ('gaze_yaw', 'gaze_pitch')
OFFSET_RIDGE = 1e-4


class Mapping(NamedTuple):
    """One fitted channel.

    Attributes:
        names: of the features.
        weights: on them.
        bias: one for all people.
    """

    names: tuple[str, ...]
    weights: NDArray[np.float64]
    bias: float


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
        if predicted is None:
            index = good[:: max(1, len(good) // most)]
            mesh = labels['landmarks_q'][index, :, :2].astype(np.float32) / 16
            points = mesh_to_wflw(mesh)
        else:
            found = predicted[row['stem']]
            index = np.flatnonzero(np.isfinite(found[:, 0, 0]))
            points = found[index]
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


def parts_of(
    base: str, plan: Fit, clips: list[ClipFeatures]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Features and label of each clip, the face first and then its mirror image."""
    columns = [FEATURES.index(name) for name in plan.features + POSE]
    parts = []
    for clip in clips:
        if plan.symmetry == 'side':
            left = clip.channels[:, CHANNELS.index(f'{base}_left')]
            right = clip.channels[:, CHANNELS.index(f'{base}_right')]
        else:
            left = clip.channels[:, CHANNELS.index(base)]
            right = -left if plan.symmetry == 'odd' else left
        x = np.vstack([clip.left[:, columns], clip.right[:, columns]])
        parts.append((x, np.concatenate([left, right]).astype(np.float64)))
    return parts


def fit(base: str, plan: Fit, clips: list[ClipFeatures]) -> Mapping:
    """Fit one channel."""
    parts = parts_of(base, plan, clips)
    x = np.vstack([part for part, _ in parts])
    y = np.concatenate([part for _, part in parts])
    person = np.repeat(np.arange(len(parts)), [len(part) for _, part in parts])
    weight = np.concatenate([np.full(len(part), len(part) ** -0.5) for _, part in parts])
    weight /= weight.sum()
    middle, scale = x.mean(0), x.std(0)
    z = (x - middle) / scale
    if base in LINEAR:
        for k in range(len(parts)):
            z[person == k] -= z[person == k].mean(0)
        gram = (z * weight[:, None]).T @ z + plan.ridge * np.eye(z.shape[1])
        solution = np.linalg.solve(gram, (z * weight[:, None]).T @ y) / scale
        bias = float(np.median([part_y.mean() - part_x.mean(0) @ solution
                                for part_x, part_y in parts]))  # fmt: skip
        return Mapping(plan.features + POSE, solution, bias)

    count = z.shape[1]

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, offsets = theta[:count], theta[count + 1 :]
        seen = expit(z @ weights + theta[count] + offsets[person])
        off = seen - y
        slope = 2 * weight * off * seen * (1 - seen)
        value = float((weight * off**2).sum() + plan.ridge * (weights**2).sum()
                      + OFFSET_RIDGE * (offsets**2).sum())  # fmt: skip
        gradient = np.concatenate(
            [
                z.T @ slope + 2 * plan.ridge * weights,
                [slope.sum()],
                np.bincount(person, slope, len(parts)) + 2 * OFFSET_RIDGE * offsets,
            ]
        )
        return value, gradient

    start = np.zeros(count + 1 + len(parts))
    start[count] = -2.0
    theta = minimize(loss, start, jac=True, method='L-BFGS-B', options={'maxiter': 400}).x
    solution = theta[:count] / scale
    bias = float(theta[count] + np.median(theta[count + 1 :]) - middle @ solution)
    return Mapping(plan.features + POSE, solution, bias)


ABOUT = """
The fixed mapping from geometry to channels, by python -m training.landmarks.fit.channels.
raw = bias + sum of weight * feature (kf_imitation/expression/channels.py). Unit channels are the
sigmoid of it. An odd channel changes its sign on the mirrored face.
"""


def table(fits: dict[str, Mapping]) -> str:
    """Return the text of the table of fitted channels."""
    document = {}
    for base, found in fits.items():
        document[base] = {
            'odd': FITS[base].symmetry == 'odd',
            'bias': rounded(found.bias),
            'weights': dict(zip(found.names, rounded(found.weights), strict=True)),
        }
    return table_text(ABOUT, document)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips'))
    parser.add_argument('--points', type=Path, help='predicted points by stem (measure.py)')
    add_write_option(parser)
    arguments = parser.parse_args()
    clips = list(clip_features(arguments.clips, 'train', 250, None))
    if arguments.points:
        clips += clip_features(arguments.clips, 'train', 250, dict(np.load(arguments.points)))
    settle(
        'channel_mapping',
        table({base: fit(base, plan, clips) for base, plan in FITS.items()}),
        arguments.write,
    )


if __name__ == '__main__':
    main()
