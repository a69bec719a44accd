"""Encodings and containers as drivers really use them."""

import cv2
import numpy as np
import pytest

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.opening import focal_px, image_topic, open_bag
from kf_imitation.bags.writer import BagWriter
from kf_imitation.camera.encodings import GreySamples, image_to_bgr
from kf_imitation.data_types import CameraModel
from kf_imitation.errors import SourceError

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
