"""What the camera sees as small JPEG files, while somebody looks on and the machine has time."""

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from sensor_msgs.msg import CompressedImage

from kf_imitation.nodes.preview import MOST_HZ, Preview
from kf_imitation.pipeline.statistics import Ledger

WIDTH, HEIGHT, EDGE = 480, 320, 120


class Head:
    """A node whose publisher keeps what it is given, and a clock that goes on while it does."""

    def __init__(self):
        self.ledger = Ledger()
        self.messages, self.watchers = [], 1
        self.now_s = self.takes_s = 0.0

    def create_publisher(self, kind, topic, profile):
        assert (kind, topic) == (CompressedImage, 'image_preview')
        return self

    def get_subscription_count(self):
        return self.watchers

    def publish(self, message):
        self.messages.append(message)
        self.now_s += self.takes_s

    def setting(self, name, kind):
        return {'preview_px': EDGE}[name]

    def play(self, seconds, fps=30.0):
        """Show frames at their times; return how many became pictures."""
        preview, begin_s, count = Preview(self, lambda: self.now_s), self.now_s, len(self.messages)
        for index in range(round(seconds * fps)):
            self.now_s = max(self.now_s, begin_s + index / fps)
            preview.show(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), index, 'camera')
        return len(self.messages) - count


def test_a_picture_is_small_and_has_the_stamp_of_its_frame():
    head = Head()
    head.play(0.2)
    first, second = head.messages[:2]
    decoded = cv2.imdecode(np.frombuffer(first.data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (EDGE * HEIGHT // WIDTH, EDGE, 3)
    assert abs(int(decoded.mean()) - 90) <= 2
    assert (first.format, first.header.frame_id) == ('jpeg', 'camera')
    assert (first.header.stamp.nanosec, second.header.stamp.nanosec) == (0, 1)


@pytest.mark.parametrize(('fps', 'least', 'most'), [(15, 29, 30), (30, 59, 60), (60, 58, 62)])
def test_a_camera_is_shown_whole_up_to_thirty_a_second(fps, least, most):
    assert least <= Head().play(2.0, fps) <= most


def test_on_a_busy_machine_pictures_take_a_ninth_of_the_time_at_most():
    head = Head()
    head.takes_s = 0.02
    assert head.play(9.0) * head.takes_s <= 1.0 + head.takes_s
    assert MOST_HZ * head.takes_s > 0.5  # which would be much more


def test_nothing_is_made_for_nobody():
    head = Head()
    head.watchers = 0
    assert head.play(1.0) == 0
