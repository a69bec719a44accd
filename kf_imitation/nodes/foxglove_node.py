"""Foxglove node: the topics of the graph for Foxglove's app, without foxglove_bridge."""

import ipaddress
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from geometry_msgs.msg import PolygonStamped
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import String

from kf_imitation.cockpit.model import head_model
from kf_imitation.cockpit.pictures import jpeg
from kf_imitation.errors import ConfigError, SourceError
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import from_image, to_ns
from kf_imitation.nodes.node_base import OK, WARN, KfNode
from kf_imitation.nodes.node_main import run_node
from kf_imitation.nodes.topic_follower import message_class
from kf_imitation.parameters.definition import Value
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot
from kf_imitation.ros_graph.nodes import TOPICS
from kf_imitation.visualization.foxglove_server import (
    DESCRIPTION,
    IMAGE,
    POLYGON,
    FoxgloveServer,
)

LOOK_S = 0.1
LATCHED = ('landmarks/calibration', 'servo/authority')
# Meshes are asked for by this name and a number; no other file can be.
_MESHES = 'package://head/'


class FoxgloveNode(KfNode):
    """Hands topics on to Foxglove; it listens only to those that somebody subscribes there."""

    def __init__(self, overrides: Mapping[str, Value] | None = None, **options: Any) -> None:
        """Read the robot file and listen.

        Args:
            overrides: parameter values that override parameter files.
            options: for rclpy.node.Node.

        Raises:
            ConfigError: a parameter or the robot file is faulty, or no port is free.
        """
        super().__init__('foxglove', overrides, **options)
        robot = load_robot(self.setting('robot', str))
        model = head_model(robot)
        urdf = model.urdf
        for name in model.meshes:
            urdf = urdf.replace(f'filename="{name}"', f'filename="{_MESHES}{name}"')
        self._description = serialize_message(String(data=urdf))
        self._meshes = model.meshes
        self._names = {topic: self.resolve_topic_name(topic) for topic in (*TOPICS, DESCRIPTION)}
        kinds = {**TOPICS, DESCRIPTION: 'std_msgs/msg/String'}
        address = self.setting('address', str)
        try:
            self._is_open = not ipaddress.ip_address(address).is_loopback
        except ValueError as error:
            raise ConfigError('foxglove', [f'address = {address!r} is no IP address']) from error
        self._server = FoxgloveServer(
            address,
            self.setting('port', int),
            {name: kinds[topic] for topic, name in self._names.items()},
            self._asset,
        )
        self._heard: dict[str, Any] = {}
        self._due_s: dict[str, float] = {}
        layout = share_path('config/foxglove.json')
        self.get_logger().info(
            f'Foxglove: connect to {self._server.url}, import the layout {layout}. Any program or '
            'web page of this machine may look on, at the camera too'
        )
        if self._is_open:
            self.get_logger().warning(
                'Foxglove is open to the network (address): whoever reaches this machine can see '
                'the camera; there is no secret and no encryption'
            )
        self.steady_timer(LOOK_S, self._look)

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return how many topics are watched."""
        where = ', open to the network' if self._is_open else ''
        level = WARN if self._is_open else OK
        return level, f'{len(self._heard)} of {len(TOPICS)} topics watched{where}', {}

    def close(self) -> None:
        """Send everybody away."""
        self._server.close()

    def _look(self) -> None:
        """Listen to what is subscribed, and to nothing else; greet who has just come."""
        wanted = self._server.wanted()
        for topic, kind in TOPICS.items():
            name = self._names[topic]
            if name in wanted and topic not in self._heard:
                self._heard[topic] = self._listen(topic, name, kind)
            elif name not in wanted and topic in self._heard:
                self.destroy_subscription(self._heard.pop(topic))
        if self._server.somebody_joined():
            self._server.send(self._names[DESCRIPTION], self._description)
            self._server.send_place_of_camera(self.now_ns())

    def _listen(self, topic: str, name: str, kind: str) -> Any:
        def hand_over(data: bytes) -> None:
            with self.ledger.timed('hand over'):
                if kind == IMAGE:
                    self._send_picture(name, data)
                elif kind == POLYGON:
                    message = deserialize_message(data, PolygonStamped)
                    points = [(point.x, point.y) for point in message.polygon.points]
                    stamp_ns = to_ns(message.header.stamp)
                    self._server.send_points(name, points, stamp_ns, topic == 'face/region')
                else:
                    self._server.send(name, data)

        profile = qos.newest() if kind == IMAGE else qos.per_frame_subscription()
        profile = qos.latched() if topic in LATCHED else profile
        return self.create_subscription(message_class(kind), name, hand_over, profile, raw=True)

    def _send_picture(self, name: str, data: bytes) -> None:
        now_s = monotonic()
        if now_s < self._due_s.get(name, 0.0):
            return
        self._due_s[name] = now_s + 1 / self.setting('rate_hz', float)
        message = deserialize_message(data, Image)
        try:
            bgr = from_image(message)
        except SourceError as error:
            self.get_logger().warning(f'{name}: {error}', throttle_duration_sec=5.0)
            return
        # Whole: marks are in pixels of the picture.
        encoded = jpeg(bgr, max(message.width, message.height))
        stamp_ns, frame_id = to_ns(message.header.stamp), message.header.frame_id
        self._server.send_jpeg(name, encoded, stamp_ns, frame_id)

    def _asset(self, uri: str) -> bytes | None:
        path: Path | None = self._meshes.get(uri.removeprefix(_MESHES))
        return path.read_bytes() if path is not None else None


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own."""
    return run_node(FoxgloveNode, args)


if __name__ == '__main__':
    sys.exit(main())
