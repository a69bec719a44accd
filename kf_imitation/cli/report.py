"""`kf_imitation report`: one HTML page about a run or two, which opens without a network."""

import argparse

from kf_imitation.cli.options import add_overwrite, add_quiet
from kf_imitation.paths import user_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        'run_paths',
        type=user_path,
        nargs='+',
        metavar='BAG_OR_DIR',
        help='bag, or replay folder; two of them are compared',
    )
    parser.add_argument(
        '--out',
        type=user_path,
        metavar='FILE',
        help='page to write; default: report.html in the folder, or a name next to it',
    )
    parser.add_argument('--robot', default='sim_face', help='whose joints the bag holds')
    parser.add_argument(
        '--labels', type=user_path, metavar='NPZ', help='labels of the clip, for E_n and E_l'
    )
    parser.add_argument(
        '--no-images', dest='images', action='store_false', help='leave out pictures of the person'
    )
    add_overwrite(parser)
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Write the report.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    from kf_imitation.cli.progress import progress
    from kf_imitation.reporting.report import write_report

    options = (args.out, args.robot, args.labels, args.overwrite, args.images)
    with progress('report', quiet=args.quiet) as bar:
        out = write_report(args.run_paths, *options, bar.reach)
    print(f'written to {out}')
    return 0
