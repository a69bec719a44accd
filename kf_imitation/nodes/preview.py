"""`image_preview`: what the camera sees as small JPEG files, for people who look on.

A whole image costs more to copy into a message than to pack, and packing leaves Python's lock to
others.
"""

from array import array
from collections.abc import Callable
from time import monotonic

from sensor_msgs.msg import CompressedImage

from kf_imitation.cockpit.pictures import jpeg
from kf_imitation.data_types import Image
from kf_imitation.nodes.conversions import header
from kf_imitation.nodes.node_base import KfNode

MOST_HZ = 30.0
# Who looks on never costs frames: after a picture there is none for so many times as long as it
# took, which on a busy machine is longer.
_REST = 8.0


class Preview:
    """Packs and publishes frames while somebody subscribes, at MOST_HZ or as the machine can."""

    def __init__(self, node: KfNode, clock: Callable[[], float] = monotonic) -> None:
        """Make the publisher.

        Args:
            node: with the parameter preview_px.
            clock: measures what a picture takes [s].
        """
        self._node, self._clock = node, clock
        self._due_s = 0.0
        self._publisher = node.create_publisher(CompressedImage, 'image_preview', 2)

    def show(self, bgr: Image, stamp_ns: int, frame_id: str) -> None:
        """Publish a frame, (H, W, 3) uint8, if it is wanted and due."""
        began_s = self._clock()
        if began_s < self._due_s or not self._publisher.get_subscription_count():
            return
        data = array('B', jpeg(bgr, self._node.setting('preview_px', int)))
        message = CompressedImage(header=header(stamp_ns, frame_id), format='jpeg', data=data)
        self._publisher.publish(message)
        ended_s = self._clock()
        self._node.ledger.observe('preview', ended_s - began_s)
        rested_s = ended_s + _REST * (ended_s - began_s)
        # A picture may come half a period early: a camera of the same rate is shown whole.
        self._due_s = max(self._due_s + 1.0 / MOST_HZ, began_s + 0.5 / MOST_HZ, rested_s)
