r"""Training data of the eye model: patches of single eyes as the runtime cuts them, with room.

A patch is cut upright at a fixed fraction of the face's size, from the picture as it came, so that
a closed lid is more than two pixels of it. Left eyes are mirrored: every patch looks like a right
eye. `patches.npy` (n, 72, 112, 3) uint8 and `labels.npz`:

    .venv/bin/python -m training.landmarks.train.eye_data --out data/eyes
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.landmarks.patches import EYE_POINTS, eye_matrix, mirrored_points
from training.landmarks.train.data import apply, mesh_to_wflw, warp

ROOM_PX = (112, 72)  # cached patch, width and height; the model sees the middle of it
# Own side of each prediction; In is towards the nose.
PREDICTIONS = (
    'eyeBlink', 'eyeWide', 'eyeSquint', 'eyeLookUp', 'eyeLookDown', 'eyeLookIn', 'eyeLookOut',
)  # fmt: skip


class Picture(NamedTuple):
    """One labelled picture of a face.

    Attributes:
        bgr: (H, W, 3) uint8.
        points: (98, 2) [px].
        blendshapes: (52,) by names.
        names: of the blendshapes.
        group: person and source; `render:` for renders.
    """

    bgr: NDArray[np.uint8]
    points: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    names: list[str]
    group: str


class Patches:
    """Collects patches of pictures."""

    def __init__(self) -> None:
        self._patches: list[NDArray[np.uint8]] = []
        self._points: list[NDArray[np.float32]] = []
        self._predictions: list[list[float]] = []
        self._group: list[str] = []

    def add(self, picture: Picture) -> None:
        """Cut both eyes out."""
        for side, flip in (('Right', False), ('Left', True)):
            points = picture.points
            matrix = eye_matrix(points, 'left' if flip else 'right', ROOM_PX)
            patch = warp(picture.bgr, matrix, ROOM_PX)
            found = apply(matrix, points[list(EYE_POINTS['left' if flip else 'right'])])
            if flip:
                patch = np.ascontiguousarray(patch[:, ::-1])
                found = mirrored_points(found, ROOM_PX[0]).astype(np.float32)
            self._patches.append(patch)
            self._points.append(found)
            self._predictions.append(
                [float(picture.blendshapes[picture.names.index(r + side)]) for r in PREDICTIONS]
            )
            self._group.append(picture.group)

    def write(self, out: Path) -> int:
        """Write the cache; returns the number of patches."""
        out.mkdir(parents=True, exist_ok=True)
        np.save(out / 'patches.npy', np.stack(self._patches))
        np.savez(
            out / 'labels.npz',
            points=np.stack(self._points),
            predictions=np.array(self._predictions, np.float32),
            group=np.array(self._group),
        )
        return len(self._patches)


def clip_pictures(clips: Path, stem: str, person: str, stride: int) -> Iterator[Picture]:
    """Every `stride`-th frame, and every one with a closing eye."""
    labels = dict(np.load(clips / f'{stem}.npz'))
    names = [str(n) for n in labels['names']]
    blinks = labels['blendshapes'][:, [names.index('eyeBlinkLeft'), names.index('eyeBlinkRight')]]
    capture = cv2.VideoCapture(str(clips / f'{stem}.mp4'))
    for i in range(len(labels['valid'])):
        if not capture.grab():
            return
        if not labels['valid'][i] or (i % stride and blinks[i].max() < 0.3):
            continue
        bgr = capture.retrieve()[1]
        points = mesh_to_wflw(labels['landmarks_q'][i, :, :2].astype(np.float32) / 16)
        yield Picture(bgr, points, labels['blendshapes'][i], names, f'clip:{person}')


def image_pictures(faces: Path) -> Iterator[Picture]:
    """The face images of the training people."""
    labels = dict(np.load(faces / 'train.npz'))
    names = [str(n) for n in labels['names']]
    for i, name in enumerate(labels['name']):
        points = mesh_to_wflw(labels['landmarks_q'][i, :, :2].astype(np.float32) / 16)
        group = f'face:{labels["person"][i]}'
        bgr = cv2.imread(str(faces / 'train' / str(name)))
        yield Picture(bgr, points, labels['blendshapes'][i], names, group)


def animated_pictures(file: Path, stride: int) -> Iterator[Picture]:
    """Animated photographs (training/data/animate.py): few frames, more of closing eyes."""
    frames, labels = np.load(file, mmap_mode='r'), dict(np.load(file.with_suffix('.npz')))
    names = [str(n) for n in labels['names']]
    blink = labels['blendshapes'][:, names.index('eyeBlinkLeft')]
    for i in range(len(frames)):
        if not labels['valid'][i] or (i % stride and not (blink[i] > 0.4 and i % 2 == 0)):
            continue
        points = mesh_to_wflw(labels['landmarks_q'][i, :, :2].astype(np.float32) / 16)
        bgr = np.asarray(frames[i])
        yield Picture(bgr, points, labels['blendshapes'][i], names, f'animated:{file.stem}')


def render_pictures(shard: Path) -> Iterator[Picture]:
    """Rendered faces; their coefficients are those of another face model."""
    labels = dict(np.load(shard))
    names = [str(n) for n in labels['blendshape_names']]
    for i, bgr in enumerate(labels['image']):
        points = labels['landmarks98'][i].astype(np.float32) - 0.5
        yield Picture(bgr, points, labels['blendshapes'][i], names, f'render:{labels["actor"][i]}')


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--renders', type=Path, default=Path('data/renders/stills'))
    parser.add_argument('--animated', type=Path, default=Path('data/animated'))
    parser.add_argument('--out', type=Path, default=Path('data/eyes'))
    parser.add_argument('--stride', type=int, default=3)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    patches = Patches()
    clips = arguments.shared / 'clips'
    with (clips / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == 'train']
    for row in rows:
        for picture in clip_pictures(
            clips / 'train', row['stem'], row['person'], arguments.stride
        ):
            patches.add(picture)
    for picture in image_pictures(arguments.shared / 'faces'):
        patches.add(picture)
    for shard in sorted(arguments.renders.glob('*[0-9].npz')):
        for picture in render_pictures(shard):
            patches.add(picture)
    for movie in sorted(arguments.animated.glob('*.npy')):
        if movie.with_suffix('.npz').exists():
            for picture in animated_pictures(movie, 3 * arguments.stride):
                patches.add(picture)
    print(patches.write(arguments.out), 'patches')


if __name__ == '__main__':
    main()
