"""Compare label files: those next to videos with those `training.labels.run` wrote elsewhere.

python -m training.labels.check VIDEO_OR_FOLDER --labels DIR
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kf_imitation.errors import KfImitationError, SourceError
from kf_imitation.evaluation import datasets
from training.data.face_states import load_face_states, target


@dataclass(frozen=True)
class Agreement:
    """How alike two label files of one clip are.

    Attributes:
        rho: Pearson correlation of the target scores, frames where both see a face; nan where
            one of them is constant.
        blendshapes: mean absolute difference over frames and the 51 blendshapes.
        rotation_deg: mean angle between the head rotations.
        frames: how many were compared.
    """

    rho: float
    blendshapes: float
    rotation_deg: float
    frames: int


def compare(one: Path, other: Path) -> Agreement:
    """Compare two label files.

    Raises:
        SourceError: a file cannot be read, or they are not of the same frames.
    """
    a, b = load_face_states(one), load_face_states(other)
    if len(a.valid) != len(b.valid):
        raise SourceError(
            f'{one} has {len(a.valid)} frames, {other} has {len(b.valid)}: must be of one clip'
        )
    both = a.valid & b.valid
    if not both.any():
        raise SourceError(f'{one} and {other} have no frame in which both see a face')
    scores = target(a).scores[both], target(b).scores[both]
    varied = min(s.std() for s in scores) > 0
    # Rotation vectors are close together here, so their difference is the angle between them.
    angle = np.linalg.norm(a.rotation[both] - b.rotation[both], axis=1)
    return Agreement(
        rho=float(np.corrcoef(*scores)[0, 1]) if varied else float('nan'),
        blendshapes=float(np.abs(a.blendshapes[both] - b.blendshapes[both]).mean()),
        rotation_deg=float(np.degrees(angle).mean()),
        frames=int(both.sum()),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each clip; 0, or 2 on bad input."""
    parser = argparse.ArgumentParser(
        prog='python -m training.labels.check',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('videos', type=Path, metavar='VIDEO', help='a video or folder')
    parser.add_argument(
        '--labels', type=Path, required=True, metavar='DIR', help='the label files to compare'
    )
    options = parser.parse_args(arguments)
    try:
        next_to_video = {c.name: c.labels for c in datasets.find(options.videos, labelled=True)}
        clips = datasets.find(options.videos, options.labels, labelled=True)
        rows = {
            c.name: compare(next_to_video[c.name], c.labels)
            for c in clips
            if c.name in next_to_video
        }
        if not rows:
            raise SourceError(f'no clip of {options.videos} has labels in both places')
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    for name, row in rows.items():
        print(
            f'{name}: rho {row.rho:.3f}, blendshapes {row.blendshapes:.4f}, '
            f'head {row.rotation_deg:.2f} deg, {row.frames} frames'
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
