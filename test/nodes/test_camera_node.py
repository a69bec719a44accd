"""The camera node with sources made here: live cameras never wait, files never lose a frame."""

import threading

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from kf_imitation.camera.sources import open_source
from kf_imitation.data_types import CameraModel, Frame
from kf_imitation.errors import SourceError
from kf_imitation.nodes import qos
from kf_imitation.nodes.camera_node import CameraNode
from kf_imitation.nodes.conversions import to_ns


class Source:
    """Gives `count` frames at once; then a camera blocks, a file ends."""

    name = 'made here'
    fps = 30.0
    camera = CameraModel(64, 48, 60.0)
    frame_count = None
    state = 'open at 64x48'

    def __init__(self, count, is_live, fault=None):
        self.is_live = is_live
        self.count = count
        self.fault = fault
        self.index = 0
        self.given_all = threading.Event()
        self.closed = threading.Event()

    def open(self):
        self.index = 0

    def read(self):
        if self.index == self.count:
            self.given_all.set()
            if self.fault is not None:
                raise self.fault
            if self.is_live:
                self.closed.wait()
            return None
        stamp_ns = 10**9 + self.index * 33_333_333
        self.index += 1
        return Frame(self.index - 1, stamp_ns, np.full((48, 64, 3), self.index, np.uint8))

    def close(self):
        self.closed.set()


@pytest.fixture
def camera(listener):
    made = []

    def make(source, **parameters):
        node = CameraNode(parameters, source, context=listener.context)
        listener.executor.add_node(node)
        made.append(node)
        return node

    yield make
    for node in made:
        node.close()
        listener.executor.remove_node(node)
        node.destroy_node()


def test_a_live_camera_never_waits_and_late_subscribers_get_the_newest_frame(listener, camera):
    images = listener.listen(Image, 'image_raw', qos.frame_subscription(False))
    source = Source(50, is_live=True)
    node = camera(source)
    # Nobody spins: all frames go out all the same.
    assert source.given_all.wait(20)
    assert node.ledger.count('frames') == 50
    listener.wait_for(lambda: len(images) >= 1)
    assert to_ns(images[0].header.stamp) == 10**9 + 49 * 33_333_333
    assert not node.finished.is_set()


def test_a_file_waits_for_answers_and_says_when_it_is_through(listener, camera):
    from geometry_msgs.msg import PolygonStamped
    from sensor_msgs.msg import JointState

    images = listener.listen(Image, 'image_raw', qos.frame_subscription(True))
    infos = listener.listen(CameraInfo, 'camera_info', qos.frame_subscription(True))
    answers = listener.node.create_publisher(PolygonStamped, 'face/region', 10)
    final = listener.node.create_publisher(JointState, 'keyframe/explanation', 10)
    node = camera(Source(10, is_live=False), lossless=True, realtime=False, max_in_flight=3)
    listener.wait_for(lambda: answers.get_subscription_count() and len(images) == 3)
    assert node.ledger.count('frames') == 3
    for i in range(10):
        listener.wait_for(lambda i=i: len(images) > i)
        answers.publish(PolygonStamped(header=images[i].header))
    listener.wait_for(lambda: len(infos) == 10)
    assert not node.finished.is_set()
    final.publish(JointState(header=images[9].header))
    listener.wait_for(node.finished.is_set)
    assert node.fault is None
    stamps = [to_ns(image.header.stamp) for image in images]
    assert np.diff(stamps).tolist() == [33_333_333] * 9
    assert [image.data[0] for image in images] == list(range(1, 11))


def test_a_file_waits_for_the_nodes_it_was_told_to_wait_for(listener, camera):
    node = camera(Source(3, is_live=False), wait_for='keyframe', realtime=False)
    listener.wait_for(lambda: 'waiting' in node.status()[1])
    assert node.ledger.count('frames') == 0
    import rclpy

    keyframe = rclpy.create_node('keyframe', context=listener.context)
    keyframe.create_subscription(Image, 'image_raw', lambda _: None, 10)
    listener.wait_for(node.finished.is_set)
    assert node.ledger.count('frames') == 3
    keyframe.destroy_node()


def test_a_damaged_file_ends_the_node_with_its_reason(listener, camera):
    source = Source(2, is_live=False, fault=SourceError('clip.mp4: damaged after frame 2'))
    node = camera(source, realtime=False)
    listener.wait_for(node.finished.is_set)
    assert str(node.fault) == 'clip.mp4: damaged after frame 2'


def test_a_camera_that_is_away_is_reported_in_diagnostics(listener, camera):
    source = Source(1, is_live=True)
    node = camera(source)
    assert node.status()[1].endswith('made here, open at 64x48')
    source.state = 'waiting for made here (3 s, 2 attempts): unplugged'
    level, sentence, _ = node.status()
    assert sentence == source.state
    assert level != b'\x00'


def ask(node, name, value):
    """Set a parameter as `ros2 param set` does; return why not."""
    (result,) = node.set_parameters([Parameter(name, value=value)])
    return '' if result.successful else result.reason


def test_another_source_is_taken_while_the_camera_runs(listener, camera, tmp_path):
    cv2.imwrite(str(tmp_path / '0.png'), np.zeros((20, 30, 3), np.uint8))
    images = listener.listen(Image, 'image_raw', qos.frame_subscription(False))
    source = Source(1, is_live=True)
    node = camera(source, realtime=False)
    listener.wait_for(lambda: bool(images))
    assert 'does not exist' in ask(node, 'source', str(tmp_path / 'nothing.mp4'))
    assert not source.closed.is_set()  # what is refused changes nothing
    assert ask(node, 'source', str(tmp_path)) == ''
    listener.wait_for(lambda: images[-1].width == 30)
    listener.wait_for(node.finished.is_set)  # at the end of the folder
    assert node.fault is None


def test_the_former_source_goes_on_where_another_cannot_be_opened(
    listener, camera, tmp_path, monkeypatch
):
    (tmp_path / 'torn.mp4').write_bytes(b'no video')
    source = Source(1, is_live=True)
    monkeypatch.setattr(source, 'open', source.closed.clear)
    node = camera(source)
    assert source.given_all.wait(20)
    assert ask(node, 'source', str(tmp_path / 'torn.mp4')) == ''
    listener.wait_for(lambda: 'torn.mp4' in node.status()[1])
    assert node.status()[1].startswith('sending made here')
    assert not node.finished.is_set()


def test_images_are_mirrored_from_the_moment_it_is_asked(listener, camera, tmp_path):
    half = np.zeros((20, 30, 3), np.uint8)
    half[:, 15:] = 255
    cv2.imwrite(str(tmp_path / '0.png'), half)
    images = listener.listen(Image, 'image_raw', qos.frame_subscription(False))
    node = camera(open_source(str(tmp_path)), loop=True)
    listener.wait_for(lambda: images and images[-1].data[0] == 0)
    assert ask(node, 'mirror', True) == ''
    listener.wait_for(lambda: images[-1].data[0] == 255)
    assert ask(node, 'rotate', 90) == 'rotate is read at start only; stop, set it, start again'


class SetClock:
    """A clock that stands where it is put."""

    def __init__(self):
        self.nanoseconds = 10**15

    def now(self):
        return self


@pytest.mark.parametrize('lossless', [False, True])
def test_a_file_that_is_read_too_slowly_is_late_only_where_every_frame_is_wanted(
    camera, monkeypatch, lossless
):
    node = camera(Source(0, is_live=False), lossless=lossless)
    clock = SetClock()
    monkeypatch.setattr(node, 'get_clock', lambda: clock)
    start_ns, black = clock.nanoseconds, np.zeros((1, 1, 3), np.uint8)

    def stamp_ms(file_ms, read_ms):
        clock.nanoseconds = start_ns + read_ms * 1_000_000
        frame = node._restamp(Frame(0, file_ms * 1_000_000, black))
        return (frame.stamp_ns - start_ns) // 1_000_000

    assert stamp_ms(0, 0) == 0
    assert stamp_ms(33, 40) == 33  # a hiccup is caught up
    assert stamp_ms(67, 500) == (67 if lossless else 500)
    assert stamp_ms(100, 533) == (100 if lossless else 533)
