"""Messages and plain data: exact both ways, and cheap where a frame passes."""

import os

import cv_bridge_source
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage

from kf_imitation.camera import encodings
from kf_imitation.data_types import (
    BLENDSHAPES,
    CHANNELS,
    CameraModel,
    Expression,
    FaceRegion,
    HeadPose,
    Landmarks,
    Shapes,
)
from kf_imitation.errors import SourceError
from kf_imitation.nodes import conversions, face_messages

STAMP_NS = 1_700_000_000_123_456_789


@pytest.fixture
def frame():
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def test_an_image_survives_the_round_trip(frame):
    message = conversions.to_image(frame, STAMP_NS, 'eye')
    assert (message.height, message.width, message.step) == (48, 64, 192)
    assert message.encoding == 'bgr8' and message.header.frame_id == 'eye'
    assert conversions.to_ns(message.header.stamp) == STAMP_NS
    np.testing.assert_array_equal(conversions.from_image(message), frame)


def test_a_slice_of_a_frame_is_converted_like_its_copy(frame):
    part = frame[5:20, 10:40]
    message = conversions.to_image(part, 0, '')
    np.testing.assert_array_equal(conversions.from_image(message), part)


def test_the_data_is_an_array_of_bytes_which_the_message_does_not_check_one_by_one(frame):
    # Regression: an ndarray or memoryview here costs 60 to 120 ms for a 640 x 480 frame.
    data = conversions.to_image(frame, 0, '').data
    assert (type(data).__name__, data.typecode) == ('array', 'B')


@pytest.mark.parametrize(
    ('encoding', 'order'), [('bgr8', [0, 1, 2]), ('rgb8', [2, 1, 0]), ('bgra8', [0, 1, 2])]
)
def test_colour_encodings_become_bgr(frame, encoding, order):
    pixels = frame[..., order]
    if encoding.endswith('a8'):
        pixels = np.dstack([pixels, np.full((48, 64), 7, np.uint8)])
    message = ImageMessage(height=48, width=64, encoding=encoding, step=pixels.shape[2] * 64)
    message.data = pixels.tobytes()
    np.testing.assert_array_equal(conversions.from_image(message), frame)


def test_grey_becomes_bgr(frame):
    grey = frame[..., 0]
    message = ImageMessage(height=48, width=64, encoding='mono8', step=64, data=grey.tobytes())
    np.testing.assert_array_equal(conversions.from_image(message), np.dstack([grey] * 3))


def test_rows_with_padding_are_read_without_it(frame):
    padded = np.zeros((48, 200), np.uint8)
    padded[:, :192] = frame.reshape(48, 192)
    message = ImageMessage(height=48, width=64, encoding='bgr8', step=200, data=padded.tobytes())
    np.testing.assert_array_equal(conversions.from_image(message), frame)


@pytest.mark.parametrize(
    'fields',
    [
        {'encoding': 'yuv444', 'data': bytes(12)},
        {'encoding': 'bgr8', 'data': bytes(11)},
        {'encoding': 'bgr8', 'data': bytes(12), 'step': 3},
        {'encoding': 'bgr8', 'data': b'', 'height': 0},
    ],
)
def test_an_image_that_cannot_be_read_is_rejected(fields):
    message = ImageMessage(**{'height': 2, 'width': 2, 'step': 6, **fields})
    with pytest.raises(SourceError):
        conversions.from_image(message)


@pytest.fixture
def bridge():
    """CvBridge of the ROS installation, else of the source that CV_BRIDGE_SOURCE names."""
    if 'CV_BRIDGE_SOURCE' in os.environ:
        cv_bridge_source.install(os.environ['CV_BRIDGE_SOURCE'])
    return pytest.importorskip('cv_bridge', reason='no cv_bridge in this installation').CvBridge()


def test_our_messages_equal_those_of_cv_bridge(bridge, frame):
    message = conversions.to_image(frame, STAMP_NS, 'eye')
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message, 'bgr8'), frame)
    theirs = bridge.cv2_to_imgmsg(frame, 'bgr8')
    assert bytes(theirs.data) == bytes(message.data)


@pytest.mark.parametrize('encoding', cv_bridge_source.ENCODINGS)
def test_every_encoding_that_cv_bridge_converts_is_read_alike(bridge, encoding, monkeypatch):
    pixel_bytes = bridge.encoding_to_dtype_with_channels(encoding)
    step = 64 * np.dtype(pixel_bytes[0]).itemsize * pixel_bytes[1]
    data = np.random.default_rng(0).integers(0, 256, 48 * step, np.uint8)
    message = ImageMessage(height=48, width=64, encoding=encoding, step=step, data=data.tobytes())
    theirs = bridge.imgmsg_to_cv2(message, 'bgr8')
    from cv_bridge.boost.cv_bridge_boost import cvtColor2

    for conversion in (None, cvtColor2):
        monkeypatch.setattr(encodings, '_cv_bridge', lambda found=conversion: found)
        np.testing.assert_array_equal(conversions.from_image(message), theirs)


def test_cv_bridge_converts_what_it_knows_and_ours_the_rest(monkeypatch):
    """cv_bridge 1.16 is of the encodings that both name without yuv422_yuy2."""

    def convert(pixels, encoding, wanted):
        assert wanted == 'bgr8'
        if encoding == 'yuv422_yuy2':
            raise RuntimeError('Unknown encoding')
        return np.full((*pixels.shape[:2], 3), 7, np.uint8)

    monkeypatch.setattr(encodings, '_cv_bridge', lambda: convert)
    for encoding, by_cv_bridge in (
        ('bayer_rggb16', True),
        ('uyvy', False),
        ('yuv422_yuy2', False),
    ):
        message = ImageMessage(height=2, width=2, encoding=encoding, step=4, data=bytes(8))
        assert np.all(conversions.from_image(message) == 7) == by_cv_bridge


def test_a_camera_survives_the_round_trip():
    camera = CameraModel(640, 480, 554.0)
    info = conversions.to_camera_info(camera, STAMP_NS, 'eye')
    assert conversions.from_camera_info(info) == camera
    assert list(info.k) == [554.0, 0, 320.0, 0, 554.0, 240.0, 0, 0, 1.0]


def test_an_uncalibrated_camera_gets_a_typical_view():
    camera = conversions.from_camera_info(CameraInfo(width=640, height=480))
    assert camera.focal_px == pytest.approx(320 / np.tan(np.radians(30)))


def test_named_scalars_survive_the_round_trip():
    values = {'score': 0.25, 'face': 1.0}
    assert conversions.from_scalars(conversions.to_scalars(STAMP_NS, values)) == values


def test_an_expression_survives_the_round_trip_exactly():
    rng = np.random.default_rng(1)
    values, confidence = rng.random((2, len(CHANNELS)), np.float32)
    sent = Expression(STAMP_NS, values, confidence)
    got = face_messages.from_expression(face_messages.to_expression(sent, ''))
    assert got.stamp_ns == STAMP_NS
    np.testing.assert_array_equal(got.values, values)
    np.testing.assert_array_equal(got.confidence, confidence)


def test_the_blendshapes_travel_with_their_channels():
    rng = np.random.default_rng(3)
    values, confidence = rng.random((2, len(CHANNELS)), np.float32)
    shapes = Shapes(*rng.random((2, len(BLENDSHAPES)), np.float32))
    message = face_messages.to_expression(Expression(STAMP_NS, values, confidence, shapes), '')
    assert not face_messages.expression_faults(message)
    assert len(message.name) == len(message.position) == len(message.effort) == 70
    got = face_messages.from_expression(message)
    np.testing.assert_array_equal(got.values, values)
    np.testing.assert_array_equal(got.shapes.values, shapes.values)
    np.testing.assert_array_equal(got.shapes.confidence, shapes.confidence)


def test_channels_are_found_by_name_and_the_missing_ones_have_no_confidence():
    message = conversions.to_scalars(0, {'head_yaw': 0.5, 'tail_wag': 1.0, 'jaw_open': 0.25})
    got = face_messages.from_expression(message)
    named = dict(zip(CHANNELS, zip(got.values, got.confidence, strict=True), strict=True))
    assert named.pop('head_yaw') == (0.5, 1.0)
    assert named.pop('jaw_open') == (0.25, 1.0)
    assert set(named.values()) == {(0.0, 0.0)}


def test_landmarks_survive_the_round_trip_exactly():
    rng = np.random.default_rng(2)
    sent = Landmarks(STAMP_NS, rng.random((98, 2), np.float32), rng.random(98, np.float32))
    got = face_messages.from_landmarks(face_messages.to_landmarks(sent, 'eye'))
    np.testing.assert_array_equal(got.points_px, sent.points_px)
    np.testing.assert_array_equal(got.confidence, sent.confidence)


@pytest.mark.parametrize('region', [None, FaceRegion(-3.5, 10.25, 120.0, 7)])
def test_a_face_region_survives_the_round_trip_and_no_face_is_no_points(region):
    assert face_messages.from_region(face_messages.to_region(region, STAMP_NS, '')) == region


def test_a_head_that_looks_at_the_camera_is_not_rotated():
    pose = HeadPose(
        STAMP_NS, np.eye(3, dtype=np.float32), np.array([0, 0, 0.5], np.float32), 0, 0, 0, 1
    )
    message = face_messages.to_pose(pose, 'eye')
    assert message.pose.orientation.w == pytest.approx(1.0)
    assert message.pose.position.z == pytest.approx(0.5)
