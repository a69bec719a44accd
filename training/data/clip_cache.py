"""Clips decoded once, cut to the surroundings of the face and kept as memory-mapped arrays.

`python -m training.data.clip_cache --clips ../shared/data/clips/train --out data/clips`
"""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kf_imitation.evaluation import datasets
from kf_imitation.evaluation.datasets import Clip
from training.data.face_states import FaceStates, load_face_states

REGION_FACTOR = 1.25
# Edge of the median face region in the stored frames: enough for crops of 256 px.
REGION_PX = 256
# How far around the face regions of the whole clip the stored frames reach.
MARGIN = 0.3


@dataclass(frozen=True)
class CachedClip:
    """One clip.

    Attributes:
        stem: file name without ending.
        frames: (N, H, W, 3) uint8 BGR, memory-mapped.
        labels: points in pixels of `frames`.
        regions: (N, 3) float32 face region of every frame: centre x, centre y, size [px].
        starts: first frame of each continuous piece.
    """

    stem: str
    frames: np.ndarray
    labels: FaceStates
    regions: np.ndarray
    starts: tuple[int, ...] = (0,)

    def pieces(self) -> list[slice]:
        """Return the continuous pieces of the clip."""
        ends = [*self.starts[1:], len(self.frames)]
        return [slice(a, b) for a, b in zip(self.starts, ends, strict=True)]


def face_regions(points_px: np.ndarray) -> np.ndarray:
    """Return (N, 3) centre x, centre y and size of the face regions of (N, P, 2) landmarks."""
    low, high = points_px.min(axis=1), points_px.max(axis=1)
    size = REGION_FACTOR * (high - low).max(axis=1)
    return np.concatenate([(low + high) / 2, size[:, None]], axis=1).astype(np.float32)


def build_clip(clip: Clip, out: Path) -> Path:
    """Write the cache of a clip of one of the layouts; its name says where it lay."""
    return build(clip.video, out, clip.key, clip.labels)


def build(video: Path, out: Path, name: str = '', labels_file: Path | None = None) -> Path:
    """Write the cache of one clip unless it is there already.

    Args:
        video: the clip.
        out: folder of the cache.
        name: of the cached clip; none: the stem.
        labels_file: none: next to the video.

    Returns:
        The array file; the placement in the original frame is in the .json next to it.
    """
    target = out / f'{name or video.stem}.npy'
    labels_file = labels_file or video.with_suffix('.npz')
    if target.exists():
        return target
    labels = load_face_states(labels_file)
    regions = face_regions(labels.points_px[labels.valid])
    reach = regions[:, 2:] * (0.5 + MARGIN)
    low = np.floor((regions[:, :2] - reach).min(axis=0)).astype(int)
    high = np.ceil((regions[:, :2] + reach).max(axis=0)).astype(int)
    scale = min(1.0, REGION_PX / float(np.median(regions[:, 2])))
    frames = []
    reader = cv2.VideoCapture(str(video))
    while True:
        ok, image = reader.read()
        if not ok:
            break
        left, top = max(0, low[0]), max(0, low[1])
        part = image[top : high[1], left : high[0]]
        size = (round(part.shape[1] * scale), round(part.shape[0] * scale))
        frames.append(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    count = min(len(frames), len(labels.valid))
    if count < len(labels.valid):
        print(f'{video.name}: {len(frames)} frames, {len(labels.valid)} labels')
    out.mkdir(parents=True, exist_ok=True)
    # Processes of one training may build the same clip at once.
    temporary = target.with_suffix(f'.{os.getpid()}.tmp.npy')
    np.save(temporary, np.stack(frames[:count]))
    placement = {'left': int(left), 'top': int(top), 'scale': scale, 'video': str(video)}
    if labels_file != video.with_suffix('.npz'):
        placement['labels'] = str(labels_file)
    target.with_suffix('.json').write_text(json.dumps(placement))
    os.replace(temporary, target)
    return target


def load(array: Path) -> CachedClip:
    """Open a cached clip; labels are read from next to the video and moved into its pixels."""
    placement = json.loads(array.with_suffix('.json').read_text())
    frames = np.load(array, mmap_mode='r')
    file = Path(placement.get('labels') or Path(placement['video']).with_suffix('.npz'))
    labels = load_face_states(file)
    with np.load(file) as data:
        starts = tuple(int(i) for i in data['starts']) if 'starts' in data else (0,)
    origin = np.array([placement['left'], placement['top']], np.float32)
    # Pixel centres: an original coordinate x is at (x + 0.5) * scale - 0.5 after resizing.
    points = (labels.points_px - origin + 0.5) * placement['scale'] - 0.5
    count = len(frames)
    moved = FaceStates(
        labels.blendshapes[:count],
        labels.names,
        labels.rotation[:count],
        points[:count].astype(np.float32),
        labels.valid[:count],
        labels.fps,
    )
    return CachedClip(array.stem, frames, moved, face_regions(moved.points_px), starts)


def main() -> None:
    """Build the cache of a folder of clips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/train'))
    parser.add_argument('--labels', type=Path, help='label files, mirroring the clips')
    parser.add_argument('--out', type=Path, default=Path('data/clips'))
    arguments = parser.parse_args()
    clips = datasets.find(arguments.clips, arguments.labels, labelled=True)
    for i, clip in enumerate(clips, 1):
        array = build_clip(clip, arguments.out)
        print(f'{i}/{len(clips)} {array.name} {np.load(array, mmap_mode="r").shape}', flush=True)


if __name__ == '__main__':
    main()
