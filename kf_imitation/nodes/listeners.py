"""Who listens to a topic: what our own pages show takes less than what anybody may want."""

from collections.abc import Collection

from rclpy.node import Node
from rclpy.publisher import Publisher


def has_listeners_but(node: Node, publisher: 'Publisher', names: Collection[str]) -> bool:
    """Whether anybody listens besides nodes of these names in the publisher's namespace.

    Args:
        node: of the publisher.
        publisher: of the topic.
        names: without a namespace.
    """
    if not publisher.get_subscription_count():
        return False
    space = node.get_namespace()
    return any(
        one.node_name not in names or one.node_namespace != space
        for one in node.get_subscriptions_info_by_topic(publisher.topic_name)
    )
