"""Samples for the eye and mouth networks: frames of one person, near and far apart in time.

What a still frame says about an expression is biased by the face; differences between frames of
one person are not, and those far apart are large. So a group holds pairs of near frames from
several places of one clip, all changed alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from kf_imitation.inference import undo
from training.data import face_images
from training.data.augment import Appearance, AugmentSettings, crop_matrix, cut
from training.data.clip_cache import CachedClip
from training.data.face_images import FaceImages
from training.data.face_states import TRAINED_SIGMA_S, mirror_order, smooth
from training.keyframe.networks import eye_mouth_mesh_points

# The face drifts inside its held region, and compression and noise are those of webcams, the
# noise that of the mean of three channels.
AUGMENT = AugmentSettings(
    shift=0.09, zoom=0.2, turn_deg=12.0, noise=6.0, blur_px=2.5, compress=0.2
)


@dataclass(frozen=True)
class Footage:
    """One continuous piece of one person.

    Attributes:
        frames: (N, H, W, 3) uint8.
        blendshapes: (N, 51) lightly smoothed.
        points: (N, P, 2) of eye_mouth_mesh_points.POINTS, lightly smoothed [px].
        regions: (N, 3) centre x, centre y, size [px].
        known: indices of frames with a face.
    """

    frames: np.ndarray
    blendshapes: np.ndarray
    points: np.ndarray
    regions: np.ndarray
    known: np.ndarray


def footage(clip: CachedClip) -> list[Footage]:
    """Cut a clip into its continuous pieces."""
    found = []
    labels = clip.labels
    points = labels.points_px[:, eye_mouth_mesh_points.POINTS]
    for piece in clip.pieces():
        known = np.flatnonzero(labels.valid[piece])
        if len(known) < 16:
            continue
        found.append(
            Footage(
                clip.frames[piece],
                smooth(labels.blendshapes[piece], TRAINED_SIGMA_S, labels.fps),
                smooth(points[piece], TRAINED_SIGMA_S, labels.fps),
                clip.regions[piece],
                known,
            )
        )
    return found


class PartStream(IterableDataset[dict[str, Tensor]]):
    """Endless stream of batches.

    Args:
        clips: pieces by person, drawn alike by their length to the power of 0.4.
        animated: pieces from animated photographs.
        faces: <split>.npz of face images, or None.
        names: of the 51 blendshapes.
        seed: of the stream; workers derive their own.
        groups: in a batch.
        animated_fraction: of groups from animated photographs.
        crop_px: edge of the crops.

    A batch holds crops (G, 8, S, S) uint8, means of the three channels, blendshapes (G, 8, 51),
    points (G, 8, P, 2) of eye_mouth_mesh_points.POINTS as fractions of the crop, and same (G,)
    bool: all frames show one person.
    """

    def __init__(
        self,
        clips: Sequence[Footage],
        animated: Sequence[Footage],
        faces: Path | None,
        names: tuple[str, ...],
        seed: int,
        groups: int = 10,
        animated_fraction: float = 0.7,
        crop_px: int = 256,
    ) -> None:
        self._clips, self._animated = list(clips), list(animated)
        counts = np.array([len(c.known) for c in clips], float) ** 0.4
        self._chance = counts / counts.sum()
        self._mirror = mirror_order(names)
        self._seed, self._groups, self._size = seed, groups, crop_px
        self._animated_fraction = animated_fraction
        self._faces = face_images.load(faces) if faces is not None else None

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        info = get_worker_info()
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self._seed, info.id if info else 0])
        while True:
            drawn = [self._group(rng) for _ in range(self._groups)]
            crops, shapes, points, same = zip(*drawn, strict=True)
            yield {
                'crops': torch.from_numpy(np.stack(crops)),
                'blendshapes': torch.from_numpy(np.stack(shapes)),
                'points': torch.from_numpy(np.stack(points)),
                'same': torch.tensor(same),
            }

    def _group(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        mirrored = rng.random() < 0.5
        appearance = Appearance(rng, AUGMENT, self._size, mean=True)
        same = True
        if self._faces is not None and rng.random() < 0.1:
            parts, shapes = self._people(self._faces, rng, mirrored)
            same = False
        else:
            parts, shapes = self._person(rng, mirrored)
        crops = np.stack([appearance.apply(crop) for crop, _ in parts])
        points = np.stack([p for _, p in parts])
        if mirrored:
            shapes = shapes[:, self._mirror]
        return crops, shapes.astype(np.float32), points.astype(np.float32), same

    def _people(
        self, faces: FaceImages, rng: np.random.Generator, mirrored: bool
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        chosen = rng.integers(0, len(faces.images), 8)
        parts = [
            self._cut(
                *(
                    faces.images[i],
                    faces.regions[i],
                    faces.labels.points_px[i][eye_mouth_mesh_points.POINTS],
                ),
                rng,
                mirrored,
            )
            for i in chosen
        ]
        return parts, faces.labels.blendshapes[chosen]

    def _person(
        self, rng: np.random.Generator, mirrored: bool
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        if self._animated and rng.random() < self._animated_fraction:
            piece = self._animated[int(rng.integers(len(self._animated)))]
        else:
            piece = self._clips[int(rng.choice(len(self._clips), p=self._chance))]
        jitter = int(rng.integers(2**62))
        parts, chosen = [], []
        for _ in range(4):
            first = int(rng.choice(piece.known[:-3]))
            second = first + 1 + int(rng.choice(3, p=(0.5, 0.3, 0.2)))
            second = second if second in piece.known else first
            region = piece.regions[first].copy()
            region[:2] += region[2] * rng.normal(0, 0.02, 2)
            for i in (first, second):
                # The same draws for all frames of a group.
                same = np.random.default_rng(jitter)
                parts.append(self._cut(piece.frames[i], region, piece.points[i], same, mirrored))
                chosen.append(i)
        return parts, piece.blendshapes[chosen]

    def _cut(
        self,
        image: np.ndarray,
        region: np.ndarray,
        points: np.ndarray,
        rng: np.random.Generator,
        mirrored: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        matrix, _ = crop_matrix(region, self._size, rng, AUGMENT, mirrored)
        moved = undo(matrix, points)
        if mirrored:
            moved = moved[eye_mouth_mesh_points.MIRRORED]
        return cut(image, matrix, self._size), (moved + 0.5) / self._size
