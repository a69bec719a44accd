"""Encodings and containers as drivers really use them."""

import base64
import json
import struct

import cv2
import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.opening import focal_px, image_topic, open_bag
from kf_imitation.bags.playback import BagPlay
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
    assert bright.max() == 255 and dark.max() == 32


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


@pytest.mark.parametrize(
    ('encoding', 'step'),
    [('bgr8 ', 192), ('RGB24', 192), ('Y8', 64), ('grey', 64), ('Y16', 128), ('YUY2', 128)],
)
def test_names_of_other_programs_and_blanks_are_understood(encoding, step):
    assert image_to_bgr(bytes(step * 48), encoding, 48, 64, step).shape == (48, 64, 3)


def test_a_whole_image_file_in_a_raw_image_is_decoded_and_video_explained():
    file = cv2.imencode('.jpg', np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    for encoding in ('jpeg', 'mjpeg', 'MJPG'):
        assert image_to_bgr(file, encoding, 48, 64, 0)[0, 0].tolist() == [90, 90, 90]
    with pytest.raises(SourceError, match='cannot be decoded'):
        image_to_bgr(b'?', 'jpeg', 48, 64, 0)
    with pytest.raises(SourceError, match='is video'):
        image_to_bgr(bytes(5), 'h264', 48, 64, 0)


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


def png(level):
    return cv2.imencode('.png', np.full((48, 64, 3), level, np.uint8))[1].tobytes()


def json_messages(kind, **fields):
    """Two messages with stamps of 1 and 2 s."""
    return [
        json.dumps({'timestamp': {'sec': second, 'nsec': 0}, **fields}).encode()
        for second in (1, 2)
    ]


def protobuf_messages(kind, text_name, **fields):
    """A schema in which the needed file comes last, and two messages of it."""
    descriptor_pb2 = pytest.importorskip('google.protobuf.descriptor_pb2')
    from google.protobuf import descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    types = {bytes: kinds.TYPE_BYTES, str: kinds.TYPE_STRING, int: kinds.TYPE_FIXED32}
    stamp = descriptor_pb2.FileDescriptorProto(name='time.proto', package='google.protobuf')
    parts = stamp.message_type.add(name='Timestamp').field
    parts.add(name='seconds', number=1, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    parts.add(name='nanos', number=2, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL)
    file = descriptor_pb2.FileDescriptorProto(name='a.proto', package='foxglove', syntax='proto3')
    file.dependency.append('time.proto')
    made = file.message_type.add(name=text_name).field
    made.add(
        name='timestamp',
        number=1,
        type=kinds.TYPE_MESSAGE,
        type_name='.google.protobuf.Timestamp',
        label=kinds.LABEL_OPTIONAL,
    )
    for number, (name, value) in enumerate(fields.items(), 2):
        kind_of = types[type(value)]
        made.add(name=name, number=number, type=kind_of, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(stamp)
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName(f'foxglove.{text_name}'))
    messages = []
    for second in (1, 2):
        one = message(**fields)
        one.timestamp.seconds = second
        messages.append(one.SerializeToString())
    return descriptor_pb2.FileDescriptorSet(file=[file, stamp]).SerializeToString(), messages


def ros1_messages():
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    raw = np.full(48 * 64 * 3, 50, np.uint8)
    messages = [
        store.serialize_ros1(
            types['sensor_msgs/msg/Image'](
                types['std_msgs/msg/Header'](0, types['builtin_interfaces/msg/Time'](s, 0), 'cam'),
                *(48, 64, 'bgr8', 0, 192, raw),
            ),
            'sensor_msgs/msg/Image',
        )
        for s in (1, 2)
    ]
    text = store.generate_msgdef('sensor_msgs/msg/Image', ros_version=1)[0]
    return text.encode(), [bytes(message) for message in messages]


RAW = {'width': 64, 'height': 48, 'encoding': 'bgr8', 'step': 192}


@pytest.mark.parametrize(
    'case', ['ros1', 'json', 'json raw', 'protobuf', 'protobuf raw', 'protobuf that was cut']
)
def test_recordings_of_other_profiles_are_decoded(tmp_path, case):
    pixels = bytes([50]) * (48 * 192)
    path = tmp_path / 'a.mcap'
    if case == 'ros1':
        text, messages = ros1_messages()
        mcap(path, 'ros1', 'ros1', 'sensor_msgs/Image', 'ros1msg', text, messages)
    elif case.startswith('json'):
        name = 'foxglove.RawImage' if 'raw' in case else 'foxglove.CompressedImage'
        data = base64.b64encode(pixels if 'raw' in case else png(50)).decode()
        fields = {'data': data, **(RAW if 'raw' in case else {'format': 'png'})}
        mcap(path, '', 'json', name, 'jsonschema', b'{}', json_messages(name, **fields))
    else:
        name = 'RawImage' if 'raw' in case else 'CompressedImage'
        fields = {'data': pixels, **RAW} if 'raw' in case else {'data': png(50), 'format': 'png'}
        text, messages = protobuf_messages(case, name, **fields)
        mcap(path, '', 'protobuf', f'foxglove.{name}', 'protobuf', text, messages)
    if 'cut' in case:
        path.write_bytes(path.read_bytes()[:-60])
    source = open_source(str(path))
    frames = [source.read(), source.read()]
    source.close()
    assert [frame.stamp_ns for frame in frames] == [10**9, 2 * 10**9]
    assert {int(frame.bgr[0, 0, 0]) for frame in frames} == {50}
    with open_bag(path) as bag, pytest.raises(BagError, match='not of ROS 2: replay reads'):
        BagPlay(bag, (), 0.0)


@pytest.mark.parametrize(
    ('encoding', 'schema', 'text', 'data'),
    [
        ('protobuf', 'foxglove.CompressedVideo', b'x', b'y'),
        ('flatbuffer', 'foxglove.CompressedImage', b'x', b'y'),
        ('json', 'my.Picture', b'{}', b'{}'),
        ('json', 'foxglove.CompressedImage', b'{}', b'{"data": ""}'),
        ('json', 'foxglove.CompressedImage', b'{}', b'[1]'),
        ('json', 'foxglove.RawImage', b'{}', b'{"width": "many"}'),
        ('protobuf', 'foxglove.CompressedImage', b'\n\x00', b'y'),
        ('ros1', 'sensor_msgs/Image', b'uint', b'y'),
    ],
)
def test_what_is_not_understood_is_answered_with_what_to_do(
    tmp_path, encoding, schema, text, data
):
    of_ros = encoding == 'ros1'
    kinds = {'ros1': 'ros1msg', 'json': 'jsonschema'}
    profile, schema_encoding = 'ros1' if of_ros else '', kinds.get(encoding, encoding)
    path = mcap(tmp_path / 'a.mcap', profile, encoding, schema, schema_encoding, text, [data])
    with pytest.raises(SourceError, match='export a video or a folder of images and give that'):
        open_source(str(path))


@pytest.mark.parametrize('in_folder', [True, False])
def test_a_bag_that_is_compressed_as_a_whole_is_answered_with_what_to_do(tmp_path, in_folder):
    path = tmp_path / 'a_0.db3.zstd'
    path.write_bytes(b'(\xb5/\xfd' + bytes(100))
    with pytest.raises(SourceError, match=r'unpack it first \(zstd -d a_0.db3.zstd\)'):
        open_source(str(tmp_path if in_folder else path))


def test_a_bag_of_ros_1_whose_recorder_was_killed_is_answered_with_what_to_do(tmp_path):
    path = tmp_path / 'a.bag.active'
    path.write_bytes(b'#ROSBAG V2.0\n' + bytes(100))
    with pytest.raises(SourceError, match='`rosbag reindex` of ROS 1 mends it'):
        make_source(str(path), SourceSettings()).open()
