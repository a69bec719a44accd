"""Labelled images of single faces, kept in memory."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.data.clip_cache import face_regions
from training.data.face_states import FaceStates, load_face_states


@dataclass(frozen=True)
class FaceImages:
    """Images and what is known of them.

    Attributes:
        images: (H, W, 3) uint8 each.
        labels: of all.
        regions: (N, 3) centre x, centre y, size [px].
    """

    images: list[np.ndarray]
    labels: FaceStates
    regions: np.ndarray


def load(faces: Path) -> FaceImages:
    """Read <split>.npz and the images of the folder <split> next to it."""
    labels = load_face_states(faces)
    with np.load(faces) as data:
        files = [faces.with_suffix('') / str(name) for name in data['name']]
    images = [cv2.imread(str(file)) for file in files]
    return FaceImages(images, labels, face_regions(labels.points_px))
