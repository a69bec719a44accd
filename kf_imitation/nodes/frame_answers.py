"""Lossless playing: what the nodes that send frames hear of those that take them."""

from collections.abc import Callable, Collection
from threading import Event

from geometry_msgs.msg import PolygonStamped
from sensor_msgs.msg import JointState

from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import to_ns
from kf_imitation.nodes.node_base import KfNode
from kf_imitation.pipeline.flow_control import FlowControl
from kf_imitation.ros_graph.nodes import INPUTS


def make_flow_control(node: KfNode) -> FlowControl:
    """Make the flow control of a node with the parameter max_in_flight; losses go to its log."""

    def lost(count: int) -> None:
        node.ledger.add('frames lost on the way', count)
        node.get_logger().warning(f'{count} frames are not answered; the keyframe node is gone')

    return FlowControl(node.setting('max_in_flight', int), lost)


def follow_frames(node: KfNode, flow: FlowControl) -> None:
    """Subscribe to what becomes of the frames that a node sends."""
    profile = qos.per_frame_subscription()
    node.create_subscription(
        PolygonStamped,
        'face/region',
        lambda message: flow.taken_in(to_ns(message.header.stamp)),
        profile,
    )
    node.create_subscription(
        JointState,
        'keyframe/explanation',
        lambda message: flow.explained(to_ns(message.header.stamp)),
        profile,
    )


def wait_for_listeners(
    node: KfNode, stop: Event, on_wait: Callable[[], None], but: Collection[str] = ()
) -> None:
    """Wait until the nodes of the parameter wait_for subscribe to their inputs, or stopped.

    Args:
        node: with the parameter wait_for.
        stop: ends the wait.
        on_wait: called meanwhile, every 50 ms.
        but: nodes that need no subscription.
    """
    names = set(node.setting('wait_for', str).split()).difference(but)
    wanted = {name: INPUTS[name] for name in names}
    while wanted and not stop.wait(0.05):
        on_wait()
        for name, topic in list(wanted.items()):
            listeners = node.get_subscriptions_info_by_topic(node.resolve_topic_name(topic))
            if any(listener.node_name == name for listener in listeners):
                del wanted[name]
