"""Questions to services of other nodes, asked until they are answered."""

from time import monotonic
from typing import Any

from rclpy.executors import Executor
from rclpy.node import Node

ASK_AGAIN_S = 1.0


def ask(
    node: Node, executor: Executor, kind: Any, name: str, request: Any, timeout_s: float
) -> Any | None:
    """Ask a service once a second, as one answer may be lost; the executor is spun meanwhile.

    A client finds a service before the service has found where the client reads, and Fast DDS
    drops what is answered until then (ros2/rmw_fastrtps issue 842).

    Args:
        node: that asks; on the executor.
        executor: of the node, spun by nobody else.
        kind: type of the service.
        name: of the service.
        request: that changes nothing when it is repeated.
        timeout_s: for the service to be there and to answer.

    Returns:
        The first answer to any of the requests, None after the timeout.
    """
    client = node.create_client(kind, name)
    again_s = monotonic()
    end_s = again_s + timeout_s
    asked: list[Any] = []
    while not (answered := [future for future in asked if future.done()]) and monotonic() < end_s:
        if monotonic() >= again_s and client.service_is_ready():
            asked.append(client.call_async(request))
            again_s = monotonic() + ASK_AGAIN_S
        executor.spin_once(timeout_sec=0.05)
    node.destroy_client(client)
    return answered[0].result() if answered else None
