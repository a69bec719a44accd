"""`kf_imitation cockpit`: the page to see, tune and stop a head that runs elsewhere."""

import argparse
import socket
from typing import Any

from kf_imitation.cli.options import add_input_end, add_namespace, add_params, add_robot
from kf_imitation.cli.terminal import stop_with_input
from kf_imitation.ros_graph.environment import check_namespace, quiet_logging, ros_needed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_robot(parser)
    parser.add_argument('--port', type=int, help='of the page; default: 8043 or the next free one')
    parser.add_argument(
        '--address',
        default='',
        metavar='IP',
        help='to listen on; any but 127.0.0.1 opens the page to a network, where whoever knows '
        'the printed address can see the camera and move the head',
    )
    parser.add_argument(
        '--look-only', action='store_true', help='the page may change nothing; it can still stop'
    )
    add_namespace(parser)
    add_params(parser)
    add_input_end(parser)
    parser.add_argument('--listening', type=int, help=argparse.SUPPRESS)  # a socket of the parent


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Raises:
        KfImitationError: the robot file is faulty, or the address cannot be used.
    """
    from kf_imitation.ros_graph.nodes import merged_parameters

    check_namespace(args.namespace)
    values = merged_parameters(args.params, args.namespace)
    settings: dict[str, Any] = values['cockpit']
    settings['robot'] = args.robot or values['servo']['robot']
    settings['address'] = args.address or settings['address']
    settings['controls'] = settings['controls'] and not args.look_only
    if args.port is not None:
        settings['port'] = args.port
    quiet_logging()
    with ros_needed():
        from kf_imitation.nodes.cockpit_node import CockpitNode
        from kf_imitation.nodes.node_main import run_node
    if args.until_input_ends:
        stop_with_input()
    listening = None if args.listening is None else socket.socket(fileno=args.listening)
    namespace = args.namespace.strip('/') or None
    return run_node(lambda: CockpitNode(settings, listening, namespace=namespace), [])
