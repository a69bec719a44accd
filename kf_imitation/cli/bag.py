"""`kf_imitation bag …`: what a bag holds; the end of a bag whose recorder was killed."""

import argparse
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kf_imitation.bags.opening import open_reader
from kf_imitation.bags.reader import repair_bag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    for name, text in (
        ('info', 'list topics, types and counts'),
        ('repair', 'write the end that a killed recorder left out, for other programs; '
                   'this package reads the bag as it is'),
    ):  # fmt: skip
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument('bag', type=Path, metavar='BAG', help='bag folder or file')


def run(args: argparse.Namespace) -> int:
    """Run the action.

    Returns:
        Exit code 0.

    Raises:
        BagError: the bag cannot be read or repaired.
    """
    if args.action == 'repair':
        print(f'{args.bag}: closed, {repair_bag(args.bag)} messages')
        return 0
    reader = open_reader(args.bag)
    try:
        table = Table('topic', 'type', 'messages')
        for topic, about in sorted(reader.topics.items()):
            table.add_row(topic, str(about.msgtype), str(about.msgcount))
        count = reader.message_count
        seconds = max(0, reader.duration - 1) * 1e-9 if count else 0.0
        start = datetime.fromtimestamp(reader.start_time * 1e-9 if count else 0, timezone.utc)
    finally:
        reader.close()
    Console(width=100).print(table)
    print(f'{count} messages, {seconds:.1f} s' + (f' from {start:%F %T} UTC' if count else ''))
    return 0
