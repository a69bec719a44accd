"""Options that say where the data of keyframe trainings lie, and the people in it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2

from kf_imitation.errors import SourceError
from kf_imitation.evaluation import datasets
from training.data import clip_cache
from training.data.clip_cache import CachedClip


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Declare --clips, --labels, --cache, --faces, --renders and --animated."""
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/train'))
    parser.add_argument('--labels', type=Path, help='label files, mirroring --clips')
    parser.add_argument('--cache', type=Path, default=Path('data/clips'))
    parser.add_argument('--faces', type=Path, default=Path('../shared/data/faces/train.npz'))
    parser.add_argument('--renders', type=Path, default=Path('data/renders/pairs'))
    parser.add_argument('--animated', type=Path, default=Path('data/animated'))


def labelled_clips(
    arguments: argparse.Namespace, hold_out: Sequence[str]
) -> tuple[list[CachedClip], list[CachedClip]]:
    """Open the clips to train on and those held out; a person is held out as a whole.

    Args:
        arguments: of add_data_options.
        hold_out: clips, named by stem (or key, in a data set's layout), or people.

    Raises:
        SourceError: there is no labelled clip, hold_out leaves none to train on or names nobody.
    """
    # Workers are forks, in which OpenCV would wait for ever for threads that it has here.
    cv2.setNumThreads(1)
    found = datasets.find(arguments.clips, arguments.labels, labelled=True)
    held = datasets.people_named(found, hold_out)
    clips = [clip_cache.load(clip_cache.build_clip(clip, arguments.cache)) for clip in found]
    kept = {c.key for c in found if c.person not in held}
    train = [c for c in clips if c.stem in kept]
    if not train:
        raise SourceError(f'{arguments.clips}: hold_out leaves no clip to train on')
    return train, [c for c in clips if c.stem not in kept]


def animated_photographs(arguments: argparse.Namespace) -> list[CachedClip]:
    """Open what training.data.animate has made."""
    return [clip_cache.load(a) for a in sorted(arguments.animated.glob('animated_*.npy'))]
