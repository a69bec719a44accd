"""`kf_imitation bag …`: what a bag holds; the end of a bag whose recorder was killed."""

import argparse
from datetime import datetime, timezone

from kf_imitation.cli.options import add_json
from kf_imitation.cli.terminal import show_tables, takes_stdout, write_json
from kf_imitation.errors import counted
from kf_imitation.paths import user_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    for name, text in (
        ('info', 'list topics, types and counts'),
        ('repair', 'write the end that a killed recorder left out, for other programs; '
                   'this package reads the bag as it is'),
    ):  # fmt: skip
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument('bag', type=user_path, metavar='BAG', help='bag folder or file')
        if name == 'info':
            add_json(action)


def run(args: argparse.Namespace) -> int:
    """Run the action.

    Raises:
        BagError: the bag cannot be read or repaired.
    """
    from rich.table import Table

    from kf_imitation.bags.opening import open_bag
    from kf_imitation.bags.reader import repair_bag

    if args.action == 'repair':
        print(f'{args.bag}: closed, {counted(repair_bag(args.bag), "message")}')
        return 0
    with open_bag(args.bag) as bag:
        table = Table('topic', 'type', 'messages')
        for name, topic in bag.topics.items():
            table.add_row(name, topic.kind, str(topic.count))
    count = bag.message_count
    seconds = (bag.end_ns - bag.start_ns) * 1e-9
    start = datetime.fromtimestamp(bag.start_ns * 1e-9, timezone.utc)
    if not takes_stdout(args.json):
        show_tables(table)
        since = f' from {start:%F %T} UTC' if count else ''
        print(f'{counted(count, "message")}, {seconds:.1f} s{since}')
    topics = {n: {'type': topic.kind, 'messages': topic.count} for n, topic in bag.topics.items()}
    times = {'start_ns': bag.start_ns, 'end_ns': bag.end_ns} if count else {}
    write_json({'messages': count, **times, 'topics': topics}, args.json)
    return 0
