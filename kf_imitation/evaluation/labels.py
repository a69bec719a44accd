"""Labelled clips: a video and an .npz of the same stem beside it."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FloatArray
from kf_imitation.errors import SourceError

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v')
_LANDMARK_UNITS = 16  # the files hold pixels times 16


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of one clip of N frames.

    Attributes:
        blendshapes: (N, 52) float32 0..1, ARKit names, index 0 is `_neutral`.
        names: of the blendshapes.
        head_pose: (N, 4, 4) float32, rotation and translation [cm].
        landmarks_px: (N, 478, 3) float32, x and y in pixels of the frame.
        valid: (N,) bool, false where the labeller saw no face.
        fps: of the clip [Hz].
    """

    blendshapes: FloatArray
    names: tuple[str, ...]
    head_pose: FloatArray
    landmarks_px: FloatArray
    valid: NDArray[np.bool_]
    fps: float


def load_labels(path: Path) -> Labels:
    """Read the labels of a clip.

    Args:
        path: the .npz file.

    Raises:
        SourceError: the file is missing, is no .npz, lacks a key or has wrong shapes.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            labels = Labels(
                blendshapes=file['blendshapes'].astype(np.float32),
                names=tuple(str(name) for name in file['names']),
                head_pose=file['head_pose'].astype(np.float32),
                landmarks_px=file['landmarks_q'].astype(np.float32) / _LANDMARK_UNITS,
                valid=file['valid'].astype(bool),
                fps=float(file['fps']),
            )
    except OSError as error:
        raise SourceError(f'labels {path} cannot be read: {error}') from error
    except KeyError as error:
        raise SourceError(f'labels {path}: {error.args[0]}') from error
    except (ValueError, BadZipFile) as error:
        raise SourceError(f'labels {path} are not an .npz of labels: {error}') from error
    count = len(labels.blendshapes)
    shapes = {
        'blendshapes': (labels.blendshapes.shape, (count, 52)),
        'head_pose': (labels.head_pose.shape, (count, 4, 4)),
        'valid': (labels.valid.shape, (count,)),
    }
    for key, (shape, wanted) in shapes.items():
        if shape != wanted:
            raise SourceError(f'labels {path}: {key} has shape {shape}, must be {wanted}')
    if not (np.isfinite(labels.fps) and labels.fps > 0 and count > 0):
        raise SourceError(f'labels {path}: {count} frames at {labels.fps} fps')
    return labels


def find_clips(directory: Path) -> list[Path]:
    """Return the videos under a directory that have labels beside them, by path.

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
        raise SourceError(f'{directory} holds no video with an .npz of the same name beside it')
    return clips
