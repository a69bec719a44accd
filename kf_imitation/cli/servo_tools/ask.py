"""`servo stop` and `servo reset`: ask the servo node of a running head."""

import argparse

from kf_imitation.ros_graph.environment import quiet_logging, ros_needed


def run(args: argparse.Namespace) -> int:
    """Print the answer; returns 1 when it is that this was not carried out.

    Raises:
        KfImitationError: no servo node answers.
    """
    quiet_logging()
    with ros_needed():
        from kf_imitation.nodes.operator import ask_servo_node
    answer = ask_servo_node(args.namespace, args.action)
    print(answer.sentence)
    return 0 if answer.done else 1
