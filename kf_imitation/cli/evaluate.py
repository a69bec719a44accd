"""`kf_imitation evaluate`: how well keyframes are found, and how well they are imitated."""

import argparse
import math

from kf_imitation.cli.options import add_overwrite, add_params, add_quiet, seconds
from kf_imitation.errors import ConfigError
from kf_imitation.paths import user_path

_DEFAULT_METHODS = 'default,lite,frame_difference,dis'
# What only one of the two measures takes.
_OF_KEYFRAMES = (
    'directory', 'methods', 'labels', 'dump', 'threads', 'jobs', 'tune', 'overwrite',
)  # fmt: skip
_OF_IMITATION = (
    'robot', 'channels', 'imitation_methods', 'video', 'rests', 'tune_travel', 'every', 'most',
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        'directory',
        nargs='?',
        type=user_path,
        metavar='DIR',
        help='labelled clips: a folder, VoxCeleb, 300VW, CAER',
    )
    parser.add_argument(
        '--methods',
        default=_DEFAULT_METHODS,
        metavar='A,B',
        help=f'what to compare, of config/evaluate.yaml (default: {_DEFAULT_METHODS})',
    )
    parser.add_argument(
        '--labels',
        type=user_path,
        metavar='DIR',
        help='label files, mirroring the folder of clips',
    )
    parser.add_argument(
        '--clips',
        default='',
        metavar='A,B',
        help='only the clips of these names; * stands for anything',
    )
    parser.add_argument(
        '--json', type=user_path, metavar='FILE', help='write all figures there too; -: to stdout'
    )
    parser.add_argument(
        '--dump', type=user_path, metavar='DIR', help='write METHOD/CLIP.csv with every score'
    )
    add_params(parser)
    parser.add_argument('--threads', type=int, default=1, help='threads of each model')
    parser.add_argument('--jobs', type=int, default=1, help='clips at once, a process each')
    parser.add_argument(
        '--tune',
        action='store_true',
        help='print the detector and smoothing settings that are best on these clips',
    )
    add_overwrite(parser)
    add_quiet(parser)
    group = parser.add_argument_group('imitation')
    group.add_argument(
        '--imitation', type=user_path, metavar='DIR', help='measure imitation on labelled clips'
    )
    group.add_argument('--robot', default='', help='name in config/robots, or a file')
    group.add_argument(
        '--channels',
        choices=('landmarks', 'labels'),
        default='landmarks',
        help='where the poses come from; labels are perfect channels',
    )
    group.add_argument(
        '--imitation-methods', default='', metavar='A,B', help='only these; default: all'
    )
    group.add_argument(
        '--video',
        type=user_path,
        metavar='DIR',
        help='side-by-side videos of the default mode, or of the first method named',
    )
    group.add_argument(
        '--rests', action='store_true', help='put a rest of 2 s after every 2 s of the clips'
    )
    group.add_argument(
        '--tune-travel',
        nargs='?',
        const='grid',
        default='',
        metavar='Q,Q',
        help='instead try these travel thresholds, on training clips (default: a grid)',
    )
    group.add_argument('--every', type=int, default=1, help='take every n-th clip')
    group.add_argument('--most', type=seconds, default=math.inf, metavar='S', help='of each clip')


def run(args: argparse.Namespace) -> int:
    """Measure, print tables, write files.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    _check(args)
    from kf_imitation.cli.evaluate_measures import measure_imitation, measure_keyframes

    if args.imitation is None:
        measure_keyframes(args)
    else:
        measure_imitation(args)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Reject numbers below 1 and what the measure asked for does not take.

    Raises:
        ConfigError: names all of them.
    """
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    imitates = args.imitation is not None
    rule = 'does not count with --imitation' if imitates else 'counts only with --imitation'
    problems = [
        f'{_typed(name)}{_shown(getattr(args, name))} {rule}: leave it out'
        for name in (_OF_KEYFRAMES if imitates else _OF_IMITATION)
        if getattr(args, name) != parser.get_default(name)
    ]
    if not imitates and args.directory is None:
        problems.append('DIR is missing: name a folder of labelled clips (or give --imitation)')
    problems += [
        f'--{name} = {getattr(args, name)} must be 1 or more'
        for name in ('threads', 'jobs', 'every')
        if getattr(args, name) < 1
    ]
    if problems:
        raise ConfigError('evaluate', problems)


def _typed(name: str) -> str:
    return 'DIR' if name == 'directory' else f'--{name.replace("_", "-")}'


def _shown(value: object) -> str:
    return '' if value is True else f' = {value}'
