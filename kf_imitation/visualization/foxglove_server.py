"""Topics for Foxglove's app: a WebSocket server of its SDK.

ROS messages go as they are (CDR); pictures and what is marked in them as Foxglove's own types. The
server only sends: it offers no service, no parameter and no topic to write to.
"""

from collections.abc import Callable, Collection, Mapping
from threading import Event
from typing import Any

import foxglove
from foxglove.channels import (
    CompressedImageChannel,
    FrameTransformsChannel,
    ImageAnnotationsChannel,
)
from foxglove.messages import (
    Color,
    CompressedImage,
    FrameTransform,
    FrameTransforms,
    ImageAnnotations,
    Point2,
    PointsAnnotation,
    PointsAnnotationType,
    Quaternion,
    Timestamp,
    Vector3,
)

from kf_imitation.bags.message_definitions import definition
from kf_imitation.errors import ConfigError

IMAGE = 'sensor_msgs/msg/Image'
POLYGON = 'geometry_msgs/msg/PolygonStamped'
DESCRIPTION = 'robot_description'
PORTS_TRIED = 10
# Messages kept for a slow reader; the oldest is dropped then.
_BACKLOG = 256
_GREEN = Color(r=0.2, g=0.9, b=0.3, a=1.0)


class _Arrivals:
    def __init__(self) -> None:
        self.seen = Event()

    def on_subscribe(self, client: object, channel: object) -> None:
        """Note it; a thread of the SDK calls this."""
        self.seen.set()

    def on_unsubscribe(self, client: object, channel: object) -> None:
        """Need nothing: what is subscribed is asked for."""


class FoxgloveServer:
    """Serves topics; whoever can connect may watch.

    Attributes:
        url: to connect to.
    """

    def __init__(
        self,
        address: str,
        port: int,
        topics: Mapping[str, str],
        asset: Callable[[str], bytes | None] | None = None,
    ) -> None:
        """Listen.

        Args:
            address: IP address.
            port: the first free one from here on; 0 takes any.
            topics: message types by topic.
            asset: returns a file that the robot's description names; None: there is none.

        Raises:
            ConfigError: the address is none of this machine, or no port is free.
        """
        self._context = foxglove.Context()
        self._channels: dict[str, Any] = {
            topic: self._channel(topic, kind) for topic, kind in topics.items()
        }
        self._places = FrameTransformsChannel('/tf_static', context=self._context)
        self._arrivals = _Arrivals()
        ports = range(port, min(port + PORTS_TRIED, 65536)) if port else (0,)
        self._server = self._listen(address, ports, asset)
        self.url = f'ws://{address}:{self._server.port}'

    def wanted(self) -> Collection[str]:
        """Return the topics that somebody subscribes."""
        return {topic for topic, channel in self._channels.items() if channel.has_sinks()}

    def somebody_joined(self) -> bool:
        """Whether somebody has subscribed to something since the last call."""
        seen = self._arrivals.seen.is_set()
        self._arrivals.seen.clear()
        return seen

    def send(self, topic: str, message: bytes) -> None:
        """Send a ROS message in CDR."""
        self._channels[topic].log(message)

    def send_jpeg(self, topic: str, data: bytes, stamp_ns: int, frame_id: str) -> None:
        """Send a picture."""
        picture = CompressedImage(
            timestamp=_time(stamp_ns), frame_id=frame_id, data=data, format='jpeg'
        )
        self._channels[topic].log(picture)

    def send_points(
        self, topic: str, points_px: Collection[tuple[float, float]], stamp_ns: int, closed: bool
    ) -> None:
        """Mark points in a picture, or draw the closed line through them; none clears it."""
        kind = PointsAnnotationType.LineLoop if closed else PointsAnnotationType.Points
        marks = PointsAnnotation(
            timestamp=_time(stamp_ns),
            type=kind,
            points=[Point2(x=x, y=y) for x, y in points_px],
            outline_color=_GREEN,
            thickness=2.0,
        )
        annotations = ImageAnnotations(timestamp=_time(stamp_ns), points=[marks])
        self._channels[topic].log(annotations)

    def send_place_of_camera(self, stamp_ns: int) -> None:
        """Say where the camera is: where the robot's eyes are, as in inspect.launch.py."""
        place = FrameTransform(
            timestamp=_time(stamp_ns),
            parent_frame_id='base_link',
            child_frame_id='camera_optical_frame',
            translation=Vector3(x=0.1, y=0.0, z=0.1),
            rotation=Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5),
        )
        self._places.log(FrameTransforms(transforms=[place]))

    def close(self) -> None:
        """Send everybody away."""
        self._server.stop()
        for channel in (*self._channels.values(), self._places):
            channel.close()

    def _channel(self, topic: str, kind: str) -> Any:
        if kind == IMAGE:
            return CompressedImageChannel(topic, context=self._context)
        if kind == POLYGON:
            return ImageAnnotationsChannel(topic, context=self._context)
        schema = foxglove.Schema(name=kind, encoding='ros2msg', data=definition(kind).encode())
        return foxglove.Channel(
            topic, schema=schema, message_encoding='cdr', context=self._context
        )

    def _listen(self, address: str, ports: Collection[int], asset: Any) -> Any:
        fault = ''
        for port in ports:
            try:
                return foxglove.start_server(
                    name='kf_imitation',
                    host=address,
                    port=port,
                    context=self._context,
                    server_listener=self._arrivals,
                    asset_handler=asset,
                    message_backlog_size=_BACKLOG,
                )
            except RuntimeError as error:
                fault = str(error)
        where = f'address = {address!r}, port = {min(ports)} to {max(ports)}'
        raise ConfigError('foxglove', [f'{where}: {fault}'])


def _time(stamp_ns: int) -> Timestamp:
    return Timestamp(stamp_ns // 1_000_000_000, stamp_ns % 1_000_000_000)
