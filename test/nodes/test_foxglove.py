"""What Foxglove's app gets: a real client of its protocol, real topics."""

import asyncio
import base64
import json
from contextlib import suppress
from queue import Empty, Queue
from threading import Thread

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('foxglove', reason='foxglove-sdk is not installed: pip install .[foxglove]')

import aiohttp
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from kf_imitation.data_types import FaceRegion
from kf_imitation.errors import ConfigError
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import to_image, to_scalars
from kf_imitation.nodes.face_messages import to_region
from kf_imitation.nodes.foxglove_node import FoxgloveNode
from kf_imitation.nodes.node_base import OK, WARN
from kf_imitation.ros_graph.nodes import TOPICS

STAMP_NS = 5_000_000_000


class App:
    """Speaks foxglove.websocket.v1 in a thread of its own.

    Attributes:
        channels: what the server advertises, by topic.
        got: message data by topic.
    """

    def __init__(self, url):
        self.channels, self.got = {}, {}
        self._asked = Queue()
        self._thread = Thread(target=lambda: asyncio.run(self._talk(url)))
        self._thread.start()

    def subscribe(self, *topics):
        ids = [self.channels[topic]['id'] for topic in topics]
        wanted = [{'id': number, 'channelId': number} for number in ids]
        self._asked.put({'op': 'subscribe', 'subscriptions': wanted})

    def unsubscribe(self, *topics):
        ids = [self.channels[topic]['id'] for topic in topics]
        self._asked.put({'op': 'unsubscribe', 'subscriptionIds': ids})

    def close(self):
        self._asked.put(None)
        self._thread.join()

    async def _talk(self, url):
        protocols = ['foxglove.sdk.v1', 'foxglove.websocket.v1']
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, protocols=protocols) as socket,
        ):
            while True:
                try:
                    asked = self._asked.get_nowait()
                    if asked is None:
                        return
                    await socket.send_json(asked)
                except Empty:
                    pass
                with suppress(asyncio.TimeoutError):
                    self._take(await socket.receive(0.02))

    def _take(self, message):
        if message.type == aiohttp.WSMsgType.TEXT:
            said = json.loads(message.data)
            for channel in said.get('channels', ()):
                self.channels[channel['topic']] = channel
        elif message.type == aiohttp.WSMsgType.BINARY:
            number = int.from_bytes(message.data[1:5], 'little')
            topic = next(t for t, c in self.channels.items() if c['id'] == number)
            self.got.setdefault(topic, []).append(message.data[13:])


@pytest.fixture
def node(listener):
    node = FoxgloveNode({'port': 0, 'rate_hz': 60.0}, context=listener.context)
    listener.executor.add_node(node)
    yield node
    node.close()
    listener.executor.remove_node(node)
    node.destroy_node()


@pytest.fixture
def app(node, listener):
    app = App(node._server.url.replace('ws:', 'http:'))
    listener.wait_for(lambda: '/tf_static' in app.channels)
    yield app
    app.close()


def test_who_may_look_on_is_said_with_the_address(environment, start, interrupt, listener):
    process = start('foxglove_node', '--ros-args', '-p', 'port:=0')
    reports = listener.listen(DiagnosticArray, '/diagnostics')
    listener.wait_for(lambda: bool(reports))
    _, err = interrupt(process)
    line = next(line for line in err.splitlines() if 'connect to ws://' in line)
    assert 'Any program or web page of this machine may look on' in line


def test_every_topic_is_offered_with_its_schema_and_nothing_can_be_written(app):
    schemas = {topic: channel['schemaName'] for topic, channel in app.channels.items()}
    assert schemas['/image_raw'] == schemas['/keyframe/image'] == 'foxglove.CompressedImage'
    assert schemas['/face/landmarks'] == schemas['/face/region'] == 'foxglove.ImageAnnotations'
    assert schemas['/joint_states'] == 'sensor_msgs/msg/JointState'
    assert schemas['/rosout'] == 'rcl_interfaces/msg/Log'
    assert schemas['/keyframe/score'] == 'std_msgs/msg/Float32'
    assert 'MSG: std_msgs/Header' in app.channels['/joint_states']['schema']


def test_only_what_somebody_subscribes_is_listened_to(node, app, listener):
    publisher = listener.node.create_publisher(JointState, 'joint_states', qos.joint_topics())
    assert node.status()[:2] == (OK, f'0 of {len(TOPICS)} topics watched')
    app.subscribe('/joint_states')

    def arrived():
        publisher.publish(to_scalars(STAMP_NS, {'jaw': 0.25}))
        return bool(app.got.get('/joint_states'))

    listener.wait_for(arrived)
    message = deserialize_message(app.got['/joint_states'][0], JointState)
    assert (message.name, message.position[0]) == (['jaw'], 0.25)
    assert node.status()[1] == f'1 of {len(TOPICS)} topics watched'
    app.unsubscribe('/joint_states')
    listener.wait_for(lambda: publisher.get_subscription_count() == 0)


def test_pictures_come_whole_as_jpeg_and_marks_in_their_pixels(app, listener):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = 255
    profile = qos.frame_publisher(False)
    pictures = listener.node.create_publisher(Image, 'image_raw', profile)
    region = to_region(FaceRegion(8.0, 4.0, 32.0), STAMP_NS, 'camera')
    regions = listener.node.create_publisher(type(region), 'face/region', profile)
    app.subscribe('/image_raw', '/face/region')

    def arrived():
        pictures.publish(to_image(picture, STAMP_NS, 'camera'))
        regions.publish(region)
        return {'/image_raw', '/face/region'} <= set(app.got)

    listener.wait_for(arrived)
    data = app.got['/image_raw'][0]
    shown = cv2.imdecode(np.frombuffer(data[data.index(b'\xff\xd8') :], np.uint8), 1)
    assert np.abs(shown.astype(int) - picture).mean() < 5
    corner = b'\x09' + np.float64(40.0).tobytes()  # field 1 of a point: x = 8 + 32
    assert corner in app.got['/face/region'][0]


def test_whoever_comes_gets_the_robot_and_the_place_of_the_camera(app, listener):
    app.subscribe('/robot_description', '/tf_static')
    listener.wait_for(lambda: {'/robot_description', '/tf_static'} <= set(app.got))
    text = deserialize_message(app.got['/robot_description'][0], String).data
    assert text.startswith('<robot') and 'base_link' in text
    assert b'camera_optical_frame' in app.got['/tf_static'][0]
    schema = base64.b64decode(app.channels['/tf_static']['schema'])
    assert b'foxglove' in schema


def test_opening_it_to_a_network_is_said(listener):
    node = FoxgloveNode({'port': 0, 'address': '0.0.0.0'}, context=listener.context)
    try:
        level, sentence, _ = node.status()
        assert level == WARN and sentence.endswith(', open to the network')
    finally:
        node.close()
        node.destroy_node()


@pytest.mark.parametrize('address', ['nowhere', '192.0.2.1'])
def test_an_address_that_is_not_ours_is_named(listener, address):
    with pytest.raises(ConfigError, match=address):
        FoxgloveNode({'port': 0, 'address': address}, context=listener.context)


def test_a_second_server_takes_the_next_port(node, listener):
    port = int(node._server.url.rpartition(':')[2])
    second = FoxgloveNode({'port': port}, context=listener.context)
    try:
        assert second._server.url != node._server.url
    finally:
        second.close()
        second.destroy_node()
