"""`kf_imitation calibrate`: what is neutral and what is the extreme of one person, as a file."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kf_imitation.cli.options import add_params, add_quiet, seconds
from kf_imitation.errors import ConfigError
from kf_imitation.paths import user_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument('--source', default='0', help='camera or video (default: camera 0)')
    parser.add_argument(
        '--out', required=True, type=user_path, metavar='FILE', help='YAML to write'
    )
    parser.add_argument('--person', default='', metavar='NAME', help='default: from --out')
    parser.add_argument(
        '--rest-s',
        type=seconds,
        default=3.0,
        help='relaxed face at the beginning; less where expressions begin sooner (default: 3 s)',
    )
    parser.add_argument(
        '--pose-s', type=seconds, default=22.5, help='expressions after that (default: 22.5 s)'
    )
    add_params(parser)
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the file, unless it knows more'
    )
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Watch a person, write the file.

    Raises:
        KfImitationError: bad input, nobody seen, no neutral can be learned, or only neutral where
            the file knows more; nothing is written.
    """
    if args.out.exists() and not args.overwrite:
        raise ConfigError(str(args.out), ['exists already: name another file, or --overwrite'])
    from kf_imitation.camera.sources import open_source
    from kf_imitation.evaluation.calibrate import FaceReader, require_moving_pictures, watch
    from kf_imitation.pipeline.learned_person import keep_person
    from kf_imitation.replay.run import source_settings
    from kf_imitation.ros_graph.nodes import merged_parameters

    values = merged_parameters(args.params)
    reader = FaceReader(values)
    source = open_source(args.source, source_settings(values['camera']))
    try:
        require_moving_pictures(source)
        with _instructions(args.quiet) as tell:
            rest, posed = watch(source, reader.read, args.rest_s, args.pose_s, tell)
    finally:
        source.close()
    for sentence in keep_person(args.person or args.out.stem, rest, posed, args.out):
        print(f'kf_imitation: {sentence}', file=sys.stderr)
    print(f'written to {args.out}: {len(rest)} faces at rest, {len(posed)} after that')
    if not args.quiet:
        line = f'landmarks: {{ros__parameters: {{calibration: {args.out.absolute()}}}}}'
        print(f'use it: --params FILE, with this line in it:\n    {line}')
    return 0


@contextmanager
def _instructions(quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """Say what to do with the time that is left; line by line where there is no terminal."""
    from kf_imitation.cli.progress import progress

    told = ''
    with progress('', quiet=quiet) as bar:

        def tell(instruction: str, fraction: float) -> None:
            nonlocal told
            bar.reach(fraction, instruction)
            if instruction != told and not quiet and not sys.stderr.isatty():
                print(instruction, file=sys.stderr)
            told = instruction

        yield tell
