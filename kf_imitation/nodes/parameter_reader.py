"""The parameters of a running graph, read through the standard parameter services."""

from time import monotonic

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.signals import SignalHandlerOptions

from kf_imitation.errors import KfImitationError
from kf_imitation.params import SCHEMA, Value

# Discovery tells of one node after the other; when no new one came for this long, that is all.
_SETTLED_S = 1.0


class NoGraphError(KfImitationError):
    """No node of this package runs, or not the one graph that was meant."""


def read_parameters(namespace: str | None, timeout_s: float) -> dict[str, dict[str, Value]]:
    """Ask every running node of this package.

    Args:
        namespace: of the graph; None takes the only one.
        timeout_s: for discovery, and for each answer.

    Returns:
        Values by node and dotted parameter name.

    Raises:
        NoGraphError: none runs, several do and none is named, or a node does not answer.
    """
    context = rclpy.Context()
    rclpy.init(context=context, args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('kf_imitation_params', context=context, use_global_arguments=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        found = _discover(node, executor, timeout_s, namespace)
        return {
            name: _read(node, executor, f'{found[1].rstrip("/")}/{name}', name, timeout_s)
            for name in found[0]
        }
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def _discover(
    node: Node, executor: SingleThreadedExecutor, timeout_s: float, namespace: str | None
) -> tuple[list[str], str]:
    """Return the names of the nodes in the order of the schema, and their namespace."""
    wanted = None if namespace is None else f'/{namespace.strip("/")}'
    graphs: dict[str, set[str]] = {}
    end_s = monotonic() + timeout_s
    settled_s = end_s
    while monotonic() < min(end_s, settled_s):
        executor.spin_once(timeout_sec=0.05)
        seen: dict[str, set[str]] = {}
        for name, place in node.get_node_names_and_namespaces():
            if name in SCHEMA and wanted in (None, place):
                seen.setdefault(place, set()).add(name)
        if seen != graphs:
            graphs, settled_s = seen, monotonic() + _SETTLED_S
    # A namespace with a node of another package that has one of our names is no graph of ours.
    graphs = {place: names for place, names in graphs.items() if names & {'keyframe', 'servo'}}
    if not graphs:
        where = '' if namespace is None else f' in the namespace {wanted}'
        raise NoGraphError(
            f'no graph runs{where}: start one (kf_imitation mimic, or ros2 launch) with the same '
            'ROS_DOMAIN_ID, then save its parameters'
        )
    if len(graphs) > 1:
        places = ', '.join(sorted(graphs))
        raise NoGraphError(f'{len(graphs)} graphs run: name one with --namespace ({places})')
    place, names = graphs.popitem()
    return [name for name in SCHEMA if name in names], place


def _read(
    node: Node, executor: SingleThreadedExecutor, path: str, name: str, timeout_s: float
) -> dict[str, Value]:
    client = AsyncParameterClient(node, path)
    end_s = monotonic() + timeout_s
    while not client.services_are_ready() and monotonic() < end_s:
        executor.spin_once(timeout_sec=0.05)
    names = [parameter.name for parameter in SCHEMA[name]]
    future = client.get_parameters(names)
    executor.spin_until_future_complete(future, timeout_sec=max(0.1, end_s - monotonic()))
    if not future.done() or future.result() is None:
        raise NoGraphError(f'{path} does not answer within {timeout_s:g} s')
    answers = {
        key: parameter_value_to_python(value)
        for key, value in zip(names, future.result().values, strict=False)
    }
    return {key: v for key, v in answers.items() if isinstance(v, (bool, int, float, str))}
