"""Choose the points of the teacher's mesh that lie in the patches of eyes and mouth.

    python -m training.keyframe.measure.choose_mesh

writes eye_mouth_mesh_points.csv from the labels of training: points inside a patch on at least
nine of ten faces, their counterparts on the other side, and their usual places in the patch.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch

from training.data.clip_cache import face_regions
from training.data.face_mesh import mirror_order
from training.data.face_states import load_face_states
from training.keyframe.networks.eye_mouth_mesh_points import TABLE
from training.keyframe.networks.eye_mouth_networks import EYE, MOUTH, direction

# Corners of right eye, left eye and mouth in the mesh.
CORNERS = ((33, 133), (362, 263), (61, 291))
INSIDE = 0.9
EVERY = 10  # frame of a clip


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/train'))
    parser.add_argument('--faces', type=Path, default=Path('../shared/data/faces/train.npz'))
    parser.add_argument('--out', type=Path, default=TABLE)
    arguments = parser.parse_args()
    labels = [load_face_states(file) for file in sorted(arguments.clips.glob('*.npz'))]
    meshes = [found.points_px[found.valid][::EVERY] for found in labels]
    mesh = np.concatenate([*meshes, load_face_states(arguments.faces).points_px])
    mirrored = mirror_order(mesh, np.arange(mesh.shape[1]))
    region = face_regions(mesh)
    crop = torch.from_numpy((mesh - region[:, None, :2]) / region[:, None, 2:] + 0.5)
    places = torch.stack([crop[:, list(ends)].mean(dim=1) for ends in CORNERS], dim=1)
    along = direction(places)
    rows = []
    for part, patch, place, other in (('eye', EYE, 0, 1), ('mouth', MOUTH, 2, 2)):
        found = patch.locate(crop, places[:, place], along).numpy()
        twin = patch.locate(crop, places[:, other], along, mirror=True).numpy()[:, mirrored]
        edge = np.array([1, patch.size_px[1] / patch.size_px[0]]) / 2
        inside = [(np.abs(p) < edge).all(axis=-1).mean(axis=0) > INSIDE for p in (found, twin)]
        usual = (found.mean(axis=0) + twin.mean(axis=0)) / 2
        rows += [
            (part, i, mirrored[i], f'{usual[i, 0]:.4f}', f'{usual[i, 1]:.4f}')
            for i in np.flatnonzero(inside[0] & inside[1])
        ]
    with arguments.out.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(('part', 'point', 'mirrored', 'x', 'y'))
        writer.writerows(rows)


if __name__ == '__main__':
    main()
