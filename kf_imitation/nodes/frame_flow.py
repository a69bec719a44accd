"""Flow control of a node that sends frames, by what the keyframe node answers."""

from geometry_msgs.msg import PolygonStamped
from sensor_msgs.msg import JointState

from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import to_ns
from kf_imitation.nodes.flow_control import FlowControl
from kf_imitation.nodes.node_base import KfNode


def frame_flow(node: KfNode) -> FlowControl:
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
