"""Every kind of source: frames, stamps, and what is said when something is wrong."""

import struct
from pathlib import Path
from threading import Event, Thread

import cv2
import numpy as np
import pytest

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.writer import BagWriter
from kf_imitation.camera.device_path import DevicePath
from kf_imitation.camera.encodings import SUPPORTED_ENCODINGS, compressed_to_bgr, image_to_bgr
from kf_imitation.camera.frame_source import camera_model
from kf_imitation.camera.image_folder import natural_key
from kf_imitation.camera.live import without_password
from kf_imitation.camera.sources import make_source, open_source
from kf_imitation.data_types import CameraModel
from kf_imitation.errors import SourceError
from kf_imitation.parameters.settings import SourceSettings


def write_video(path, frames=20, fps=25.0, code='mp4v', size=(64, 48)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, size)
    for i in range(frames):
        writer.write(np.full((size[1], size[0], 3), 10 * i % 250, np.uint8))
    writer.release()
    return path


def read_all(source):
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def reason(spec, settings=None):
    with pytest.raises(SourceError) as caught:
        read_all(open_source(str(spec), settings))
    return str(caught.value)


# -- video files -------------------------------------------------------------------------------


def test_a_file_is_not_closed_by_another_thread_while_it_is_opened_again(tmp_path, monkeypatch):
    source = make_source(str(write_video(tmp_path / 'a.mp4')), SourceSettings())
    inside, go = Event(), Event()
    decode = source._next_image

    def wait_and_decode():
        inside.set()
        assert go.wait(30)
        return decode()

    monkeypatch.setattr(source, '_next_image', wait_and_decode)
    opening, closing = Thread(target=source.open), Thread(target=source.close)
    opening.start()
    assert inside.wait(30)
    closing.start()
    assert not source._lock.acquire(blocking=False)
    go.set()
    opening.join(30)
    closing.join(30)
    assert source.read() is None


def test_a_video_gives_every_frame_with_the_stamps_of_its_container(tmp_path):
    source = open_source(str(write_video(tmp_path / 'a.mp4')), SourceSettings(start_ns=1000))
    assert not source.is_live and source.frame_count == 20 and source.fps == 25.0
    assert source.camera == camera_model(64, 48, 0.0)
    frames = read_all(source)
    assert [f.index for f in frames] == list(range(20))
    assert [f.stamp_ns for f in frames] == [1000 + i * 40_000_000 for i in range(20)]
    assert frames[3].bgr.shape == (48, 64, 3) and frames[3].bgr.dtype == np.uint8


def test_a_video_starts_again_when_it_is_opened_again(tmp_path):
    source = open_source(str(write_video(tmp_path / 'a.mp4', 3)))
    assert len(read_all(source)) == 3
    source.open()
    assert [f.stamp_ns for f in read_all(source)] == [0, 40_000_000, 80_000_000]


def test_read_returns_nothing_after_close(tmp_path):
    source = open_source(str(write_video(tmp_path / 'a.mp4', 3)))
    source.close()
    source.close()
    assert source.read() is None


def test_a_missing_file_is_named(tmp_path):
    assert reason(tmp_path / 'no.mp4') == f'{tmp_path}/no.mp4: does not exist'
    assert 'did you mean topic:/x?' in reason('topc:/x')
    assert 'did you mean test-pattern:3?' in reason('testpattern:3')
    assert 'did you mean test-pattern?' in reason('test-patern')


def test_a_file_that_is_no_video_is_named(tmp_path):
    path = tmp_path / 'notes.mp4'
    path.write_text('not a video')
    assert reason(path) == f'{path}: is not a video that can be decoded'


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / 'empty.mp4'
    path.touch()
    assert reason(path) == f'{path}: is empty'


def test_a_truncated_mp4_without_its_index_is_rejected(tmp_path):
    path = write_video(tmp_path / 'a.mp4')
    path.write_bytes(path.read_bytes()[:-200])
    assert 'is cut off' in reason(path)


def test_an_mp4_whose_recording_never_ended_is_rejected(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(
        struct.pack('>I4s4sI', 16, b'ftyp', b'isom', 0) + struct.pack('>I4sQ', 16, b'free', 0)
    )
    assert reason(path).endswith('it has no index (moov): the recording or download was cut off')


def test_a_truncated_avi_gives_its_frames_and_is_called_cut_off(tmp_path):
    path = write_video(tmp_path / 'a.avi', frames=100, code='MJPG')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    source = open_source(str(path))
    assert 20 < len(read_all(source)) < 70
    assert source.left_out.damage.startswith('is cut off')


def test_a_truncated_matroska_gives_its_frames_and_is_called_cut_off(tmp_path):
    path = write_video(tmp_path / 'a.mkv', frames=100, code='MJPG')
    assert len(read_all(open_source(str(path)))) == 100
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    source = open_source(str(path))
    assert 30 < len(read_all(source)) < 70
    assert source.left_out.damage == f'is cut off: {len(data) // 2} bytes of {len(data)}'


def test_a_video_that_opens_but_has_no_frames_is_rejected(tmp_path):
    path = write_video(tmp_path / 'a.mp4')
    data = bytearray(path.read_bytes())
    start = data.index(b'mdat') + 4
    end = data.index(b'moov') - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    assert reason(path) == f'{path}: opens, but not one frame can be decoded'


@pytest.mark.shared
def test_a_real_video_whose_index_promises_more_frames_than_it_has_is_read_to_its_end():
    # lip_reading…mp4 counts 266 frames in its index and holds 209: it was called damaged.
    clips = Path(__file__).resolve().parents[2].parent / 'shared/data/clips/train'
    path = clips / 'lip_reading_de_data_sample_video.mp4'
    if not path.exists():
        pytest.skip('the data folder beside the repository is absent')
    assert len(read_all(open_source(str(path)))) == 209


# -- folders of images -------------------------------------------------------------------------


def test_images_come_in_natural_order_at_the_rate_asked_for(tmp_path):
    for i in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f'img{i}.png'), np.full((8, 10, 3), i, np.uint8))
    (tmp_path / 'notes.txt').write_text('left out')
    (tmp_path / '.img0.png').write_text('left out')
    source = open_source(str(tmp_path), SourceSettings(fps=10))
    frames = read_all(source)
    assert [int(f.bgr[0, 0, 0]) for f in frames] == [1, 2, 10]
    assert [f.stamp_ns for f in frames] == [0, 100_000_000, 200_000_000]
    assert source.frame_count == 3


def test_natural_order_compares_numbers_as_numbers():
    names = ['b1', 'a10', 'a9', 'a', '3', 'a9b2', 'a9b10']
    assert sorted(names, key=natural_key) == ['3', 'a', 'a9', 'a9b2', 'a9b10', 'a10', 'b1']


def test_an_image_of_another_size_is_left_out_by_name(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((8, 10, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'b.png'), np.zeros((8, 12, 3), np.uint8))
    source = open_source(str(tmp_path))
    assert len(read_all(source)) == 1
    assert source.left_out.first == (
        'b.png: is 12x8, the others 10x8: all images must have one size'
    )


def test_a_folder_of_nothing_but_corrupt_images_is_rejected_by_name(tmp_path):
    (tmp_path / 'b.jpg').write_bytes(b'no image')
    assert reason(tmp_path) == (
        f'{tmp_path}: not one image can be decoded; b.jpg: is not an image that can be decoded'
    )


def test_a_folder_without_images_is_rejected(tmp_path):
    assert 'holds no images' in reason(tmp_path)


# -- bags --------------------------------------------------------------------------------------


@pytest.fixture
def bag(tmp_path):
    with BagWriter(tmp_path / 'bag', minimum_free_mb=0) as writer:
        out = BagTopics(writer)
        out.camera_info(CameraModel(10, 8, 123.0), 5_000_000_000, topic='cam/camera_info')
        for i in range(5):
            image = np.full((8, 10, 3), 40 * i, np.uint8)
            stamp_ns = 5_000_000_000 + i * 50_000_000
            out.image('cam/image_raw', image, stamp_ns, written_ns=stamp_ns + 7_000_000)
            out.score(0.5, stamp_ns)
    return tmp_path / 'bag'


def test_a_bag_gives_the_images_of_its_only_image_topic_with_their_header_stamps(bag):
    source = open_source(str(bag))
    frames = read_all(source)
    assert [f.stamp_ns for f in frames] == [5_000_000_000 + i * 50_000_000 for i in range(5)]
    assert [int(f.bgr[0, 0, 0]) for f in frames] == [0, 40, 80, 120, 160]
    assert source.frame_count == 5 and source.camera == CameraModel(10, 8, 123.0)
    assert len(read_all(open_source(str(bag / 'bag.mcap')))) == 5


def test_the_topic_of_a_bag_is_chosen_or_must_be_the_only_one(tmp_path):
    with BagWriter(tmp_path / 'bag', minimum_free_mb=0) as writer:
        out = BagTopics(writer)
        for i in range(3):
            out.image('a', np.full((8, 10, 3), 1, np.uint8), i)
            out.jpeg('b/compressed', np.full((16, 16, 3), 200, np.uint8), i)
    assert reason(tmp_path / 'bag').endswith(
        'holds several image topics, name one: /a, /b/compressed'
    )
    frames = read_all(open_source(str(tmp_path / 'bag'), SourceSettings(topic='b/compressed')))
    assert len(frames) == 3 and abs(int(frames[0].bgr[3, 3, 1]) - 200) < 4
    assert reason(tmp_path / 'bag', SourceSettings(topic='/c')).endswith(
        'holds no image topic /c (image topics: /a, /b/compressed)'
    )


def test_a_bag_without_images_says_what_it_holds(tmp_path):
    with BagWriter(tmp_path / 'bag', minimum_free_mb=0) as writer:
        BagTopics(writer).score(0.5, 1)
    assert reason(tmp_path / 'bag').endswith(
        'holds no image topic (holds /keyframe/score); record --images and mimic '
        '--record-images write them'
    )


def test_stamps_of_a_bag_always_increase(tmp_path):
    with BagWriter(tmp_path / 'bag', minimum_free_mb=0) as writer:
        out = BagTopics(writer)
        for header_ms, written_ms in ((0, 10), (0, 20), (5, 30), (40, 40), (40, 40), (50, 50)):
            image = np.zeros((8, 10, 3), np.uint8)
            out.image('a', image, header_ms * 10**6, written_ns=written_ms * 10**6)
    frames = read_all(open_source(str(tmp_path / 'bag')))
    assert [(f.index, f.stamp_ns // 10**6) for f in frames] == [(0, 10), (1, 20), (3, 40), (5, 50)]


def test_a_file_that_is_no_bag_is_named(tmp_path):
    (tmp_path / 'x.mcap').write_bytes(b'junk')
    assert reason(tmp_path / 'x.mcap').startswith(f'bag {tmp_path}/x.mcap: cannot be read')


# -- pixel formats -----------------------------------------------------------------------------


def test_rgb_and_alpha_become_bgr():
    rgb = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    assert image_to_bgr(rgb.tobytes(), 'rgb8', 1, 2, 6).tolist() == [[[3, 2, 1], [6, 5, 4]]]
    rgba = np.dstack([rgb, np.full((1, 2), 9, np.uint8)])
    assert image_to_bgr(rgba.tobytes(), 'rgba8', 1, 2, 8).tolist() == [[[3, 2, 1], [6, 5, 4]]]
    assert image_to_bgr(rgba.tobytes(), 'bgra8', 1, 2, 8).tolist() == [[[1, 2, 3], [4, 5, 6]]]


def test_rows_may_be_padded():
    data = bytes([1, 2, 3, 0, 4, 5, 6, 0])
    assert image_to_bgr(data, 'bgr8', 2, 1, 4).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


@pytest.mark.parametrize('big', [False, True])
def test_16_bit_samples_are_rounded_to_8(big):
    grey = np.array([[0x1234, 0xFFFF]], '>u2' if big else '<u2')
    assert image_to_bgr(grey.tobytes(), 'mono16', 1, 2, 4, big)[0, :, 0].tolist() == [0x12, 0xFF]


@pytest.mark.parametrize('encoding', ['yuv422', 'yuv422_yuy2', 'uyvy', 'yuyv'])
def test_grey_in_yuv_is_grey_in_bgr(encoding):
    luma_first = encoding in ('yuv422_yuy2', 'yuyv')
    pair = [126, 128, 126, 128] if luma_first else [128, 126, 128, 126]
    bgr = image_to_bgr(bytes(pair * 8), encoding, 4, 4, 8)
    assert np.ptp(bgr) == 0 and abs(int(bgr[0, 0, 0]) - 128) < 3


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('bits', [8, 16])
def test_bayer_patterns_give_the_colour_that_was_filtered(pattern, bits):
    colour = {'b': 30, 'g': 90, 'r': 200}
    tile = np.array([colour[c] for c in pattern], np.uint16).reshape(2, 2)
    mosaic = np.tile(tile, (8, 8))
    raw = mosaic.astype(np.uint8) if bits == 8 else (mosaic * 256).astype('<u2')
    bgr = image_to_bgr(raw.tobytes(), f'bayer_{pattern}{bits}', 16, 16, 16 * bits // 8)
    np.testing.assert_allclose(bgr[8, 8], [30, 90, 200], atol=2)


@pytest.mark.parametrize('encoding', ['nv12', 'nv21'])
def test_half_resolution_colour_is_decoded(encoding):
    bgr = np.zeros((8, 12, 3), np.uint8)
    bgr[:] = (30, 120, 200)
    y, u, v = np.split(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420).reshape(-1), [96, 120])
    pairs = np.stack((u, v) if encoding == 'nv12' else (v, u), axis=1).reshape(-1)
    data = np.zeros((12, 16), np.uint8)  # rows with padding
    data[:, :12] = np.concatenate([y, pairs]).reshape(12, 12)
    decoded = image_to_bgr(data.tobytes(), encoding, 8, 12, 16)
    assert np.abs(decoded.astype(int) - bgr).max() <= 3
    with pytest.raises(SourceError, match='must be even'):
        image_to_bgr(data.tobytes(), encoding, 7, 12, 16)
    with pytest.raises(SourceError, match='needs 192'):
        image_to_bgr(data.tobytes()[:-1], encoding, 8, 12, 16)


def test_depth_and_video_are_rejected_by_name():
    with pytest.raises(SourceError, match="'16UC1' is not supported: it holds distances"):
        image_to_bgr(bytes(8), '16UC1', 2, 2, 4)
    with pytest.raises(SourceError, match="format 'h264' is video"):
        compressed_to_bgr(b'xx', 'h264')
    with pytest.raises(SourceError, match='depth image'):
        compressed_to_bgr(b'xx', '16UC1; compressedDepth png')


def test_unknown_encodings_and_short_data_are_rejected_by_name():
    with pytest.raises(SourceError, match="encoding '32FC1' is not supported"):
        image_to_bgr(b'', '32FC1', 1, 1, 4)
    with pytest.raises(
        SourceError, match='image of 4x4 bgr8 with step 12 holds 3 bytes: needs 48'
    ):
        image_to_bgr(b'abc', 'bgr8', 4, 4, 12)
    with pytest.raises(SourceError, match='compressed image of 3 bytes cannot be decoded'):
        compressed_to_bgr(b'abc')
    assert 'bgr8' in SUPPORTED_ENCODINGS


# -- cameras, URLs, test pattern ---------------------------------------------------------------


def fake_dev(tmp_path, *numbers):
    for folder in ('v4l/by-id', 'v4l/by-path'):
        (tmp_path / 'dev' / folder).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (tmp_path / f'dev/video{number}').touch()
        (tmp_path / f'sys/video{number}').mkdir(parents=True, exist_ok=True)
        (tmp_path / f'sys/video{number}/name').write_text(f'Camera {number}\n')
    return tmp_path / 'dev', tmp_path / 'sys'


def test_a_missing_camera_says_which_exist(tmp_path):
    dev, sysfs = fake_dev(tmp_path, 10, 2)
    with pytest.raises(SourceError) as caught:
        DevicePath('7', dev, sysfs).resolve()
    assert str(caught.value) == (
        f'camera 7: does not exist; present: {dev}/video2 (Camera 2), {dev}/video10 (Camera 10)'
    )


def test_without_any_camera_the_message_says_so(tmp_path):
    with pytest.raises(SourceError, match='this machine has no camera'):
        DevicePath('0', tmp_path, tmp_path).resolve()


def test_after_a_reconnect_the_same_camera_is_found_under_its_new_number(tmp_path):
    dev, sysfs = fake_dev(tmp_path, 0, 1)
    link = dev / 'v4l/by-id/usb-Good_Camera-video-index0'
    link.symlink_to('../../video0')
    device = DevicePath('0', dev, sysfs)
    assert device.resolve() == dev / 'video0'
    link.unlink()
    (dev / 'video0').unlink()
    assert not device.is_present()
    with pytest.raises(SourceError, match='camera 0: does not exist'):
        device.resolve()  # video1 is another camera
    (dev / 'video2').touch()
    link.symlink_to('../../video2')
    assert device.resolve() == dev / 'video2'


def test_a_stable_name_is_looked_up_every_time(tmp_path):
    dev, sysfs = fake_dev(tmp_path, 0, 1)
    link = dev / 'v4l/by-id/usb-X'
    link.symlink_to('../../video1')
    device = DevicePath(str(link), dev, sysfs)
    assert device.resolve() == dev / 'video1'
    link.unlink()
    link.symlink_to('../../video0')
    assert device.resolve() == dev / 'video0'


def test_the_camera_model_defaults_to_60_degrees():
    assert camera_model(200, 100, 0.0).focal_px == pytest.approx(100 / np.tan(np.pi / 6))
    assert camera_model(200, 100, 321.0) == CameraModel(200, 100, 321.0)


def test_passwords_of_urls_are_not_shown():
    assert without_password('rtsp://me:secret@host:554/a') == 'rtsp://me:***@host:554/a'
    assert make_source('rtsp://me:secret@host/a', SourceSettings()).name == 'rtsp://me:***@host/a'


def test_an_http_url_of_a_video_file_is_a_file_and_other_urls_are_live():
    assert not make_source('http://host/clip.mp4?x=1', SourceSettings()).is_live
    assert make_source('http://host/stream', SourceSettings()).is_live
    assert make_source('rtsp://host/clip.mp4', SourceSettings()).is_live


def test_the_test_pattern_is_the_same_every_time_and_moves():
    first, second = (
        read_all(open_source('test-pattern:0.5', SourceSettings(width=96, height=64, fps=20)))
        for _ in range(2)
    )
    assert len(first) == 10 and first[0].bgr.shape == (64, 96, 3)
    assert all(np.array_equal(a.bgr, b.bgr) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0].bgr, first[9].bgr)
    assert make_source('test-pattern', SourceSettings()).frame_count is None


@pytest.mark.parametrize('spec', ['', 'test-pattern:long', 'test-pattern:-1'])
def test_specs_without_meaning_are_rejected(spec):
    with pytest.raises(SourceError):
        make_source(spec, SourceSettings())
