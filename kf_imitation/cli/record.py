"""`kf_imitation record`: topics of a running graph into a bag (MCAP), without parsing them."""

import argparse
from collections import Counter
from datetime import datetime
from typing import Any

from kf_imitation.cli.options import add_input_end, add_namespace, add_params, add_quiet
from kf_imitation.cli.terminal import stop_with_input
from kf_imitation.errors import BagError, counted
from kf_imitation.output_files import check_free
from kf_imitation.paths import user_path
from kf_imitation.ros_graph.environment import check_namespace, quiet_logging, ros_needed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        '--out', type=user_path, metavar='DIR', help='bag folder to create; default: bag-DATE-TIME'
    )
    parser.add_argument(
        '--topics',
        nargs='+',
        metavar='TOPIC',
        help="names or patterns ('*': all but images); default: landmarks, scores, keyframes, "
        'expression, joints and diagnostics',
    )
    parser.add_argument(
        '--images', action='store_true', help='record image topics too; they show people'
    )
    parser.add_argument('--max-size', type=int, metavar='MB', help='stop at this size')
    parser.add_argument(
        '--minimum-free', type=int, metavar='MB', help='stop below this free disk; default: 500'
    )
    add_namespace(parser)
    parser.add_argument(
        '--use-sim-time', action='store_true', help='stamp by /clock, while a bag is played'
    )
    add_params(parser)
    add_quiet(parser)
    add_input_end(parser)


def run(args: argparse.Namespace) -> int:
    """Record until Ctrl-C, the size limit or the disk's.

    Raises:
        KfImitationError: bad input, nothing came, or the disk is full (the bag is readable).
    """
    from kf_imitation.ros_graph.nodes import merged_parameters

    check_namespace(args.namespace)
    settings: dict[str, Any] = merged_parameters(args.params, args.namespace)['recorder']
    out = args.out or user_path(settings['directory'] or f'bag-{datetime.now():%Y%m%d-%H%M%S}')
    settings['directory'] = str(out)
    settings['images'] = args.images or settings['images']
    if args.topics:
        settings['topics'] = ' '.join(args.topics)
    if args.max_size is not None:
        settings['maximum_mb'] = args.max_size
    if args.minimum_free is not None:
        settings['minimum_free_mb'] = args.minimum_free
    check_free(out)
    quiet_logging()
    with ros_needed():
        from kf_imitation.nodes.node_main import run_node
        from kf_imitation.nodes.recorder_node import RecorderNode
    if args.until_input_ends:
        stop_with_input()
    made: list[RecorderNode] = []

    def make() -> RecorderNode:
        node = RecorderNode(
            {**settings, **({'use_sim_time': True} if args.use_sim_time else {})},
            alone=True,
            namespace=args.namespace.strip('/') or None,
        )
        made.append(node)
        if not args.quiet:
            print(f'waiting for messages; Ctrl-C closes {out}', flush=True)
        return node

    code = run_node(make, [])
    if code or not made:
        return code
    node = made[0]
    if not node.outcome:
        raise BagError('nothing was recorded: no message arrived on any of the topics')
    print(f'{node.outcome}: {summary(node.counts)}')
    return code


def summary(counts: Counter[str]) -> str:
    """Return how many messages came on which topics."""
    total = sum(counts.values())
    topics = ', '.join(f'{topic} {count}' for topic, count in sorted(counts.items()))
    return f'{counted(total, "message")} ({topics})'
