"""Phones store a portrait video lying down, with a matrix that turns it."""

import struct

import cv2
import numpy as np
import pytest

from kf_imitation.camera.container import quarter_turns
from kf_imitation.camera.sources import open_source

# (a, b, c, d) of the track header for quarter turns clockwise, and what undoes them on the image.
MATRICES = {0: (1, 0, 0, 1), 1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}
UNIT = struct.pack('>9i', 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


@pytest.fixture
def upright():
    """White at the top left, red at the bottom right."""
    image = np.zeros((96, 64, 3), np.uint8)
    image[:32, :32] = 255
    image[64:, 32:] = (0, 0, 255)
    return image


def written(path, stored, turns):
    height, width = stored.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 25, (width, height))
    for _ in range(5):
        writer.write(stored)
    writer.release()
    data = path.read_bytes()
    begin = data.index(UNIT, data.index(b'tkhd'))
    a, b, c, d = (value * (1 << 16) for value in MATRICES[turns])
    matrix = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data[:begin] + matrix + data[begin + len(matrix) :])
    return path


@pytest.mark.parametrize('turns', MATRICES)
def test_a_video_that_was_stored_lying_down_is_read_upright(tmp_path, upright, turns):
    """OpenCV 4.6 turned such videos the wrong way, so faces stood on their heads."""
    path = written(tmp_path / 'phone.mp4', np.rot90(upright, turns), turns)
    assert quarter_turns(path) == turns
    source = open_source(str(path))
    for _ in range(3):
        image = source.read().bgr
        assert image.shape == upright.shape
        assert np.abs(image.astype(int) - upright).mean() < 8
    assert (source.camera.width, source.camera.height) == (64, 96)
    source.close()


def test_a_container_that_is_no_mp4_says_nothing_about_rotation(tmp_path):
    path = tmp_path / 'a.avi'
    path.write_bytes(b'RIFF\x00\x00\x00\x00AVI ' + bytes(20))
    assert quarter_turns(path) is None


def test_damaged_boxes_say_nothing_about_rotation(tmp_path):
    path = tmp_path / 'a.mp4'
    for box in (b'\x00\x00\x00\x04moov', b'\x00\x00\x00\x20moov\x00\x00\x00\x02trak' + bytes(16)):
        path.write_bytes(box + bytes(8))
        assert quarter_turns(path) is None
