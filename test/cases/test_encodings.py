"""Encodings and containers as drivers really use them."""

import struct

import cv2
import numpy as np
import pytest

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.opening import focal_px, image_topic, open_bag
from kf_imitation.bags.writer import BagWriter
from kf_imitation.camera.encodings import GreySamples, image_to_bgr
from kf_imitation.camera.sources import make_source, open_source
from kf_imitation.data_types import CameraModel
from kf_imitation.errors import BagError, SourceError
from kf_imitation.parameters.settings import SourceSettings

GREY = (np.arange(64 * 48).reshape(48, 64) * 1023 // (64 * 48 - 1)).astype(np.uint16)


@pytest.mark.parametrize(
    ('encoding', 'code'),
    [
        ('yuv420', cv2.COLOR_BGR2YUV_I420),
        ('i420', cv2.COLOR_BGR2YUV_I420),
        ('yv12', cv2.COLOR_BGR2YUV_YV12),
    ],
)
def test_three_planes_of_brightness_and_colour_are_decoded(encoding, code):
    bgr = np.zeros((48, 64, 3), np.uint8)
    bgr[:] = (30, 120, 200)
    planes = cv2.cvtColor(bgr, code)
    decoded = image_to_bgr(planes.tobytes(), encoding, 48, 64, 64)
    assert np.abs(decoded.astype(int) - bgr).max() <= 3


@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
def test_16_bit_grey_is_bright_however_many_bits_it_uses(bits):
    samples = (GREY.astype(np.uint32) * ((1 << bits) - 1) // 1023).astype('<u2')
    decoded = image_to_bgr(samples.tobytes(), 'mono16', 48, 64, 128)
    assert decoded.min() == 0 and decoded.max() == 255


def test_a_dark_image_does_not_flicker_once_the_depth_is_known():
    grey = GreySamples('camera/image_raw')
    bright = image_to_bgr(GREY.astype('<u2').tobytes(), 'mono16', 48, 64, 128, False, grey)
    dark = image_to_bgr((GREY // 8).astype('<u2').tobytes(), 'mono16', 48, 64, 128, False, grey)
    assert bright.max() == 255 and dark.max() == 31


def test_infrared_is_decoded_where_its_topic_says_so_and_else_explained():
    data = (GREY.astype('<u2') * 40).tobytes()
    for topic in (
        '/camera/infra1/image_rect_raw',
        '/kinect2/sd/image_infrared',
        '/camera/ir/image',
    ):
        assert image_to_bgr(data, '16UC1', 48, 64, 128, False, GreySamples(topic)).max() > 100
    with pytest.raises(SourceError, match='must have infra in its name'):
        image_to_bgr(data, '16UC1', 48, 64, 128, False, GreySamples('/camera/depth/image'))


def test_an_image_without_an_encoding_is_grey_or_explained():
    assert image_to_bgr(bytes(64 * 48), '', 48, 64, 64).shape == (48, 64, 3)
    with pytest.raises(SourceError, match='its driver must fill in the field encoding'):
        image_to_bgr(bytes(64 * 48 * 3), '', 48, 64, 192)


@pytest.mark.parametrize('encoding', ['bgr8', '', 'mono16', 'nv12', '16UC1'])
def test_an_image_without_pixels_says_so(encoding):
    with pytest.raises(SourceError, match='image of 0x0 pixels'):
        image_to_bgr(b'', encoding, 0, 0, 0)


@pytest.mark.parametrize(
    ('info', 'image'),
    [
        ('camera/camera_info', 'camera/image_raw/compressed'),
        ('camera/camera_info', 'camera/compressed'),
        ('camera_info', 'image_raw/compressed'),
    ],
)
def test_the_camera_info_of_a_packed_image_is_beside_the_image_it_packs(tmp_path, info, image):
    with BagWriter(tmp_path / 'bag', minimum_free_mb=0) as writer:
        out = BagTopics(writer)
        out.camera_info(CameraModel(64, 48, 700.0), 10**9, topic=info)
        out.jpeg(image, np.zeros((48, 64, 3), np.uint8), 10**9)
    with open_bag(tmp_path / 'bag') as bag:
        assert focal_px(bag, image_topic(bag)) == 700.0


def test_a_raw_image_that_is_also_packed_is_taken_raw(tmp_path):
    with BagWriter(tmp_path / 'bag', minimum_free_mb=0) as writer:
        out = BagTopics(writer)
        out.image('camera/image_raw', np.zeros((48, 64, 3), np.uint8), 10**9)
        out.jpeg('camera/image_raw/compressed', np.zeros((48, 64, 3), np.uint8), 10**9)
    with open_bag(tmp_path / 'bag') as bag:
        assert image_topic(bag) == '/camera/image_raw'


FOXGLOVE = (
    'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n'
    + '=' * 80
    + '\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n'
)


def mcap(path, profile, encoding, schema, schema_encoding, text, messages):
    writer_of = pytest.importorskip('mcap.writer', reason='mcap makes these recordings')
    with path.open('wb') as file:
        writer = writer_of.Writer(file)
        writer.start(profile=profile, library='test')
        kind = writer.register_schema(schema, schema_encoding, text)
        channel = writer.register_channel('/cam/image', encoding, kind)
        for index, data in enumerate(messages):
            writer.add_message(channel, 10**18 + index, data, 10**18 + index, index)
        writer.finish()
    return path


def test_compressed_images_of_foxglove_are_read(tmp_path):
    def message(second):
        image = cv2.imencode('.png', np.full((48, 64, 3), 50 * second, np.uint8))[1].tobytes()
        data = struct.pack('<4sIII4sI', b'\0\1\0\0', second, 0, 4, b'cam\0', len(image)) + image
        return data + bytes(-(len(data) - 4) % 4) + struct.pack('<I', 4) + b'png\0'

    kind = 'foxglove_msgs/msg/CompressedImage'
    messages = [message(1), message(2)]
    path = mcap(tmp_path / 'a.mcap', 'ros2', 'cdr', kind, 'ros2msg', FOXGLOVE.encode(), messages)
    source = open_source(str(path))
    frames = [source.read(), source.read()]
    source.close()
    assert [frame.stamp_ns for frame in frames] == [10**9, 2 * 10**9]
    assert [int(frame.bgr[0, 0, 0]) for frame in frames] == [50, 100]


@pytest.mark.parametrize(
    ('profile', 'encoding', 'words'),
    [
        ('ros1', 'ros1', r'of ROS 1; give the \.bag that it was made from'),
        ('', 'protobuf', 'are protobuf, not of ROS; export a video or a folder of images'),
        ('', 'json', 'are json, not of ROS; export a video'),
    ],
)
def test_recordings_of_others_are_answered_with_what_to_do(tmp_path, profile, encoding, words):
    path = mcap(tmp_path / 'a.mcap', profile, encoding, 'some/Image', encoding, b'x', [b'y'])
    with pytest.raises(BagError, match=words):
        open_bag(path)


def test_a_bag_of_ros_1_whose_recorder_was_killed_is_answered_with_what_to_do(tmp_path):
    path = tmp_path / 'a.bag.active'
    path.write_bytes(b'#ROSBAG V2.0\n' + bytes(100))
    with pytest.raises(SourceError, match='`rosbag reindex` of ROS 1 mends it'):
        make_source(str(path), SourceSettings()).open()
