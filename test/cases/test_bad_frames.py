"""One bad frame among many is left out, counted and named; the others are used."""

import itertools
import logging
import struct

import cv2
import numpy as np
import pytest

from kf_imitation.bags.writer import BagWriter
from kf_imitation.camera.left_out import LeftOut
from kf_imitation.camera.sources import open_source
from kf_imitation.errors import SourceError
from kf_imitation.parameters.settings import SourceSettings
from kf_imitation.visualization.video_writer import VideoWriter

DT = 33_333_333
FRAMES = 60


def picture(index, size=(96, 64)):
    """A picture with enough in it that a torn JPEG lacks something."""
    grain = np.random.default_rng(index).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return cv2.GaussianBlur(grain, (5, 5), 0)


def film(path, codec='libx264', audio_s=0.0, start_s=0.0, **options):
    av = pytest.importorskip('av', reason='PyAV makes these videos')
    with av.open(str(path), 'w', options=options) as container:
        video = container.add_stream(codec, rate=30)
        video.width, video.height = 96, 64
        video.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        if codec == 'libx264':
            video.options = {'g': '10', 'bf': '0', 'preset': 'ultrafast'}
        sound = container.add_stream('aac', rate=16_000, layout='mono') if audio_s else None
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(index), format='bgr24')
            frame.pts = index + round(start_s * 30)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for first in range(0, round(audio_s * 16_000), 1024):
            noise = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
            noise.sample_rate, noise.pts = 16_000, first
            container.mux(sound.encode(noise))
        if sound:
            container.mux(sound.encode())
    return path


def read(source):
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    assert all(a.stamp_ns < b.stamp_ns for a, b in itertools.pairwise(frames))
    return frames


def played(path, **settings):
    source = open_source(str(path), SourceSettings(**settings))
    return read(source), source.left_out


# -- videos ------------------------------------------------------------------------------------


def jpeg_places(data):
    """Where the JPEG of each frame of an AVI begins, and how long it is."""
    at, found = 0, []
    while (at := data.find(b'00dc', at)) >= 0:
        length = struct.unpack('<I', data[at + 4 : at + 8])[0]
        if data[at + 8 : at + 10] == b'\xff\xd8':
            found.append((at + 8, length))
        at += 4
    return found


@pytest.mark.parametrize('part', [1.0, 0.7])
def test_damaged_frames_in_the_middle_of_a_video_are_left_out(tmp_path, caplog, part):
    path = film(tmp_path / 'a.avi', 'mjpeg')
    data = bytearray(path.read_bytes())
    places = jpeg_places(data)
    assert len(places) == FRAMES
    for index in (10, 30, 31, 32, 50):
        start, length = places[index]
        kept = round(length * (1 - part))
        data[start + kept : start + length] = bytes(length - kept)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        frames, left_out = played(path)
    if left_out.count:  # a decoder may make something of the rest of a picture
        assert [f.index for f in frames] == [i for i in range(60) if i not in (10, 30, 31, 32, 50)]
        assert frames[10].stamp_ns == 11 * DT or abs(frames[10].stamp_ns - 11 * DT) < 1000
        assert left_out.count == 5 and 'frame 10 (after 0.30 s)' in caplog.text
    assert left_out.count == 5 or part < 1


def test_an_mp4_whose_second_half_is_zeros_gives_the_first_and_says_so(tmp_path, caplog):
    path = film(tmp_path / 'a.mp4', movflags='faststart')
    data = bytearray(path.read_bytes())
    start = data.index(b'mdat')
    half = start + (len(data) - start) // 2
    data[half:] = bytes(len(data) - half)
    path.write_bytes(data)
    frames, left_out = played(path)
    assert 20 <= len(frames) <= 40 and len(frames) + left_out.count == FRAMES
    assert 'the end after frame' in caplog.text and 'of 2.00 s' in caplog.text


@pytest.mark.parametrize('name', ['a.mkv', 'a.ts', 'a.mp4', 'a.flv'])
def test_sound_that_is_longer_than_the_picture_is_no_fault(tmp_path, name):
    frames, left_out = played(film(tmp_path / name, audio_s=3.5))
    assert len(frames) == FRAMES and not left_out.summary(FRAMES)


@pytest.mark.parametrize('name', ['a.mkv', 'a.mp4'])
def test_a_picture_that_starts_after_the_sound_is_no_fault(tmp_path, name):
    frames, left_out = played(film(tmp_path / name, audio_s=4.0, start_s=2.0))
    assert len(frames) == FRAMES and not left_out.summary(FRAMES)


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('a.mkv', {}),
        ('a.mp4', {'movflags': 'faststart'}),
        ('a.mp4', {'movflags': 'frag_keyframe+empty_moov'}),
    ],
)
def test_a_recording_that_was_cut_off_gives_what_is_there(tmp_path, caplog, name, options):
    path = film(tmp_path / name, **options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    frames, left_out = played(path)
    assert 20 <= len(frames) <= 45
    assert left_out.damage == f'is cut off: {len(data) * 6 // 10} bytes of {len(data)}' or (
        'frag' in str(options) and left_out.damage.startswith('is cut off')
    )
    assert 'what is there is played' in caplog.text


def test_an_mp4_without_its_index_is_rejected(tmp_path):
    path = film(tmp_path / 'a.mp4')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match='is not a video that can be decoded: it is cut off'):
        open_source(str(path))


# -- folders -----------------------------------------------------------------------------------


def test_a_folder_with_an_empty_a_torn_and_a_smaller_image_gives_the_others(tmp_path, caplog):
    for index in range(8):
        cv2.imwrite(str(tmp_path / f'{index}.jpg'), picture(index))
    torn = (tmp_path / '2.jpg').read_bytes()
    (tmp_path / '2.jpg').write_bytes(torn[: len(torn) // 2])
    (tmp_path / '0.jpg').write_bytes(b'')
    cv2.imwrite(str(tmp_path / '5.jpg'), picture(5, (48, 32)))
    frames, left_out = played(tmp_path)
    assert [frame.index for frame in frames] == [1, 3, 4, 6, 7]
    assert frames[1].stamp_ns == 10**8
    assert left_out.count == 3 and '0.jpg: is empty' in caplog.text
    assert '2.jpg: is not an image that can be decoded' in caplog.text  # or ends in the middle
    assert '5.jpg: is 48x32' in caplog.text


# -- bags --------------------------------------------------------------------------------------


def bag(folder, message_of, topic='camera/image_raw'):
    with BagWriter(folder, minimum_free_mb=0) as writer:
        types = writer.types
        for index in range(30):
            stamp_ns = 10**18 + index * DT
            header = types['std_msgs/msg/Header'](
                types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9), 'cam'
            )
            writer.write(topic, message_of(types, header, index), stamp_ns)
    return folder


def raw(types, header, bgr, encoding='bgr8', data=None):
    height, width = bgr.shape[:2]
    data = bgr.reshape(-1) if data is None else data
    return types['sensor_msgs/msg/Image'](
        header, height, width, encoding, 0, bgr.strides[0], np.ascontiguousarray(data)
    )


def packed(types, header, data):
    return types['sensor_msgs/msg/CompressedImage'](
        header, 'jpeg', np.frombuffer(data, np.uint8).copy()
    )


def zero_size(types, header, index):
    at_fault = index == 12
    return raw(types, header, picture(index)[: 0 if at_fault else 64, : 0 if at_fault else 96])


def zero_size_first(types, header, index):
    nothing = np.zeros((0, 0, 3), np.uint8)
    return raw(
        types, header, nothing if index == 0 else picture(index), '' if not index else 'bgr8'
    )


def short(types, header, index):
    bgr = picture(index)
    return raw(types, header, bgr, data=bgr.reshape(-1)[: 100 if index == 12 else None])


def jpeg(bad):
    def message(types, header, index):
        data = cv2.imencode('.jpg', picture(index))[1].tobytes()
        return packed(types, header, bad(data) if index == 12 else data)

    return message


@pytest.mark.parametrize(
    ('message_of', 'bad'),
    [
        (zero_size, 12),
        (zero_size_first, 0),
        (short, 12),
        (jpeg(lambda data: b''), 12),
        (jpeg(lambda data: data[: len(data) // 2]), 12),
        (jpeg(lambda data: bytes(5000)), 12),
    ],
    ids=['zero size', 'zero size first', 'short', 'empty', 'torn', 'garbage'],
)
def test_one_bad_image_in_a_bag_is_left_out(tmp_path, caplog, message_of, bad):
    frames, left_out = played(bag(tmp_path / 'bag', message_of))
    assert [frame.index for frame in frames] == [i for i in range(30) if i != bad]
    assert left_out.count == 1 and left_out.first.startswith(f'frame {bad}: ')
    assert f'left out frame {bad}: ' in caplog.text


def test_a_bag_of_nothing_but_bad_images_is_rejected_with_the_reason(tmp_path):
    path = bag(tmp_path / 'bag', lambda types, header, i: raw(types, header, picture(i), '32FC1'))
    with pytest.raises(SourceError, match=r'not one image can be decoded.*it holds distances'):
        open_source(str(path))


# -- what is said ------------------------------------------------------------------------------


def test_many_in_a_row_are_said_loudly_and_the_end_of_them_too():
    said = []
    left_out = LeftOut('camera', said.append)
    for index in range(150):
        left_out.add(f'frame {index}', 'is empty')
    assert len(said) == 3 + 2
    assert said[3].startswith('camera: 10 frames in a row are left out')
    assert said[4].startswith('camera: 100 frames in a row are left out')
    left_out.good()
    assert said[5] == 'camera: frames can be used again after 150 left out'
    assert left_out.summary(50) == '150 of 200 frames are left out; first frame 0: is empty'


def test_a_video_with_any_number_of_frames_writes_and_reads_back(tmp_path):
    with VideoWriter(tmp_path / 'a.mp4', 30.0, (96, 64)) as video:
        for index in range(3):
            video.write(picture(index))
    frames, left_out = played(tmp_path / 'a.mp4')
    assert len(frames) == 3 and not left_out.summary(3)
