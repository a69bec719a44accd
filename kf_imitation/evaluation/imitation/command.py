"""The command `kf_imitation evaluate --imitation`."""

import argparse
import math
import sys
from pathlib import Path

from rich.console import Console

from kf_imitation.errors import ConfigError
from kf_imitation.evaluation.imitation.clip import ClipReader
from kf_imitation.evaluation.imitation.figures import ImitationMetrics
from kf_imitation.evaluation.imitation.imitator import LABELS, LANDMARKS, Imitator
from kf_imitation.evaluation.imitation.rests import with_rests
from kf_imitation.evaluation.imitation.results import as_json, results_table
from kf_imitation.evaluation.imitation.tuning import QUANTA, search, tuning_table
from kf_imitation.evaluation.labels import find_clips
from kf_imitation.output_files import check_free, new_file
from kf_imitation.robot import load_robot
from kf_imitation.ros_graph.nodes import merged_parameters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; the evaluate command adds them to its own."""
    parser.add_argument(
        '--imitation', type=Path, metavar='DIR', help='measure imitation on labelled clips'
    )
    parser.add_argument('--robot', default='', help='name in config/robots, or a file')
    parser.add_argument(
        '--channels',
        choices=(LANDMARKS, LABELS),
        default=LANDMARKS,
        help='imitation: where the poses come from; labels are perfect channels',
    )
    parser.add_argument(
        '--imitation-methods', default='', metavar='A,B', help='only these; default: all'
    )
    parser.add_argument(
        '--video',
        type=Path,
        metavar='DIR',
        help='imitation: side-by-side videos of the default mode, or of the first method named',
    )
    parser.add_argument(
        '--rests',
        action='store_true',
        help='imitation: put a rest of 2 s after every 2 s of the clips',
    )
    parser.add_argument(
        '--tune-travel',
        nargs='?',
        const=','.join(f'{quantum:g}' for quantum in QUANTA),
        default='',
        metavar='Q,Q',
        help='imitation: instead try these travel quanta, on training clips (default: a grid)',
    )
    parser.add_argument('--every', type=int, default=1, help='imitation: take every n-th clip')
    parser.add_argument('--most', type=float, default=math.inf, metavar='S', help='of each clip')


def run(args: argparse.Namespace) -> int:
    """Measure all methods on all clips of a folder; print a table, write JSON.

    Args:
        args: of add_arguments(), and json and params of evaluate where given.

    Returns:
        Exit code 0.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    out: Path | None = getattr(args, 'json', None)
    overwrite = True  # figures are made again and again
    if out is not None:
        out = Path(out)
        check_free(out, overwrite)
    if args.video is not None:
        check_free(args.video, overwrite)
    quanta = _quanta(args.tune_travel)
    if args.rests and args.video is not None:
        raise ConfigError('--rests', ['no video shows the rests, leave --video out'])
    values = merged_parameters(getattr(args, 'params', '') or '')
    robot = load_robot(args.robot or str(values['servo']['robot']))
    clips = find_clips(Path(args.imitation))[:: args.every]
    imitator, reader = Imitator(robot, values), ClipReader(values)
    methods = imitator.methods([m for m in args.imitation_methods.split(',') if m])
    if args.tune_travel:
        read = []
        for path in clips:
            _tell(path.stem)
            read.append(reader.read(path, args.most))
        trials = search(read, imitator, args.channels, quanta, _tell)
        Console(width=None if sys.stdout.isatty() else 130).print(tuning_table(trials))
        return 0
    results: dict[str, dict[str, ImitationMetrics]] = {name: {} for name in methods}
    for path in clips:
        _tell(path.stem)
        clip = reader.read(path, args.most)
        if args.rests:
            clip = with_rests(clip)
        for method, by_clip in results.items():
            by_clip[clip.name] = imitator.measure(clip, method, args.channels)
        if args.video is not None:
            shown = methods[0] if args.imitation_methods else imitator.settings.mode
            imitator.write_video(args.video / f'{path.stem}.mp4', path, clip, shown, args.channels)
    Console(width=None if sys.stdout.isatty() else 110).print(
        results_table(results, robot.name, len(clips), args.channels)
    )
    if out is not None:
        with new_file(out, overwrite) as partial:
            document = as_json(results, robot.name, args.channels, imitator.settings)
            partial.write_text(document, encoding='utf-8')
    return 0


def _quanta(text: str) -> list[float]:
    """Read the quanta of --tune-travel.

    Raises:
        ConfigError: one is no number from 0.01 on.
    """
    try:
        quanta = [float(part) for part in text.split(',') if part]
    except ValueError as error:
        raise ConfigError('--tune-travel', [f'{text!r} must be numbers with commas']) from error
    if not all(quantum >= 0.01 for quantum in quanta):
        raise ConfigError('--tune-travel', [f'{text!r} must be 0.01 or more each'])
    return quanta


def _tell(name: str) -> None:
    print(f'{name} …', file=sys.stderr, flush=True)
