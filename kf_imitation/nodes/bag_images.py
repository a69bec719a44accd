"""The images of a bag as image_raw and camera_info, whatever they are called and packed in."""

from pathlib import Path
from typing import Any

from rclpy.node import Node
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CameraInfo, Image

from kf_imitation.bags.opening import COMPRESSED_IMAGE, READ_ERRORS, reason
from kf_imitation.camera.encodings import compressed_to_bgr
from kf_imitation.camera.frame_source import camera_model
from kf_imitation.errors import BagError, SourceError
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import to_camera_info, to_image


class ImagePublisher:
    """Publishes the image topic of a bag, and a camera_info before every image."""

    def __init__(self, node: Node, reader: AnyReader, topic: str, kind: str) -> None:
        """Make the publishers.

        Args:
            node: publishes; its parameter focal_px is that of an uncalibrated camera.
            reader: of the bag, open.
            topic: of the images in the bag.
            kind: sensor_msgs/msg/Image or CompressedImage.
        """
        self._reader = reader
        self._topic, self._kind = topic, kind
        self._images = node.create_publisher(Image, 'image_raw', qos.frame_publisher(True))
        self._infos = node.create_publisher(CameraInfo, 'camera_info', qos.frame_publisher(True))
        self._focal_px = self._calibration()

    def publish(self, data: bytes) -> None:
        """Publish one serialized image.

        Raises:
            BagError: it cannot be decoded.
        """
        try:
            message: Any = self._reader.deserialize(data, self._kind)
            stamp, frame_id = message.header.stamp, str(message.header.frame_id)
            stamp_ns = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
            if self._kind == COMPRESSED_IMAGE:
                bgr = compressed_to_bgr(message.data, message.format)
                height, width = bgr.shape[:2]
                out: Image | bytes = to_image(bgr, stamp_ns, frame_id)
            else:
                width, height, out = int(message.width), int(message.height), data
        except SourceError as error:
            raise BagError(f'{self._topic}: {error}') from error
        except READ_ERRORS as error:
            raise BagError(f'{self._topic}: is damaged: {reason(error)}') from error
        camera = camera_model(width, height, self._focal_px)
        self._infos.publish(to_camera_info(camera, stamp_ns, frame_id))
        self._images.publish(out)

    def _calibration(self) -> float:
        """Focal length in the camera_info beside the images [px]; 0 without one."""
        beside = str(Path(self._topic).parent / 'camera_info')
        infos = [c for c in self._reader.connections if c.topic == beside and c.msgcount]
        for connection, _, data in self._reader.messages(connections=infos) if infos else ():
            info: Any = self._reader.deserialize(data, connection.msgtype)
            return float(info.k[0])
        return 0.0
