"""What a person asks of a running servo node from a terminal, as `ros2 service call` would."""

from collections.abc import Callable
from time import monotonic

import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from kf_imitation.errors import KfImitationError
from kf_imitation.nodes.node_main import start_ros
from kf_imitation.nodes.service_question import ask

FOUND_S = 10.0  # until a node is found on a busy machine
ANSWER_S = 60.0  # a reset takes in servo after servo
OTHERS_S = 3.0  # until other nodes of the same name are found, too
APART = 'Give each a namespace or a ROS domain of its own'
NAME = 'operator'  # config/sros2_policy.xml has keys for it


def ask_servo_node(namespace: str, service: str, tell: Callable[[str], None]) -> bool:
    """Ask a service of the servo node.

    Args:
        namespace: of the node; '' for none.
        service: `stop`, asked until it is answered, or another Trigger, asked once: a second
            `reset` would end a stop that came in between.
        tell: is given the answer as soon as it comes.

    Returns:
        Whether it was carried out.

    Raises:
        KfImitationError: no servo node runs there, it does not answer, or several do.
    """
    context = rclpy.Context()
    start_ros([], context)
    node = rclpy.create_node(NAME, context=context, use_global_arguments=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    place = f'/{namespace}'.rstrip('/').replace('//', '/') + '/servo'
    try:
        return _asked(node, executor, place, service, tell)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def _asked(
    node: Node,
    executor: SingleThreadedExecutor,
    place: str,
    service: str,
    tell: Callable[[str], None],
) -> bool:
    path, request = f'{place}/{service}', Trigger.Request()
    client = node.create_client(Trigger, path)  # finds every server while others are asked
    if service == 'stop':
        answer = ask(node, executor, Trigger, path, request, FOUND_S)
        if answer is None:
            raise KfImitationError(_nobody(node, place))
        tell(answer.message)
        if (heads := _heads(node, executor, place)) > 1:
            executor.spin_until_future_complete(client.call_async(request), OTHERS_S)
            raise KfImitationError(
                f'{heads} servo nodes answer as {place}, and all were asked to stop; that was the '
                f'answer of one. {APART}'
            )
        return bool(answer.success)
    # A node whose answer has reached the younger client of the two knows the elder one, too.
    nothing = GetParameters.Request()
    if not ask(node, executor, GetParameters, f'{place}/get_parameters', nothing, FOUND_S):
        raise KfImitationError(_nobody(node, place))
    if (heads := _heads(node, executor, place)) > 1:
        raise KfImitationError(f'{heads} servo nodes answer as {place}: which is meant? {APART}')
    asked = client.call_async(request)
    executor.spin_until_future_complete(asked, ANSWER_S)
    if not asked.done():
        raise KfImitationError(f'{path} was asked and did not answer within {ANSWER_S:g} s')
    tell(asked.result().message)
    return bool(asked.result().success)


def _heads(node: Node, executor: SingleThreadedExecutor, place: str) -> int:
    """Return how many nodes have one name; once one was found, the others are known soon."""
    end_s = monotonic() + OTHERS_S
    while monotonic() < end_s:
        executor.spin_once(timeout_sec=0.05)
    names = [f'{space.rstrip("/")}/{name}' for name, space in node.get_node_names_and_namespaces()]
    return names.count(place)


def _nobody(node: Node, place: str) -> str:
    """Say that no servo node answers, and where there is one."""
    ending = '/servo/stop'
    known = [name for name, _ in node.get_service_names_and_types() if name.endswith(ending)]
    others = sorted({name.removesuffix(ending) or '/' for name in known} - {place[:-6] or '/'})
    hint = f'; one runs in {" and ".join(others)} (--namespace)' if others else ''
    return (
        f'no servo node answers as {place} within {FOUND_S:g} s{hint}: is kf_imitation mimic (or '
        'ros2 launch) running, with the same ROS_DOMAIN_ID?'
    )
