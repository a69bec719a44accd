"""The parameters of a running graph, read through the standard parameter services."""

from dataclasses import dataclass
from time import monotonic

import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node, NodeNameNonExistentError
from rclpy.parameter import parameter_value_to_python

from kf_imitation.errors import KfImitationError
from kf_imitation.nodes.node_main import start_ros
from kf_imitation.nodes.service_question import ask
from kf_imitation.parameters.definition import Value
from kf_imitation.parameters.schema import SCHEMA
from kf_imitation.ros_graph.discovery import DiscoverySnapshot, GraphSearch, in_order, missing

# Every node of the package publishes here, so an endpoint of an unknown node is one to wait for.
_COMMON_TOPIC = '/diagnostics'
_UNKNOWN_NODE = '_NODE_NAME_UNKNOWN_'  # what rmw calls it


class NoGraphError(KfImitationError):
    """No node of this package runs, or not the one graph that was meant."""


@dataclass(frozen=True, slots=True)
class RunningGraph:
    """What a running graph answered.

    Attributes:
        values: by node and dotted parameter name.
        missing: nodes that every graph has and that were not found.
    """

    values: dict[str, dict[str, Value]]
    missing: list[str]


def read_parameters(namespace: str | None, timeout_s: float) -> RunningGraph:
    """Ask every running node of this package.

    Args:
        namespace: of the graph; None takes the only one.
        timeout_s: for all nodes to be found (one that is complete is taken at once), and for
            each answer.

    Raises:
        NoGraphError: none runs, several do and none is named, or a node does not answer.
    """
    context = rclpy.Context()
    start_ros([], context)
    node = rclpy.create_node('kf_imitation_params', context=context, use_global_arguments=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        place, names = _discover(node, executor, timeout_s, namespace)
        values = {
            name: _read(node, executor, f'{place.rstrip("/")}/{name}', name, timeout_s)
            for name in in_order(names)
        }
        return RunningGraph(values, missing(names))
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def _discover(
    node: Node, executor: SingleThreadedExecutor, timeout_s: float, namespace: str | None
) -> tuple[str, frozenset[str]]:
    """Return the namespace and the nodes of the one graph that is meant."""
    wanted = None if namespace is None else f'/{namespace.strip("/")}'
    search = GraphSearch(timeout_s, monotonic())
    while not search.update(_snapshot(node, wanted), monotonic()):
        executor.spin_once(timeout_sec=0.05)
    graphs = search.snapshot.of_this_package()
    if not graphs:
        where = '' if namespace is None else f' in the namespace {wanted}'
        raise NoGraphError(
            f'no nodes are running{where}: start them (kf_imitation mimic, or ros2 launch) with '
            'the same ROS_DOMAIN_ID, then save their parameters'
        )
    if len(graphs) > 1:
        places = ', '.join(sorted(graphs))
        raise NoGraphError(
            f'{len(graphs)} node graphs are running: choose one with --namespace ({places})'
        )
    return graphs.popitem()


def _snapshot(node: Node, wanted: str | None) -> DiscoverySnapshot:
    graphs: dict[str, set[str]] = {}
    unready = set()
    for name, place in node.get_node_names_and_namespaces():
        if name in SCHEMA and wanted in (None, place):
            graphs.setdefault(place, set()).add(name)
            path = f'{place.rstrip("/")}/{name}'
            if not _announced(node, name, place, f'{path}/get_parameters'):
                unready.add(path)
    ends = node.get_publishers_info_by_topic(_COMMON_TOPIC)
    unknown = sum(end.node_name == _UNKNOWN_NODE for end in ends)
    seen = {place: frozenset(names) for place, names in graphs.items()}
    return DiscoverySnapshot(seen, frozenset(unready), unknown)


def _announced(node: Node, name: str, place: str, service: str) -> bool:
    try:
        services = node.get_service_names_and_types_by_node(name, place)
    except NodeNameNonExistentError:  # it has just ended
        return False
    return any(known == service for known, _ in services)


def _read(
    node: Node, executor: SingleThreadedExecutor, path: str, name: str, timeout_s: float
) -> dict[str, Value]:
    names = [parameter.name for parameter in SCHEMA[name]]
    request = GetParameters.Request(names=names)
    answer = ask(node, executor, GetParameters, f'{path}/get_parameters', request, timeout_s)
    if answer is None:
        raise NoGraphError(f'{path} does not answer within {timeout_s:g} s')
    answers = {
        key: parameter_value_to_python(value)
        for key, value in zip(names, answer.values, strict=False)
    }
    return {key: v for key, v in answers.items() if isinstance(v, (bool, int, float, str))}
