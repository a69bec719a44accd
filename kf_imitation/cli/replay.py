"""`kf_imitation replay`: the whole pipeline over a file or bag, as fast as the machine allows."""

import argparse
from collections.abc import Callable, Iterator

from kf_imitation.cli.options import (
    add_json,
    add_overwrite,
    add_params,
    add_quiet,
    add_robot,
    add_upright,
)
from kf_imitation.cli.terminal import show_tables, takes_stdout, write_json
from kf_imitation.parameters.modes import MODES
from kf_imitation.paths import user_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument('source', metavar='VIDEO_OR_BAG', help='video, folder of images, or bag')
    parser.add_argument(
        '--out', required=True, type=user_path, metavar='DIR', help='folder to create'
    )
    add_robot(parser)
    add_upright(parser)
    parser.add_argument(
        '--mode', default='', choices=MODES, help='which frame of a movement is imitated'
    )
    add_params(parser)
    parser.add_argument('--topic', default='', help='image topic of a bag with several')
    parser.add_argument(
        '--video', type=user_path, metavar='FILE', help='side-by-side video of person and robot'
    )
    parser.add_argument(
        '--summary', action='store_true', help='draw summary.png: the run on one page'
    )
    add_overwrite(parser)
    add_json(parser)
    add_quiet(parser)
    parser.add_argument(
        '--learn', action='store_true', help="learn the person's face at rest, as a live run does"
    )
    parser.add_argument(
        '--strict',
        action='store_true',
        help='exit code 2 when frames had to be left out or none shows a face',
    )


def run(args: argparse.Namespace) -> int:
    """Replay, write everything, print the table.

    Returns:
        Exit code: 0; 2 with --strict when the source is damaged or shows no face, the results
            stay.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    from contextlib import contextmanager
    from dataclasses import asdict

    from kf_imitation.cli.progress import progress
    from kf_imitation.parameters.settings import UprightSettings
    from kf_imitation.pipeline.run_figures import run_table
    from kf_imitation.replay.run import replay_to_files

    @contextmanager
    def watched(what: str, frames: int | None) -> Iterator[Callable[[], None]]:
        with progress(what, frames, 'frames', args.quiet) as bar:
            yield bar.step

    figures = replay_to_files(
        args.source,
        args.out,
        args.robot,
        args.mode,
        args.params,
        args.topic,
        args.video,
        args.overwrite,
        args.summary,
        args.learn,
        UprightSettings(args.rotate, args.mirror) if args.rotate or args.mirror else None,
        watched,
    )
    if not takes_stdout(args.json):
        show_tables(run_table(figures))
        print(f'written to {args.out}' + (f' and {args.video}' if args.video else ''))
    write_json(asdict(figures), args.json)
    lacking = figures.left_out or figures.damaged or not figures.faces
    return 2 if args.strict and lacking else 0
