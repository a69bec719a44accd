"""`--source topic:NAME`: the images of another package's camera, as it offers them."""

import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kf_imitation.camera.sources import make_source
from kf_imitation.errors import SourceError
from kf_imitation.parameters.settings import SourceSettings
from kf_imitation.paths import share_path
from kf_imitation.ros_graph import environment
from kf_imitation.ros_graph.nodes import RunOptions, build_graph

rclpy = pytest.importorskip('rclpy', reason='needs ROS')

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image  # noqa: E402

from kf_imitation.data_types import CameraModel, FrameScore  # noqa: E402
from kf_imitation.nodes.conversions import to_camera_info, to_image, to_time  # noqa: E402
from kf_imitation.nodes.keyframe_node import KeyframeNode  # noqa: E402
from kf_imitation.nodes.node_base import WARN  # noqa: E402
from kf_imitation.pipeline.face_pipeline import FaceStep  # noqa: E402

DOMAIN = 10 + os.getpid() % 90
NOTHING = FaceStep(None, 'no face', (), ())


class Pipeline:
    def __init__(self):
        self.frames = []

    def push(self, frame):
        self.frames.append(frame)
        return replace(NOTHING, raw=FrameScore(frame.index, frame.stamp_ns, None))

    def flush(self):
        return NOTHING


def test_our_camera_node_is_not_started_and_the_keyframe_node_takes_the_topic():
    graph = build_graph(RunOptions(source='topic:/camera/image_raw'))
    assert [node.name for node in graph.nodes] == ['keyframe', 'landmarks', 'servo']
    assert graph.node('keyframe').parameters['topic'] == '/camera/image_raw'
    assert not graph.lossless
    assert (
        build_graph(RunOptions(source='test-pattern')).node('keyframe').parameters['topic'] == ''
    )


@pytest.mark.parametrize('source', ['topic:', 'topic:/a b', 'topic:/camera/', 'topic:1'])
def test_a_topic_must_have_a_name(source):
    with pytest.raises(SourceError, match='must name a topic, for example topic:/camera'):
        build_graph(RunOptions(source=source))


def test_a_replay_has_no_topics():
    with pytest.raises(SourceError, match='only mimic and its launch file take a topic'):
        make_source('topic:/camera/image_raw', SourceSettings())


@pytest.fixture
def graph():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    executor = SingleThreadedExecutor(context=context)
    camera = rclpy.create_node('usb_cam', context=context)
    executor.add_node(camera)
    made = []

    def start(topic):
        node = KeyframeNode({'topic': topic}, Pipeline(), context=context)
        made.append(node)
        executor.add_node(node)
        return node, node._pipeline

    def spin_until(condition, meanwhile=lambda: None):
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, 'it never came'
            meanwhile()
            executor.spin_once(timeout_sec=0.02)

    yield camera, start, spin_until
    executor.shutdown()
    for node in made:
        node.close()
        node.destroy_node()
    camera.destroy_node()
    rclpy.shutdown(context=context)


def image(stamp_ns):
    return to_image(np.full((48, 64, 3), 100, np.uint8), stamp_ns, 'cam')


def packed(stamp_ns):
    import cv2

    data = cv2.imencode('.jpg', np.full((48, 64, 3), 100, np.uint8))[1].tobytes()
    message = CompressedImage(format='bgr8; jpeg compressed bgr8', data=data)
    message.header.stamp = to_time(stamp_ns)
    return message


def test_without_frames_nobody_is_said_to_be_followed(graph):
    """It said `no frames arrive; following a face`."""
    node, _ = graph[1]('')
    node._state, node._last_done_s = 'following a face', -math.inf
    assert node.status()[1] == 'no frames arrive'


@pytest.mark.parametrize('reliability', ['RELIABLE', 'BEST_EFFORT'])
@pytest.mark.parametrize(
    ('topic', 'kind', 'message'),
    [
        ('/camera/image_raw', Image, image),
        ('/camera/image_raw/compressed', CompressedImage, packed),
    ],
)
def test_images_arrive_raw_and_packed_in_any_quality(graph, reliability, topic, kind, message):
    camera, start, spin_until = graph
    node, pipeline = start(topic)
    profile = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability])
    images = camera.create_publisher(kind, topic, profile)
    infos = camera.create_publisher(CameraInfo, '/camera/camera_info', profile)

    def send():
        now_ns = camera.get_clock().now().nanoseconds
        infos.publish(to_camera_info(CameraModel(64, 48, 77.0), now_ns, 'cam'))
        images.publish(message(now_ns))

    spin_until(lambda: len(pipeline.frames) >= 5 and node._info.k[0] == 77.0, send)
    assert abs(int(pipeline.frames[-1].bgr[0, 0, 0]) - 100) < 4
    assert node._foreign._reliable == (reliability == 'RELIABLE')


def test_a_camera_info_of_zeros_or_of_another_size_is_not_used(graph):
    camera, start, spin_until = graph
    node, pipeline = start('/camera/image_raw')
    images = camera.create_publisher(Image, '/camera/image_raw', 5)
    for info in (
        CameraInfo(width=64, height=48),
        to_camera_info(CameraModel(640, 480, 500.0), 0, ''),
    ):
        node._on_info(info)
        before = len(pipeline.frames)
        spin_until(
            lambda before=before: len(pipeline.frames) > before,
            lambda: images.publish(image(camera.get_clock().now().nanoseconds)),
        )
        assert (node._info.width, node._info.height) == (64, 48)
        assert node._info.k[0] == pytest.approx(55.4, abs=0.1)  # 60 degrees


def test_a_topic_that_nobody_sends_is_named_with_those_that_are_there(graph):
    camera, start, spin_until = graph
    other = camera.create_publisher(Image, '/other/image', 5)
    node, _ = start('/camera/image_raw')
    spin_until(lambda: '/other/image' in node.status()[1])
    level, words, _ = node.status()
    assert level == WARN and words.startswith('waiting for /camera/image_raw')
    camera.destroy_publisher(other)


def test_two_publishers_on_one_topic_are_said(graph):
    camera, start, spin_until = graph
    node, _ = start('/camera/image_raw')
    for _ in range(2):
        camera.create_publisher(Image, '/camera/image_raw', 5)
    spin_until(lambda: node.status()[1] == '2 publishers send /camera/image_raw')


@pytest.mark.parametrize(
    ('limit', 'profile'), [('4194304\n', 'fastdds_udp'), ('212992\n', 'fastdds')]
)
def test_foreign_images_come_in_by_udp_where_a_socket_holds_them(
    monkeypatch, tmp_path, limit, profile
):
    file = tmp_path / 'rmem_max'
    file.write_text(limit)
    monkeypatch.setattr(environment, '_SOCKET_LIMIT', file)
    name = 'FASTDDS_DEFAULT_PROFILES_FILE'
    assert environment.defaults({}, foreign_images=True)[name].endswith(f'/{profile}.xml')
    assert environment.defaults({})[name].endswith('/fastdds.xml')
    assert name not in environment.defaults({name: 'mine.xml'}, foreign_images=True)
    assert ('sysctl' in environment.remedy_of_lost_images()) == (profile == 'fastdds')


LISTENER = """
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node('listener')
got = []
profile = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
node.create_subscription(Image, '/camera/image_raw', got.append, profile)
while len(got) < 3:
    rclpy.spin_once(node, timeout_sec=1.0)
print(len(got[0].data))
"""


def test_full_size_images_reach_a_process_that_takes_them_by_udp(graph, start_process):
    camera, _, spin_until = graph
    added = {
        'ROS_DOMAIN_ID': str(DOMAIN),
        'FASTDDS_DEFAULT_PROFILES_FILE': str(share_path('config/fastdds_udp.xml')),
    }
    command = [sys.executable, '-c', LISTENER]
    listener = start_process(command, subprocess.PIPE, env={**os.environ, **added})
    images = camera.create_publisher(Image, '/camera/image_raw', 5)
    picture = to_image(np.zeros((480, 640, 3), np.uint8), 0, 'cam')
    spin_until(lambda: listener.poll() is not None, lambda: images.publish(picture))
    assert listener.stdout.read() == '921600\n'


def test_lost_images_are_counted_and_said_with_what_helps(graph):
    camera, start, spin_until = graph
    node, _ = start('/camera/image_raw')
    camera.create_publisher(Image, '/camera/image_raw', 5)
    spin_until(lambda: node._foreign.state == '')
    node._foreign._arrived = 140
    node._foreign._lose(SimpleNamespace(total_count_change=60))
    said = '60 of 200 images of /camera/image_raw were lost between the camera and here: '
    spin_until(lambda: node.status()[1].startswith(said))
    assert 'FASTDDS_DEFAULT_PROFILES_FILE=' in node.status()[1]
    node._foreign._arrived = 200
    spin_until(lambda: not node._foreign.state)
