"""Contact sheets: what the landmark models see on clips and face images, as pictures to look at.

    .venv/bin/python -m training.landmarks.measure.sheet --split dev --out /tmp/sheets [--channels]

A picture for the clips (a row for each, frames from its beginning to its end), one for the face
images, and one of the clip frames that are furthest from the labels. The faces are other people's:
the folder must lie outside the repository.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS, CameraModel, Image, Landmarks
from kf_imitation.expression.calibration import Calibration
from kf_imitation.expression.channels import IS_ANGLE, raw_channels
from kf_imitation.face_geometry.head_pose import solve_head_pose
from kf_imitation.inference import crop
from kf_imitation.landmarks.landmark_model import LandmarkModel
from kf_imitation.pipeline.face_pipeline import build_landmark_model
from kf_imitation.ros_graph.nodes import merged_parameters
from kf_imitation.visualization.drawing import draw_points, label
from training.landmarks.measure.run import Clip, canonical, nme
from training.landmarks.train.data import mesh_to_wflw

ROOT = Path(__file__).resolve().parents[3]
TILE_PX = 220
LARGEST_PICTURE = 60  # tiles
JITTER = 0.04  # of the region, as a tracker's
SHOWN = 4  # channels written under a face: those furthest from the labels


class Tile(NamedTuple):
    """One face.

    Attributes:
        picture: (H, TILE_PX, 3) uint8 BGR, the same H for all of a sheet.
        error: NME against the labels [%].
    """

    picture: Image
    error: float


def tile(
    bgr: Image,
    mesh: NDArray[np.float32],
    model: LandmarkModel,
    rng: np.random.Generator,
    title: str,
    truth: NDArray[np.float32] | None = None,
) -> Tile:
    """Find the points of a face and draw them.

    Args:
        bgr: (H, W, 3) uint8.
        mesh: (478, 2) labelled points [px].
        model: to look at.
        rng: disturbs the region.
        title: written above.
        truth: (19,) labelled channels; those that are read worst are written below.
    """
    region = canonical(mesh, rng, JITTER)
    found = model.predict(bgr, region, 0)
    error = float(nme(found.points_px[None], mesh_to_wflw(mesh[None]))[0])
    picture = crop(bgr, region, TILE_PX)
    points = (found.points_px - (region.x, region.y)) * (TILE_PX / region.size)
    draw_points(picture, points.astype(np.float32))
    label(picture, f'{title} {error:.1f} %', (4, 14), scale=0.4)
    if truth is not None:
        strip = np.full((13 * SHOWN + 6, TILE_PX, 3), 40, np.uint8)
        for row, text in enumerate(_worst(found, truth, bgr.shape)):
            label(strip, text, (4, 13 * (row + 1)), scale=0.36)
        picture = np.vstack([picture, strip])
    return Tile(picture, error)


def _worst(found: Landmarks, truth: NDArray[np.float32], shape: tuple[int, ...]) -> list[str]:
    height, width = shape[:2]
    camera = CameraModel(width, height, max(width, height) / 2 / np.tan(np.radians(30)))
    pose = solve_head_pose(found, camera)
    seen = Calibration.default().apply(raw_channels(found, pose))
    off = np.abs(seen - truth) * np.where(IS_ANGLE, 2.0, 1.0)
    return [f'{CHANNELS[k]} {seen[k]:.2f} is {truth[k]:.2f}' for k in np.argsort(-off)[:SHOWN]]


def sheet(tiles: Sequence[Tile], columns: int) -> Image:
    """Return the tiles in rows as one picture (rows * H, columns * TILE_PX, 3) uint8."""
    pictures = [tile.picture for tile in tiles]
    empty = np.full_like(pictures[0], 40)
    pictures += [empty] * (-len(pictures) % columns)
    rows = [np.hstack(pictures[i : i + columns]) for i in range(0, len(pictures), columns)]
    return np.asarray(np.vstack(rows), np.uint8)


def of_clips(
    clips: Path, split: str, model: LandmarkModel, frames: int, channels: bool
) -> list[Tile]:
    """Tiles of every clip of a split, `frames` of each, evenly spaced."""
    with (clips / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == split]
    rng = np.random.default_rng(0)
    tiles = []
    for row in rows:
        clip = Clip(clips, split, row, 1)
        clip.index, keep = _spread(clip.index, frames)
        for bgr, number, at in zip(clip.frames(), clip.index, keep, strict=True):
            truth = clip.channels[at] if channels else None
            title = f'{row["stem"][:14]} {number}'
            tiles.append(tile(bgr, clip.mesh[at], model, rng, title, truth))
    return tiles


def of_images(faces: Path, split: str, model: LandmarkModel, count: int) -> list[Tile]:
    """Tiles of `count` face images of a split, evenly spread."""
    labels = np.load(faces / f'{split}.npz')
    rng = np.random.default_rng(0)
    tiles = []
    for at in np.linspace(0, len(labels['name']) - 1, count).round().astype(int):
        bgr = cv2.imread(str(faces / split / str(labels['name'][at])))
        mesh = labels['landmarks_q'][at, :, :2].astype(np.float32) / 16
        tiles.append(tile(np.asarray(bgr, np.uint8), mesh, model, rng, str(at)))
    return tiles


def _spread(index: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    at = np.unique(np.linspace(0, len(index) - 1, count).round().astype(np.int64))
    return index[at], at


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--split', choices=('dev', 'train'), default='dev')
    parser.add_argument('--frames', type=int, default=6, help='of each clip')
    parser.add_argument('--images', type=int, default=48, help='face images')
    parser.add_argument('--channels', action='store_true', help='write the worst channels below')
    parser.add_argument('--params', default='', help='parameters, for other models')
    parser.add_argument('--out', type=Path, required=True, help='folder outside the repository')
    arguments = parser.parse_args()
    if arguments.out.resolve().is_relative_to(ROOT):
        parser.error(f'--out = {arguments.out} must lie outside {ROOT}: the faces are not ours')
    cv2.setNumThreads(1)
    model = build_landmark_model(merged_parameters(arguments.params)['landmarks'])
    clips = of_clips(
        arguments.shared / 'clips', arguments.split, model, arguments.frames, arguments.channels
    )
    images = of_images(arguments.shared / 'faces', arguments.split, model, arguments.images)
    pictures = {
        'images': sheet(images, 8),
        'worst': sheet(sorted(clips, key=lambda t: -t.error)[:24], 6),
    }
    for part, begin in enumerate(range(0, len(clips), LARGEST_PICTURE)):
        pictures[f'clips_{part}'] = sheet(clips[begin : begin + LARGEST_PICTURE], arguments.frames)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        path = arguments.out / f'{arguments.split}_{name}.jpg'
        cv2.imwrite(str(path), picture)
        print(path)


if __name__ == '__main__':
    main()
