"""Raw subscriptions to topics as they appear, in the quality that their publishers offer."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any

from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.validate_topic_name import validate_topic_name

from kf_imitation.bags.message_definitions import is_defined
from kf_imitation.bags.writer import Offered
from kf_imitation.nodes import qos

IMAGE_TYPES = frozenset({'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'})


@dataclass(slots=True)
class _Followed:
    kind: str
    profile: QoSProfile
    subscription: Any


class TopicFollower:
    """Hands over serialized messages of every topic that is followed."""

    def __init__(self, node: Node, take: Callable[[str, str, bytes], None]) -> None:
        """Follow nothing yet.

        Args:
            node: subscribes.
            take: given the resolved name, the type and the serialized message.
        """
        self._node = node
        self._take = take
        self._followed: dict[str, _Followed] = {}
        self._not_installed: set[str] = set()

    @property
    def names(self) -> Collection[str]:
        """Resolved names of the topics that are subscribed to."""
        return self._followed.keys()

    def offered(self, name: str) -> Offered:
        """Return what the publishers of a resolved name offer.

        Only sure of a topic that has sent a message: before, it is what was asked for.
        """
        held = self._followed[name].profile
        return Offered(
            held.reliability != ReliabilityPolicy.BEST_EFFORT,
            held.durability == DurabilityPolicy.TRANSIENT_LOCAL,
        )

    def follow(self, topic: str, kind: str, profile: QoSProfile) -> None:
        """Subscribe now, whether the topic exists or not."""
        name = self._node.resolve_topic_name(topic)
        if name in self._followed or name in self._not_installed:
            return
        made = message_class(kind)
        if made is None or not is_defined(kind):
            self._not_installed.add(name)
            self._node.get_logger().warning(f'{name} is left out: {kind} is not installed')
            return

        def hand_over(data: bytes) -> None:
            self._take(name, kind, data)

        subscription = self._node.create_subscription(made, name, hand_over, profile, raw=True)
        self._followed[name] = _Followed(kind, profile, subscription)

    def look(self, patterns: Collection[str], images: bool) -> None:
        """Follow topics that have appeared, and meet publishers that offer less than was asked.

        Args:
            patterns: names, or patterns with * and ?; an image topic matches by its full name.
            images: whether patterns match image topics too.
        """
        for name, held in list(self._followed.items()):
            self._meet(name, held)
        wanted = [self._node.resolve_topic_name(p) if is_name(p) else p for p in patterns]
        for name, kinds in self._node.get_topic_names_and_types():
            if name in self._followed or name in self._not_installed:
                continue
            is_image = kinds[0] in IMAGE_TYPES
            matches = name in wanted or (
                (images or not is_image) and any(fnmatchcase(name, p) for p in wanted)
            )
            offered = self._offered(name)
            if matches and offered is not None:
                self.follow(name, kinds[0], qos.record_as(*offered, is_image))

    def _meet(self, name: str, held: _Followed) -> None:
        """Subscribe again where a publisher would not match: best effort, or nothing kept."""
        offered = self._offered(name)
        if offered is None:
            return
        reliable, kept = offered
        asks_reliable = held.profile.reliability == ReliabilityPolicy.RELIABLE
        asks_kept = held.profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        if (asks_reliable and not reliable) or (asks_kept and not kept):
            self._node.destroy_subscription(held.subscription)
            del self._followed[name]
            profile = qos.record_as(
                reliable and asks_reliable, kept and asks_kept, held.kind in IMAGE_TYPES
            )
            self.follow(name, held.kind, profile)

    def _offered(self, name: str) -> tuple[bool, bool] | None:
        """What all publishers offer (reliable, transient local); None without a publisher."""
        profiles = [p.qos_profile for p in self._node.get_publishers_info_by_topic(name)]
        if not profiles:
            return None
        reliable = all(p.reliability != ReliabilityPolicy.BEST_EFFORT for p in profiles)
        kept = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
        return reliable, kept


def message_class(kind: str) -> Any:
    """Return the Python class of a message type; None where its package is not installed."""
    package, _, name = kind.split('/')
    try:
        return getattr(import_module(f'{package}.msg'), name)
    except (ModuleNotFoundError, AttributeError):
        return None


def is_name(pattern: str) -> bool:
    """Whether a text names one topic."""
    return not set('*?[') & set(pattern)


def topic_fault(name: str) -> str:
    """Return what is wrong with the name of a topic, or ''."""
    try:
        validate_topic_name(name)
    except InvalidTopicNameException as error:
        return str(error).splitlines()[0].rstrip(':')
    return ''
