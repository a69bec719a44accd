"""Label files beside clips and images, and the targets made from them.

A label file is an .npz with `blendshapes` (N, 52), `names`, `head_pose` (N, 4, 4),
`landmarks_q` (N, 478, 3) and, for clips, `valid` (N,) and `fps`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from scipy.spatial.transform import Rotation

BLENDSHAPES = 51
ROTATIONS = 3
CHANGE_SIZE = BLENDSHAPES + ROTATIONS
ROTATION_WEIGHT = 2.0
SCORE_SCALE = 0.2
SIGMA_S = 0.05
# Networks learn changes of labels that are smoothed less; the runtime smooths what they answer.
TRAINED_SIGMA_S = 0.03
REFERENCE_FPS = 30.0
# Labels of videos are late: the teacher smooths over time with what is past. Readings of single
# frames agree best with what the labels say so much later (docs/training.md).
TEACHER_LAG_S = 0.013


@dataclass(frozen=True)
class Labels:
    """Labels of one clip or of a set of images.

    Attributes:
        blendshapes: (N, 51) float32, without `_neutral`.
        names: of the 51 blendshapes.
        rotation: (N, 3) float32 rotation vectors of the head [rad], unwrapped.
        points_px: (N, 478, 2) float32 landmarks [px].
        valid: (N,) bool, a face was found.
        fps: frames per second; 0 for images.
        lag_s: how late the labels are [s].
    """

    blendshapes: np.ndarray
    names: tuple[str, ...]
    rotation: np.ndarray
    points_px: np.ndarray
    valid: np.ndarray
    fps: float
    lag_s: float = 0.0

    @property
    def state(self) -> np.ndarray:
        """(N, 54) blendshapes and rotation, whose changes are learned and scored."""
        return np.concatenate([self.blendshapes, self.rotation], axis=1)


def load_labels(path: Path) -> Labels:
    """Read a label file.

    Args:
        path: .npz as described in this module's docstring.

    Returns:
        The labels; rotations are continuous over time.
    """
    with np.load(path) as data:
        names = tuple(str(n) for n in data['names'])
        if names[0] != '_neutral' or len(names) != BLENDSHAPES + 1:
            raise ValueError(f'{path}: expected _neutral and {BLENDSHAPES} blendshapes')
        count = len(data['blendshapes'])
        return Labels(
            blendshapes=data['blendshapes'][:, 1:].astype(np.float32),
            names=names[1:],
            rotation=rotation_vectors(data['head_pose'][:, :3, :3]),
            points_px=data['landmarks_q'][..., :2].astype(np.float32) / 16,
            valid=data['valid'].copy() if 'valid' in data else np.ones(count, bool),
            fps=float(data['fps']) if 'fps' in data else 0.0,
            lag_s=float(data['lag_s']) if 'lag_s' in data else TEACHER_LAG_S * ('fps' in data),
        )


def rotation_vectors(matrices: np.ndarray) -> np.ndarray:
    """Turn (N, 3, 3) rotation matrices to (N, 3) float32 rotation vectors without jumps [rad]."""
    # Labels carry a scale in the matrix; its columns are normalised first.
    matrices = matrices / np.maximum(np.linalg.norm(matrices, axis=1, keepdims=True), 1e-9)
    vectors = Rotation.from_matrix(matrices).as_rotvec()
    for i in range(1, len(vectors)):
        angle = np.linalg.norm(vectors[i])
        if angle > 1e-6:
            # The same rotation, the other way round: take what is nearer to the previous frame.
            other = vectors[i] * (1 - 2 * np.pi / angle)
            if np.linalg.norm(other - vectors[i - 1]) < np.linalg.norm(
                vectors[i] - vectors[i - 1]
            ):
                vectors[i] = other
    return vectors.astype(np.float32)


def smooth(values: np.ndarray, sigma_s: float, fps: float, lag_s: float = 0.0) -> np.ndarray:
    """Smooth (N, ...) values over time with a Gaussian.

    Args:
        values: of consecutive frames.
        sigma_s: of the Gaussian [s].
        fps: frames per second.
        lag_s: how late the values are, which is made up for [s].
    """
    if sigma_s > 0:
        values = gaussian_filter1d(values, sigma_s * fps, axis=0, mode='nearest')
    if lag_s > 0:
        later = np.minimum(np.arange(len(values)) + lag_s * fps, len(values) - 1)
        first = later.astype(int)
        second = np.minimum(first + 1, len(values) - 1)
        share = (later - first).astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
        values = values[first] + share * (values[second] - values[first])
    return values


def raw_change(change: np.ndarray) -> np.ndarray:
    """Return the size of (..., 54) change vectors: ||d blendshapes|| + 2 ||d rotation||."""
    return np.linalg.norm(change[..., :BLENDSHAPES], axis=-1) + ROTATION_WEIGHT * np.linalg.norm(
        change[..., BLENDSHAPES:], axis=-1
    )


def score_of_raw(raw: np.ndarray) -> np.ndarray:
    """Map the size of a change per 1/30 s to the score 0..1."""
    return 1 - np.exp(-raw / SCORE_SCALE)


def target_score(labels: Labels) -> np.ndarray:
    """Return the (N,) ground-truth score of a clip; the first frame has 0."""
    change = np.diff(smooth(labels.state, SIGMA_S, labels.fps), axis=0, prepend=np.nan)
    change[0] = 0
    return score_of_raw(labels.fps / REFERENCE_FPS * raw_change(change))


def target_keyframes(score: np.ndarray, fps: float) -> np.ndarray:
    """Return the sorted indices of the ground-truth keyframes."""
    spacing = max(1, round(0.2 * fps))
    return find_peaks(score, prominence=0.1, distance=spacing)[0]


def mirror_order(names: tuple[str, ...]) -> np.ndarray:
    """Return the (51,) order that exchanges left and right blendshapes."""
    index = {name: i for i, name in enumerate(names)}
    swapped = []
    for name in names:
        other = name
        if 'Left' in name:
            other = name.replace('Left', 'Right')
        elif 'Right' in name:
            other = name.replace('Right', 'Left')
        swapped.append(index[other])
    return np.array(swapped)


def mirror_rotation(vectors: np.ndarray) -> np.ndarray:
    """Mirror (..., 3) rotation vectors left to right: nodding stays, yaw and roll change sign."""
    return vectors * np.array([1, -1, -1], vectors.dtype)
