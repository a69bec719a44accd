"""`kf_imitation play`: a bag to ROS topics, with /clock; for machines without `ros2 bag`."""

import argparse
from typing import Any

from kf_imitation.cli.options import add_quiet
from kf_imitation.paths import user_path
from kf_imitation.ros_graph.environment import check_namespace, quiet_logging, ros_needed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument('bag', metavar='BAG', help='bag folder or file, MCAP or SQLite')
    parser.add_argument('--rate', type=float, default=1.0, help='bag seconds per second')
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument(
        '--start-offset',
        type=float,
        default=0.0,
        metavar='S',
        help='skip this much at the beginning',
    )
    parser.add_argument(
        '--delay',
        type=float,
        default=1.0,
        metavar='S',
        help='wait this long before the first message, so that subscribers can connect',
    )
    parser.add_argument(
        '--clock',
        nargs='?',
        type=float,
        const=100.0,
        default=0.0,
        metavar='HZ',
        help='publish /clock, for nodes with use_sim_time; default rate: 100',
    )
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC', help='only these')
    parser.add_argument(
        '--remap', nargs='+', default=[], metavar='FROM:=TO', help='publish under other names'
    )
    parser.add_argument(
        '--image', default='', metavar='TOPIC', help='publish this as image_raw, decoded'
    )
    parser.add_argument('--namespace', default='', metavar='NAME', help='of image_raw')
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Play to the end, or until Ctrl-C.

    Raises:
        KfImitationError: the bag cannot be read, lacks a topic, or an option is out of bounds.
    """
    from kf_imitation.bags.opening import open_bag
    from kf_imitation.bags.playback import BagPlay
    from kf_imitation.ros_graph.nodes import merged_parameters

    check_namespace(args.namespace)
    settings: dict[str, Any] = merged_parameters()['player']
    settings.update(
        bag=args.bag,
        rate=args.rate,
        loop=args.loop,
        start_offset_s=args.start_offset,
        delay_s=args.delay,
        clock_hz=args.clock,
        topics=' '.join(args.topics),
        image=args.image,
    )
    # What is wrong with the bag is reported before ROS is loaded, or missed.
    with open_bag(user_path(args.bag)) as bag:
        play = BagPlay(bag, args.topics, max(0.0, args.start_offset))
    length_s = (play.end_ns - play.start_ns) * 1e-9
    about = f'{len(play.kinds)} topics, {length_s:.1f} s'
    rules = [rule for pair in args.remap for rule in ('-r', pair)]
    quiet_logging()
    with ros_needed():
        from kf_imitation.nodes.node_main import run_node
        from kf_imitation.nodes.player_node import PlayerNode

    def make() -> PlayerNode:
        node = PlayerNode(
            settings,
            namespace=args.namespace.strip('/') or None,
            cli_args=['--ros-args', *rules] if rules else None,
        )
        if not args.quiet:
            print(f'playing {args.bag}: {about}; Ctrl-C stops', flush=True)
        return node

    return run_node(make, [])
