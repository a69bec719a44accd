"""The images of a bag as image_raw and camera_info, whatever they are called and packed in."""

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from kf_imitation.bags.opening import RAW_IMAGE, BagMessage, OpenBag, focal_px
from kf_imitation.bags.reader import header_stamp_ns
from kf_imitation.camera.bag_source import content_to_bgr
from kf_imitation.camera.encodings import GreySamples
from kf_imitation.camera.frame_source import camera_model
from kf_imitation.camera.left_out import LeftOut
from kf_imitation.errors import BagError, SourceError
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import to_camera_info, to_image


class ImagePublisher:
    """Publishes the image topic of a bag, and a camera_info before every image."""

    def __init__(self, node: Node, bag: OpenBag, topic: str) -> None:
        """Make the publishers.

        Args:
            node: publishes; its parameter focal_px is that of an uncalibrated camera.
            bag: open.
            topic: of the images in the bag.
        """
        self._bag = bag
        self._left_out = LeftOut(topic, node.get_logger().warning)
        self._images = node.create_publisher(Image, 'image_raw', qos.frame_publisher(True))
        self._infos = node.create_publisher(CameraInfo, 'camera_info', qos.frame_publisher(True))
        self._focal_px = focal_px(bag, topic)
        self._grey = GreySamples(topic)

    def publish(self, message: BagMessage) -> bool:
        """Publish one image of the bag; one that cannot be decoded is left out.

        Returns:
            Whether it was published.
        """
        try:
            self._publish(message)
        except (BagError, SourceError) as error:
            self._left_out.add('an image', str(error))
            return False
        self._left_out.good()
        return True

    def _publish(self, message: BagMessage) -> None:
        image = self._bag.decode(message)
        stamp_ns = header_stamp_ns(image)
        frame_id = str(getattr(image, 'header', image).frame_id)
        if message.kind == RAW_IMAGE:
            width, height = int(image.width), int(image.height)
            out: Image | bytes = message.data
        else:
            bgr = content_to_bgr(image, message.kind, self._grey)
            height, width = bgr.shape[:2]
            out = to_image(bgr, stamp_ns, frame_id)
        camera = camera_model(width, height, self._focal_px)
        self._infos.publish(to_camera_info(camera, stamp_ns, frame_id))
        self._images.publish(out)
