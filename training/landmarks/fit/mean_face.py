"""Measure the mean 3-D face of the 98 points from labelled clips and write it as a table.

Every label holds the head's rotation and translation. With u the normalised image coordinates of
a point and (R, t) the pose, u * (R X + t)_z = (R X + t)_xy is linear in the point X of the head:
one least-squares problem per point over all frames. The result is made symmetric, its origin is
the middle of the eye corners, and it is scaled to metres.

The table is models/mean_face.yaml:

    .venv/bin/python -m training.landmarks.fit.mean_face --write
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.face_geometry import wflw
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text
from training.landmarks.train.data import mesh_to_wflw

LABEL_FIELD_OF_VIEW = np.radians(63)  # vertical, what the labels' poses assume
FLIP_YZ = np.diag([1.0, -1.0, -1.0])  # y up, z to the viewer <-> optical axes
FRAMES_PER_CLIP = 100
ABOUT = """
The mean face of the 98 WFLW points, by python -m training.landmarks.fit.mean_face.
Metres; x to the person's left, y down, z out of the back of the head; the origin is the middle of
the four eye corners.
"""


def mean_face(clips: Path) -> NDArray[np.float64]:
    """Solve for the mean face.

    Args:
        clips: folder with clips.csv and train/.

    Returns:
        (98, 3) [m], x to the person's left, y down, z out of the back of the head.
    """
    left = np.zeros((98, 3, 3))
    right = np.zeros((98, 3))
    with (clips / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == 'train']
    for row in rows:
        labels = np.load(clips / 'train' / f'{row["stem"]}.npz')
        good = np.flatnonzero(labels['valid'])
        picked = good[:: max(1, len(good) // FRAMES_PER_CLIP)]
        width, height = int(row['width']), int(row['height'])
        focal = height / 2 / np.tan(LABEL_FIELD_OF_VIEW / 2)
        pose = labels['head_pose'][picked]
        rotation = FLIP_YZ @ pose[:, :3, :3] @ FLIP_YZ
        shift = pose[:, :3, 3] @ FLIP_YZ
        mesh = labels['landmarks_q'][picked, :, :2].astype(np.float32) / 16
        u = (mesh_to_wflw(mesh) - [width / 2, height / 2]) / focal
        weight = 1 / shift[:, None, 2] ** 2
        for axis in range(2):
            row_of = u[:, :, axis, None] * rotation[:, None, 2] - rotation[:, None, axis]
            value = shift[:, None, axis] - u[:, :, axis] * shift[:, None, 2]
            left += np.einsum('npi,npj,nk->pij', row_of, row_of, weight)
            right += np.einsum('npi,np,nk->pi', row_of, value, weight)
    points = np.linalg.solve(left, right[..., None])[..., 0]
    points = (points + points[wflw.FLIP] * [-1, 1, 1]) / 2
    return (points - points[[60, 64, 68, 72]].mean(0)) / 100


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips'))
    add_write_option(parser)
    arguments = parser.parse_args()
    settle(
        'mean_face',
        table_text(ABOUT, {'points_m': rounded(mean_face(arguments.clips))}),
        arguments.write,
    )


if __name__ == '__main__':
    main()
