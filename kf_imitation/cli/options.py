"""Options that several commands take, each declared once."""

import argparse
import math

from kf_imitation.paths import user_path


def seconds(text: str) -> float:
    """Return the time that an option means [s].

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f'{text} must be a number of seconds above 0')
    return value


def add_source(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare --source; `default` says in words what '' means."""
    parser.add_argument(
        '--source',
        default='',
        metavar='SOURCE',
        help='video file, camera (0, /dev/video0, /dev/v4l/by-id/…), folder of images, URL, bag, '
        f'test-pattern[:SECONDS], or topic:NAME of another camera node; default: {default}',
    )


def add_upright(parser: argparse.ArgumentParser) -> None:
    """Declare --rotate and --mirror."""
    parser.add_argument(
        '--rotate',
        type=int,
        default=0,
        choices=(0, 90, 180, 270),
        help='turn every image clockwise by so many degrees; default: the parameter file',
    )
    parser.add_argument(
        '--mirror', action='store_true', help='swap left and right of every image, after the turn'
    )


def add_robot(parser: argparse.ArgumentParser, default: str = '') -> None:
    """Declare --robot."""
    parser.add_argument(
        '--robot', default=default, metavar='NAME', help='name in config/robots, or a file'
    )


def add_port(parser: argparse.ArgumentParser) -> None:
    """Declare --port."""
    parser.add_argument(
        '--port', default='', help="serial device, simulated, or none; default: the robot file's"
    )


def add_params(parser: argparse.ArgumentParser) -> None:
    """Declare --params."""
    parser.add_argument(
        '--params',
        default='',
        metavar='FILE',
        help='parameters that override config/kf_imitation.yaml',
    )


def add_namespace(parser: argparse.ArgumentParser, default: str | None = '') -> None:
    """Declare --namespace."""
    parser.add_argument(
        '--namespace', default=default, metavar='NAME', help='of the nodes and their topics'
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare --json."""
    parser.add_argument(
        '--json', type=user_path, metavar='FILE', help='write the figures there too; -: to stdout'
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Declare --quiet."""
    parser.add_argument(
        '--quiet', action='store_true', help='no progress and no hints; results and errors only'
    )


def add_input_end(parser: argparse.ArgumentParser) -> None:
    """Declare --until-input-ends, for a program whose parent may end without a word."""
    parser.add_argument('--until-input-ends', action='store_true', help=argparse.SUPPRESS)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Declare --overwrite."""
    parser.add_argument('--overwrite', action='store_true', help='replace results that exist')
