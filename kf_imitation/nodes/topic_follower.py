"""Raw subscriptions to topics as they appear, in the quality that their publishers offer."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any, NamedTuple

from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.validate_topic_name import validate_topic_name

from kf_imitation.bags.message_definitions import is_defined
from kf_imitation.bags.writer import Offered
from kf_imitation.nodes import qos
from kf_imitation.nodes.polled import Polled, waiting

IMAGE_TYPES = frozenset({'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'})


@dataclass(slots=True)
class _Followed:
    kind: str
    profile: QoSProfile
    subscription: Any


class Arrived(NamedTuple):
    """A message that has come.

    Attributes:
        received_ns: when it reached this process, by the system's clock; 0 where the middleware
            does not say.
        name: of the topic, resolved.
        kind: its type.
        data: serialized.
    """

    received_ns: int
    name: str
    kind: str
    data: bytes


class TopicFollower:
    """Collects serialized messages of every topic that is followed; wakes nobody for them."""

    def __init__(self, node: Node) -> None:
        """Follow nothing yet.

        Args:
            node: subscribes.
        """
        self._node = node
        self._polled = Polled()
        self._later: list[Arrived] = []
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
        subscription = self._node.create_subscription(
            made, name, _nobody, profile, raw=True, callback_group=self._polled
        )
        self._followed[name] = _Followed(kind, profile, subscription)

    def arrived(self) -> list[Arrived]:
        """Return what has come until now, in the order in which it came.

        What comes during the call is for the next one, since it may be taken before older things.
        """
        now_ns = time.time_ns()
        found, self._later = self._later, []
        for name, held in self._followed.items():
            for data, info in waiting(held.subscription):
                message = Arrived(int(info.get('received_timestamp', 0)), name, held.kind, data)
                (found if message.received_ns <= now_ns else self._later).append(message)
        return sorted(found, key=lambda message: message.received_ns)

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


def _nobody(_: bytes) -> None:
    """Stand for the callback of a subscription that is polled."""


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
