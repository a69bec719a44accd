"""Options that say where the data of keyframe trainings lie."""

import argparse
from pathlib import Path


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Declare --clips, --labels, --cache, --faces, --renders and --animated."""
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/train'))
    parser.add_argument('--labels', type=Path, help='label files, mirroring --clips')
    parser.add_argument('--cache', type=Path, default=Path('data/clips'))
    parser.add_argument('--faces', type=Path, default=Path('../shared/data/faces/train.npz'))
    parser.add_argument('--renders', type=Path, default=Path('data/renders/pairs'))
    parser.add_argument('--animated', type=Path, default=Path('data/animated'))
