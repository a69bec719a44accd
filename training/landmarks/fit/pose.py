"""Fit the linear correction of the head pose on the train clips and write it as a table.

Ridge regression of (label angle - PnP angle) on what is left of the frontal points and on the PnP
angles, inside each person, on the face and its mirror image. The table is
models/head_pose_correction.yaml:

    .venv/bin/python -m training.landmarks.fit.pose [--points predicted.npz] --write

Run it before channels.py, which reads features with the corrected pose.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CameraModel, Landmarks
from kf_imitation.face_geometry.head_pose import (
    EYE_SPAN_M,
    MEAN_FACE_M,
    label_angles,
    solve_head_pose,
    turn_to_front,
)
from kf_imitation.face_geometry.wflw import FLIP
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text
from training.landmarks.train.data import mesh_to_wflw

Array = NDArray[np.float64]
RIDGE = 0.01
USED = range(33, 96)  # the contour is the least certain part of a face


def clip_left_over(
    clips: Path, row: dict[str, str], most: int, points: NDArray[np.float32] | None
) -> tuple[Array, Array, Array]:
    """What the pose of a clip leaves over, (n, 98, 2), its angles and what they miss, (n, 3)."""
    labels = np.load(clips / row['split'] / f'{row["stem"]}.npz')
    good = np.flatnonzero(labels['valid'])
    index = good[:: max(1, len(good) // most)]
    if points is not None:
        index = np.flatnonzero(np.isfinite(points[:, 0, 0]))
    else:
        points = mesh_to_wflw(labels['landmarks_q'][:, :, :2].astype(np.float32) / 16)
    width, height = int(row['width']), int(row['height'])
    camera = CameraModel(width, height, max(width, height) / 2 / np.tan(np.radians(30)))
    truth = label_angles(labels['head_pose'][:, :3, :3])
    left_over, solved = [], []
    for i in index:
        landmarks = Landmarks(0, points[i].astype(np.float32), np.ones(98, np.float32))
        pose = solve_head_pose(landmarks, camera, corrected=False)
        front = turn_to_front(landmarks.points_px, pose.rotation, pose.translation_m)
        left_over.append(front - MEAN_FACE_M[:, :2] / EYE_SPAN_M)
        solved.append((pose.yaw_rad, pose.pitch_rad, pose.roll_rad))
    return np.array(left_over), np.array(solved), truth[index] - np.array(solved)


def fit(
    parts: list[tuple[Array, Array, Array]], ridge: float = RIDGE
) -> tuple[Array, Array, Array]:
    """Weights on points (3, 98, 2), on yaw, pitch, roll (3, 3), and bias (3,)."""
    x_parts, y_parts, weights, biases = [], [], [], []
    used = list(USED)
    for left_over, solved, missing in parts:
        turned = [-1, 1, -1]
        sides = (
            (left_over, solved, missing),
            (left_over[:, FLIP] * [-1, 1], solved * turned, missing * turned),
        )
        for points, angles, y in sides:
            x = np.hstack([points[:, used].reshape(len(y), -1), angles])
            x_parts.append(x - x.mean(0))
            y_parts.append(y - y.mean(0))
            weights.append(np.full(len(y), len(y) ** -0.5))
            biases.append((x.mean(0), y.mean(0)))
    x, y, weight = np.vstack(x_parts), np.vstack(y_parts), np.concatenate(weights)
    scale = x.std(0)
    z = x / scale
    gram = (z * weight[:, None]).T @ z / weight.sum() + ridge * np.eye(z.shape[1])
    solution = np.linalg.solve(gram, (z * weight[:, None]).T @ y / weight.sum()) / scale[:, None]
    bias = np.median([mean_y - mean_x @ solution for mean_x, mean_y in biases], 0)
    of_points = np.zeros((3, 98, 2))
    of_points[:, used] = solution[:-3].T.reshape(3, len(used), 2)
    return of_points, solution[-3:].T, bias


ABOUT = """
Linear correction of the head pose, by python -m training.landmarks.fit.pose.
of_points: by WFLW point, weights on x and y for yaw, for pitch, for roll [rad per eye distance];
the other points have none. of_angles: rows are what is added to yaw, pitch and roll, columns the
solved yaw, pitch and roll.
"""


def table(of_points: Array, of_angles: Array, bias: Array) -> str:
    """Return the text of the table."""
    rows = of_points.transpose(1, 0, 2).reshape(98, 6)
    document = {
        'of_points': {point: rounded(rows[point]) for point in USED},
        'of_angles': rounded(of_angles),
        'bias': rounded(bias),
    }
    return table_text(ABOUT, document)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips'))
    parser.add_argument('--points', type=Path, help='predicted points by stem (measure.py)')
    add_write_option(parser)
    arguments = parser.parse_args()
    with (arguments.clips / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == 'train']
    parts = [clip_left_over(arguments.clips, row, 250, None) for row in rows]
    if arguments.points:
        found = np.load(arguments.points)
        parts += [clip_left_over(arguments.clips, row, 250, found[row['stem']]) for row in rows]
    settle('head_pose_correction', table(*fit(parts)), arguments.write)


if __name__ == '__main__':
    main()
