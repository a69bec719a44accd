"""`kf_imitation evaluate`: how well keyframes are found, and how well they are imitated."""

import argparse
import math

from kf_imitation.cli.options import add_overwrite, add_params, add_quiet
from kf_imitation.paths import user_path

_DEFAULT_METHODS = 'default,lite,frame_difference,dis'


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
    group.add_argument('--most', type=float, default=math.inf, metavar='S', help='of each clip')


def run(args: argparse.Namespace) -> int:
    """Measure, print tables, write files.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    from kf_imitation.cli.evaluate_measures import measure_imitation, measure_keyframes

    if args.imitation is None:
        measure_keyframes(args)
    else:
        measure_imitation(args)
    return 0
