"""Label files: an .npz next to a clip of the same stem, or one for a set of face images."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kf_imitation.data_types import FloatArray
from kf_imitation.errors import SourceError
from kf_imitation.face_geometry.head_pose import unwrapped

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v')
ARRAYS = ('blendshapes', 'names', 'head_pose', 'landmarks_q', 'valid', 'fps')
NO_POINTS = 'the labels lack landmarks_q'
_LANDMARK_UNITS = 16  # the files hold pixels times 16
_FEWEST_VALID = 0.5  # of the frames of a clip; with fewer it is not measured


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of one clip of N frames, or of N images.

    Attributes:
        blendshapes: (N, 52) float32 0..1, ARKit names, index 0 is `_neutral`; NaN without a face.
        names: of the blendshapes.
        head_pose: (N, 4, 4) float32, rotation and translation [cm]; NaN without a face.
        landmarks_px: (N, 478, 3) float32, x and y in pixels of the frame; (N, 0, 3) where labels
            may lack them and do.
        valid: (N,) bool, false where the labeller saw no face.
        fps: of the clip [Hz]; 0 for images.
    """

    blendshapes: FloatArray
    names: tuple[str, ...]
    head_pose: FloatArray
    landmarks_px: FloatArray
    valid: NDArray[np.bool_]
    fps: float

    @property
    def measurable(self) -> bool:
        """Whether enough frames show a face for the clip to be measured on."""
        return bool(self.valid.mean() >= _FEWEST_VALID)

    @property
    def has_points(self) -> bool:
        """Whether they say where the points of the face are, of which mouths are measured."""
        return bool(self.landmarks_px.shape[1])

    def motion(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return blendshapes (N, 51) without `_neutral` and head rotation vectors (N, 3) [rad].

        The vectors are unwrapped. Frames without a face are filled linearly between their
        neighbours, at the ends with the nearest.

        Raises:
            SourceError: no frame has a face.
        """
        frames = np.flatnonzero(self.valid)
        if len(frames) == 0:
            raise SourceError('labels without a face in any frame')
        matrices = self.head_pose[frames, :3, :3].astype(np.float64)
        vectors = unwrapped(Rotation.from_matrix(matrices).as_rotvec())
        every = np.arange(len(self.valid))

        def filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.stack([np.interp(every, frames, column) for column in values.T], axis=1)

        return filled(self.blendshapes[frames, 1:].astype(np.float64)), filled(vectors)


def load_labels(path: Path, *, images: bool = False, points: bool = True) -> Labels:
    """Read the labels of a clip or of images.

    Args:
        path: the .npz file.
        images: it may be of a set of images, without `fps` and `valid`.
        points: `landmarks_q` must be there; only the aperture of mouths is measured on them.

    Raises:
        SourceError: the file is missing, is not an .npz, lacks a key or has wrong shapes.
    """
    try:
        with np.load(path, allow_pickle=False) as file:

            def given(key: str) -> bool:
                return not images or key in file

            every = ARRAYS[:-2] if images else ARRAYS
            needed = [key for key in every if points or key != 'landmarks_q']
            if missing := [key for key in needed if key not in file]:
                raise SourceError(
                    f'labels {path}: lack {", ".join(missing)}; labels need the arrays '
                    f'{", ".join(needed)}'
                )
            count = len(file['blendshapes'])
            no_points = np.zeros((count, 0, 3), np.float32)
            stored = file.get('landmarks_q', no_points)
            labels = Labels(
                blendshapes=file['blendshapes'].astype(np.float32),
                names=tuple(str(name) for name in file['names']),
                head_pose=file['head_pose'].astype(np.float32),
                landmarks_px=stored.astype(np.float32) / _LANDMARK_UNITS,
                valid=file['valid'].astype(bool) if given('valid') else np.ones(count, bool),
                fps=float(file['fps']) if given('fps') else 0.0,
            )
    except OSError as error:
        raise SourceError(f'labels {path} cannot be read: {error}') from error
    except (ValueError, BadZipFile) as error:
        raise SourceError(f'labels {path} are not an .npz of labels: {error}') from error
    shapes = {
        'blendshapes': (labels.blendshapes.shape, (count, 52)),
        'names': ((len(labels.names),), (52,)),
        'head_pose': (labels.head_pose.shape, (count, 4, 4)),
        'valid': (labels.valid.shape, (count,)),
    }
    for key, (shape, wanted) in shapes.items():
        if shape != wanted:
            raise SourceError(f'labels {path}: {key} has shape {shape}, must be {wanted}')
    timed = np.isfinite(labels.fps) and labels.fps > 0
    if count == 0 or not (timed or (images and labels.fps == 0)):
        raise SourceError(f'labels {path}: {count} frames at {labels.fps} fps')
    return labels


def find_clips(directory: Path) -> list[Path]:
    """Return the videos under a directory that have labels next to them, by path.

    Raises:
        SourceError: the directory is missing or has no labelled clip.
    """
    if not directory.is_dir():
        raise SourceError(f'{directory} is not a directory')
    clips = sorted(
        path
        for path in directory.rglob('*')
        if path.suffix.lower() in VIDEO_SUFFIXES and path.with_suffix('.npz').is_file()
    )
    if not clips:
        raise SourceError(f'{directory} holds no video with an .npz of the same name next to it')
    return clips
