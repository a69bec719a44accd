"""`servo stop` and `servo reset`: ask the servo node of a running head."""

import argparse

from kf_imitation.ros_graph.environment import quiet_logging, ros_needed


def run(args: argparse.Namespace) -> int:
    """Print the answer as it comes; returns 1 when it is that this was not carried out.

    Raises:
        KfImitationError: no servo node answers, or several do.
    """
    quiet_logging()
    with ros_needed():
        from kf_imitation.nodes.operator import ask_servo_node
    done = ask_servo_node(args.namespace, args.action, lambda said: print(said, flush=True))
    return 0 if done else 1
