r"""Training data of the landmark model: crops of clips, face images and renders, in caches.

The cache holds crops wider than the model's, so that region jitter and rotation are cut from it:
`crops.npy` (n, 240, 240, 3) uint8 and `labels.npz`. Build it with

    .venv/bin/python -m training.landmarks.train.data --shared ../shared/data --out data/landmarks
    .venv/bin/python -m training.landmarks.train.data --renders data/renders/stills \
        --out data/landmarks_renders
    .venv/bin/python -m training.landmarks.train.data --animated data/animated \
        --out data/landmarks_animated
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from face_renderer.ground_truth import BLENDSHAPE_NAMES
from kf_imitation.face.canonical_region import canonical_region
from kf_imitation.face_geometry.head_pose import label_angles
from kf_imitation.face_geometry.point_sets import LAYOUTS

CACHE_PX = 240
CACHE_SPAN = 1.8  # cached square over the canonical face region
REGION_MARGIN = 1.25  # canonical region over the box of all mesh points
BLENDSHAPES = BLENDSHAPE_NAMES[1:]  # without _neutral


class Sample(NamedTuple):
    """One labelled crop.

    Attributes:
        crop: (240, 240, 3) uint8 BGR.
        points: (98, 2) in cache pixels.
        angles: (3,) yaw, pitch, roll [rad], signs as in data_types.
        state: (4,) eyeBlinkLeft, eyeBlinkRight, jawOpen, and 1 for footage, 0 for renders.
        blendshapes: (51,) in BLENDSHAPES order.
        rotation: (3, 3) of the head against the ray to it, axes as in channel_labels.
        group: person and source, for balance and hold-out.
    """

    crop: NDArray[np.uint8]
    points: NDArray[np.float32]
    angles: NDArray[np.float32]
    state: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    rotation: NDArray[np.float32]
    group: str


def cut(
    bgr: NDArray[np.uint8], mesh: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Cut the cached square around a face.

    Args:
        bgr: (H, W, 3) uint8.
        mesh: (k, 2) all landmarks of the face [px]; their box makes the canonical region.

    Returns:
        crop (240, 240, 3) uint8 and the (2, 3) matrix from image to crop pixels.
    """
    low, high = mesh.min(0), mesh.max(0)
    centre = (low + high) / 2
    size = REGION_MARGIN * float((high - low).max()) * CACHE_SPAN
    scale = CACHE_PX / size
    matrix = np.array(
        [
            [scale, 0, CACHE_PX / 2 - 0.5 - scale * centre[0]],
            [0, scale, CACHE_PX / 2 - 0.5 - scale * centre[1]],
        ],
        np.float32,
    )
    return warp(bgr, matrix, (CACHE_PX, CACHE_PX)), matrix


def warp(
    bgr: NDArray[np.uint8], matrix: NDArray[np.floating], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Sample a (H, W, 3) image by the (2, 3) matrix from its pixels to those of the result."""
    scale = float(np.hypot(*matrix[:, 0]))
    if scale < 0.5:  # area sampling first: plain bilinear would alias
        shrink = 1 / int(1 / scale)
        bgr = cv2.resize(bgr, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        matrix = matrix.copy()
        matrix[:, :2] /= shrink
    return cv2.warpAffine(
        bgr, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def apply(matrix: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map (..., 2) points by a (2, 3) affine matrix."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def mesh_to_wflw(mesh: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 478, 2) mesh points to (..., 98, 2)."""
    return np.einsum('wp,...pc->...wc', LAYOUTS['mediapipe478'].matrix, mesh).astype(np.float32)


def _state(labels: dict[str, NDArray[np.float32]], i: int) -> NDArray[np.float32]:
    names = [str(n) for n in labels['names']]
    picked = [names.index(n) for n in ('eyeBlinkLeft', 'eyeBlinkRight', 'jawOpen')]
    return np.append(labels['blendshapes'][i][picked], 1.0).astype(np.float32)


def _blendshapes(labels: dict[str, NDArray[np.float32]], i: int) -> NDArray[np.float32]:
    assert [str(n) for n in labels['names'][1:]] == BLENDSHAPES
    return labels['blendshapes'][i, 1:].astype(np.float32)


def facing(head_pose: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rotation of a head as a crop around it shows it: against the ray from the camera to it.

    Args:
        head_pose: (4, 4), x right, y up, z to the viewer; a head without a place is taken to be
            in the middle of the image.
    """
    away = float(np.linalg.norm(head_pose[:3, 3]))
    if away < 1e-6:
        return np.asarray(head_pose[:3, :3], np.float32)
    ray = head_pose[:3, 3] / away
    ahead = np.array([0.0, 0.0, -1.0])
    turn, _ = Rotation.align_vectors(ahead[None], ray[None])
    return (turn.as_matrix() @ head_pose[:3, :3]).astype(np.float32)


def _sample(
    labels: dict[str, NDArray[np.float32]],
    i: int,
    bgr: NDArray[np.uint8],
    angles: NDArray[np.float32],
    state: NDArray[np.float32],
    group: str,
) -> Sample:
    """Cut out the face that the mesh of row i lies on."""
    mesh = labels['landmarks_q'][i, :, :2].astype(np.float32) / 16
    crop, matrix = cut(bgr, mesh)
    points = apply(matrix, mesh_to_wflw(mesh))
    pose = facing(labels['head_pose'][i])
    return Sample(crop, points, angles, state, _blendshapes(labels, i), pose, group)


def clip_samples(clips: Path, stem: str, stride: int) -> list[Sample]:
    """Samples of one clip: every `stride`-th frame, and every frame with a rare state."""
    labels = dict(np.load(clips / f'{stem}.npz'))
    angles = label_angles(labels['head_pose'][:, :3, :3]).astype(np.float32)
    capture = cv2.VideoCapture(str(clips / f'{stem}.mp4'))
    samples = []
    for i in range(len(labels['valid'])):
        good, bgr = capture.read()
        if not good:
            break
        state = _state(labels, i)
        rare = max(state[:2]) > 0.3 or state[2] > 0.35 or abs(angles[i, 0]) > 0.45
        if not labels['valid'][i] or (i % stride and not (rare and i % 2 == 0)):
            continue
        samples.append(_sample(labels, i, bgr, angles[i], state, f'clip:{stem}'))
    return samples


def image_samples(faces: Path, split: str) -> list[Sample]:
    """Samples of the face images of one split."""
    labels = dict(np.load(faces / f'{split}.npz'))
    angles = label_angles(labels['head_pose'][:, :3, :3]).astype(np.float32)
    samples = []
    for i, name in enumerate(labels['name']):
        bgr = cv2.imread(str(faces / split / str(name)))
        group = f'face:{labels["person"][i]}'
        samples.append(_sample(labels, i, bgr, angles[i], _state(labels, i), group))
    return samples


def render_samples(shard: Path) -> list[Sample]:
    """Samples of one shard of rendered faces (face_renderer/generate.py)."""
    labels = dict(np.load(shard))
    labels['names'] = labels['blendshape_names']
    rotation = labels['head_pose'][:, :3, :3]
    angles = label_angles(rotation).astype(np.float32)
    samples = []
    for i, bgr in enumerate(labels['image']):
        points = labels['landmarks98'][i].astype(np.float32) - 0.5
        region = canonical_region(points)
        corners = np.array([[region.x, region.y], [region.x, region.y]], np.float32)
        corners[1] += region.size
        middle = corners.mean(0)
        crop, matrix = cut(bgr, (corners - middle) / REGION_MARGIN + middle)
        state = _state(labels, i)
        state[3] = 0.0
        group = f'render:{labels["actor"][i]}'
        samples.append(
            Sample(
                crop,
                apply(matrix, points),
                angles[i],
                state,
                _blendshapes(labels, i),
                facing(labels['head_pose'][i]),
                group,
            )
        )
    return samples


def animated_samples(file: Path, stride: int) -> list[Sample]:
    """Samples of one file of animated photographs (training/data/animate.py), labelled anew."""
    frames = np.load(file, mmap_mode='r')
    labels = dict(np.load(file.with_suffix('.npz')))
    angles = label_angles(labels['head_pose'][:, :3, :3]).astype(np.float32)
    samples = []
    for i, frame in enumerate(frames):
        state = _state(labels, i)
        rare = max(state[:2]) > 0.5 or state[2] > 0.35
        if not labels['valid'][i] or (i % stride and not (rare and i % 2 == 0)):
            continue
        sequence = int(np.searchsorted(labels['starts'], i, side='right'))
        group = f'animated:{file.stem}:{sequence}'
        samples.append(_sample(labels, i, np.asarray(frame), angles[i], state, group))
    return samples


def build(shared: Path, out: Path, stride: int) -> int:
    """Write the cache of the training people; returns the number of samples."""
    out.mkdir(parents=True, exist_ok=True)
    samples = image_samples(shared / 'faces', 'train')
    with (shared / 'clips' / 'clips.csv').open(encoding='utf-8') as file:
        stems = [(row['stem'], row['person']) for row in csv.DictReader(file)
                 if row['split'] == 'train']  # fmt: skip
    for stem, person in stems:
        samples += [
            s._replace(group=f'clip:{person}')
            for s in clip_samples(shared / 'clips' / 'train', stem, stride)
        ]
    return write(samples, out)


def build_renders(shards: Path, out: Path) -> int:
    """Write the cache of rendered faces; returns the number of samples."""
    out.mkdir(parents=True, exist_ok=True)
    files = sorted(f for f in shards.glob('*.npz') if '.part' not in f.name)
    return write([s for f in files for s in render_samples(f)], out)


def build_animated(folder: Path, out: Path, stride: int) -> int:
    """Write the cache of animated photographs; returns the number of samples."""
    out.mkdir(parents=True, exist_ok=True)
    files = sorted(f for f in folder.glob('*.npy') if f.with_suffix('.npz').exists())
    return write([s for f in files for s in animated_samples(f, stride)], out)


def write(samples: list[Sample], out: Path) -> int:
    """Write a cache; returns the number of samples."""
    np.save(out / 'crops.npy', np.stack([s.crop for s in samples]))
    np.savez(
        out / 'labels.npz',
        points=np.stack([s.points for s in samples]),
        angles=np.stack([s.angles for s in samples]),
        state=np.stack([s.state for s in samples]),
        blendshapes=np.stack([s.blendshapes for s in samples]),
        rotation=np.stack([s.rotation for s in samples]),
        group=np.array([s.group for s in samples]),
    )
    return len(samples)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--out', type=Path, default=Path('data/landmarks'))
    parser.add_argument('--renders', type=Path, help='cache these shards instead')
    parser.add_argument('--animated', type=Path, help='cache these animated photographs instead')
    parser.add_argument('--stride', type=int, default=4)
    arguments = parser.parse_args()
    if arguments.animated:
        print(build_animated(arguments.animated, arguments.out, arguments.stride), 'samples')
    elif arguments.renders:
        print(build_renders(arguments.renders, arguments.out), 'samples')
    else:
        print(build(arguments.shared, arguments.out, arguments.stride), 'samples')


if __name__ == '__main__':
    main()
