"""`kf_imitation doctor`: what a run needs, checked one after the other before it is needed."""

import argparse
from itertools import chain

from kf_imitation.cli.options import add_json, add_params, add_port, add_robot, add_source
from kf_imitation.cli.terminal import takes_stdout, write_json
from kf_imitation.errors import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_source(parser, 'no camera is tried')
    add_robot(parser)
    add_port(parser)
    add_params(parser)
    add_json(parser)
    parser.add_argument(
        '--fix',
        action='store_true',
        help='first install the udev rule for the U2D2 (rights, latency); asks before it does',
    )


def run(args: argparse.Namespace) -> int:
    """Print one line per finding as it comes.

    Returns:
        Exit code: 0, or 2 after an error.
    """
    from dataclasses import asdict

    from kf_imitation.doctor.examination import examine
    from kf_imitation.doctor.finding import ERROR, OK, WARN
    from kf_imitation.doctor.udev_rule import install_udev_rule

    count = {OK: 0, WARN: 0, ERROR: 0}
    found = []
    told = not takes_stdout(args.json)
    fixed = [install_udev_rule()] if args.fix else []
    for finding in chain(fixed, examine(args.source, args.robot, args.port, args.params)):
        count[finding.level] += 1
        found.append(asdict(finding))
        if told:
            print(f'{finding.level:5} {finding.subject}: {finding.sentence}', flush=True)
    if told:
        print(
            f'{count[OK]} ok, {counted(count[WARN], "warning")}, {counted(count[ERROR], "error")}'
        )
    write_json(found, args.json)
    return 2 if count[ERROR] else 0
