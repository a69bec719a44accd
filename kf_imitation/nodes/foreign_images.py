"""The images of another package's camera: raw or compressed, in whatever quality it offers."""

from collections.abc import Callable
from typing import Any

from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from kf_imitation.errors import nearest
from kf_imitation.nodes import qos
from kf_imitation.ros_graph.environment import remedy_of_lost_images

LOOK_INTERVAL_S = 0.5
# Losses are judged over so many images, and said where more than this share is lost.
LOSS_WINDOW = 150
LOSS_SHARE = 0.05
# What our own nodes make of images.
_OURS = ('/keyframe/image', '/keyframe/annotated', '/avatar/image')
_TYPES = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CompressedImage': CompressedImage}


class ForeignImages:
    """Subscribes to an image topic once somebody publishes it, and to its camera_info.

    Reliable where every publisher is, since a fragment of a large image is lost easily; else best
    effort, which meets all.

    Attributes:
        name: of the topic, resolved.
        state: what keeps the images away, as a sentence; '' when nothing does.
    """

    def __init__(
        self,
        node: Any,
        topic: str,
        on_image: Callable[[Image | CompressedImage], None],
        on_info: Callable[[CameraInfo], None],
    ) -> None:
        """Begin to look for the topic.

        Args:
            node: a KfNode.
            topic: as the user named it.
            on_image: takes every image.
            on_info: takes every camera_info beside it.
        """
        self._node: Node = node
        self._on_image, self._on_info = on_image, on_info
        self.name = str(node.resolve_topic_name(topic))
        self.state = f'waiting for {self.name}'
        self._subscription: Any = None
        self._info: Any = None
        self._reliable = False
        self._publishers = 0
        self._arrived = self._lost = 0  # of the images that losses are judged by
        self._losses = ''
        node.steady_timer(LOOK_INTERVAL_S, self._look)

    def _look(self) -> None:
        offered = self._node.get_publishers_info_by_topic(self.name)
        kinds = {publisher.topic_type for publisher in offered}
        known = [kind for kind in _TYPES if kind in kinds]
        if not known:
            self.state = self._missing(kinds)
            return
        reliable = all(
            publisher.qos_profile.reliability != ReliabilityPolicy.BEST_EFFORT
            for publisher in offered
        )
        if self._subscription is None or (self._reliable and not reliable):
            self._subscribe(known[0], reliable)
        self._judge_losses()
        mixed = f'{len(offered)} publishers send {self.name}'
        self.state = self._losses if len(offered) == 1 else mixed
        if len(offered) > 1 and len(offered) != self._publishers:
            self._node.get_logger().warning(
                f'{self.state}: their images are mixed; stop all but one'
            )
        self._publishers = len(offered)

    def _take(self, image: Image | CompressedImage) -> None:
        self._arrived += 1
        self._on_image(image)

    def _lose(self, event: QoSMessageLostInfo) -> None:
        self._lost += event.total_count_change

    def _judge_losses(self) -> None:
        sent = self._arrived + self._lost
        if sent < LOSS_WINDOW:
            return
        before, self._losses = self._losses, ''
        if self._lost > LOSS_SHARE * sent:
            self._losses = (
                f'{self._lost} of {sent} images of {self.name} were lost between the camera and '
                f'here: {remedy_of_lost_images()}'
            )
            if not before:
                self._node.get_logger().warning(self._losses)
        self._arrived = self._lost = 0

    def _subscribe(self, kind: str, reliable: bool) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._reliable = reliable
        self._subscription = self._node.create_subscription(
            _TYPES[kind],
            self.name,
            self._take,
            qos.foreign_frames(reliable),
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._lose),
        )
        if self._info is None:
            # image_transport: beside the image, and that of a packed image beside what it packs.
            base = self.name if _TYPES[kind] is Image else self.name.rpartition('/')[0]
            info = f'{base.rpartition("/")[0]}/camera_info'
            self._info = self._node.create_subscription(
                CameraInfo, info, self._on_info, qos.newest()
            )

    def _missing(self, kinds: set[str]) -> str:
        if kinds:
            return f'{self.name} is of type {", ".join(sorted(kinds))}: not an image'
        images = [
            name
            for name, types in self._node.get_topic_names_and_types()
            if _TYPES.keys() & set(types)
            and self._node.count_publishers(name)
            and not name.endswith(_OURS)
        ]
        there = f'there: {", ".join(images)}' if images else 'no image topic is there'
        return f'waiting for {self.name}{nearest(self.name, images)}; {there}'
