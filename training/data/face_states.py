"""Labels as training wants them: states over time whose changes are learned."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from kf_imitation.evaluation import labels as evaluation_labels
from kf_imitation.evaluation.metrics import Target, target_of
from kf_imitation.face_geometry.arkit import mirrored_name

# Networks learn changes of labels that are smoothed less; the runtime smooths what they answer.
TRAINED_SIGMA_S = 0.03


@dataclass(frozen=True)
class FaceStates:
    """Labels of one clip or of a set of images.

    Attributes:
        blendshapes: (N, 51) float32, without `_neutral`.
        names: of the 51 blendshapes.
        rotation: (N, 3) float32 rotation vectors of the head [rad], unwrapped.
        points_px: (N, 478, 2) float32 landmarks [px].
        valid: (N,) bool, a face was found.
        fps: frames per second; 0 for images.
    """

    blendshapes: np.ndarray
    names: tuple[str, ...]
    rotation: np.ndarray
    points_px: np.ndarray
    valid: np.ndarray
    fps: float

    @property
    def state(self) -> np.ndarray:
        """(N, 54) blendshapes and rotation, whose changes are learned and scored."""
        return np.concatenate([self.blendshapes, self.rotation], axis=1)


def load_face_states(path: Path) -> FaceStates:
    """Read a label file of a clip or of images (kf_imitation/evaluation/labels.py).

    Args:
        path: the .npz file.

    Returns:
        The labels; rotations are continuous over time, frames without a face are filled in.

    Raises:
        SourceError: the file cannot be read or is not a label file.
    """
    read = evaluation_labels.load_labels(path, images=True)
    blendshapes, rotation = read.motion()
    # Where there is no face, the landmarks of the nearest frame with one.
    seen, every = np.flatnonzero(read.valid), np.arange(len(read.valid))
    after = np.searchsorted(seen, every).clip(max=len(seen) - 1)
    before = (after - 1).clip(min=0)
    later = seen[after] - every < every - seen[before]
    nearest = np.where(later | (every <= seen[0]), seen[after], seen[before])
    return FaceStates(
        blendshapes=blendshapes.astype(np.float32),
        names=read.names[1:],
        rotation=rotation.astype(np.float32),
        points_px=read.landmarks_px[nearest, :, :2],
        valid=read.valid,
        fps=read.fps,
    )


def smooth(values: np.ndarray, sigma_s: float, fps: float) -> np.ndarray:
    """Smooth (N, ...) values over time with a Gaussian.

    Args:
        values: of consecutive frames.
        sigma_s: of the Gaussian [s].
        fps: frames per second.
    """
    if sigma_s > 0:
        values = gaussian_filter1d(values, sigma_s * fps, axis=0, mode='nearest')
    return values


def target(labels: FaceStates) -> Target:
    """Return target scores and ground-truth keyframes of a clip."""
    return target_of(labels.state, labels.valid, labels.fps)


def mirror_order(names: tuple[str, ...]) -> np.ndarray:
    """Return the (51,) order that exchanges left and right blendshapes."""
    return np.array([names.index(mirrored_name(name)) for name in names])


def mirror_rotation(vectors: np.ndarray) -> np.ndarray:
    """Mirror (..., 3) rotation vectors left to right: nodding stays, yaw and roll change sign."""
    return vectors * np.array([1, -1, -1], vectors.dtype)
