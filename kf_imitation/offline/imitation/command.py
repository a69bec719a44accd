"""The command `kf_imitation evaluate --imitation`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from kf_imitation.graph import merged_parameters
from kf_imitation.offline.imitation.clip import ClipReader
from kf_imitation.offline.imitation.figures import ImitationMetrics
from kf_imitation.offline.imitation.imitator import LABELS, LANDMARKS, Imitator
from kf_imitation.offline.imitation.results import as_json, results_table
from kf_imitation.offline.labels import find_clips
from kf_imitation.offline.output import check_free, new_file
from kf_imitation.robot_config import load_robot


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
    values = merged_parameters(getattr(args, 'params', '') or '')
    robot = load_robot(args.robot or str(values['servo']['robot']))
    clips = find_clips(Path(args.imitation))
    imitator, reader = Imitator(robot, values), ClipReader(values)
    methods = imitator.methods([m for m in args.imitation_methods.split(',') if m])
    results: dict[str, dict[str, ImitationMetrics]] = {name: {} for name in methods}
    for path in clips:
        print(f'{path.stem} …', file=sys.stderr, flush=True)
        clip = reader.read(path)
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
