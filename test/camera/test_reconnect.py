"""Live sources: newest frame only, stamped at capture, and back after a loss."""

import random
import threading
import time

import cv2
import numpy as np
import pytest

from kf_imitation.camera.frame_source import SourceLost
from kf_imitation.camera.live import LiveSource
from kf_imitation.camera.reconnect import Reconnecting
from kf_imitation.data_types import CameraModel, Frame
from kf_imitation.errors import SourceError
from kf_imitation.parameters.settings import SourceSettings

ONE = np.zeros((6, 8, 3), np.uint8)


class FakeDevice:
    """A capture that delivers what it is fed; None makes it fail for good."""

    def __init__(self):
        self.feed = []
        self.wanted = threading.Condition()
        self.properties = {}
        self.order = []
        self.released = False
        self.grabbed = 0

    def push(self, *values):
        with self.wanted:
            self.feed.extend(values)
            self.wanted.notify_all()

    def grab(self):
        with self.wanted:
            self.wanted.wait_for(lambda: self.feed, 10)
            self.value = self.feed.pop(0) if self.feed else None
            self.grabbed += self.value is not None
            self.wanted.notify_all()
        return self.value is not None

    def retrieve(self):
        return True, np.full((6, 8, 3), self.value, np.uint8)

    def set(self, prop, value):
        self.properties[prop] = value
        self.order.append(prop)
        return True

    def get(self, prop):
        return self.properties.get(prop, 0.0)

    def release(self):
        self.released = True

    def until_taken(self, count):
        with self.wanted:
            assert self.wanted.wait_for(lambda: self.grabbed >= count, 10)


def test_only_the_newest_frame_is_read_and_dropped_ones_are_counted():
    device = FakeDevice()
    source = LiveSource('cam', lambda: device, SourceSettings())
    device.push(1)
    source.open()
    assert source.is_live and source.camera.width == 8
    device.push(2, 3, 4, 5)
    device.push(6)
    device.until_taken(6)
    while (frame := source.read()).index < 5:  # the reader may be one frame behind its grab()
        pass
    assert frame.bgr[0, 0, 0] == 6
    device.push(None)
    source.close()
    assert device.released


def test_stamps_are_the_time_of_capture():
    device = FakeDevice()
    source = LiveSource('cam', lambda: device, SourceSettings(), driver_stamps=True)
    # V4L2: monotonic milliseconds; captured 0.2 s ago.
    device.properties[cv2.CAP_PROP_POS_MSEC] = (time.monotonic() - 0.2) * 1e3
    device.push(1)
    source.open()
    age_s = time.time() - source.read().stamp_ns * 1e-9
    assert 0.2 <= age_s < 2.0
    device.properties[cv2.CAP_PROP_POS_MSEC] = 12.0  # a driver that counts from its start
    before_ns = time.time_ns()
    device.push(2)
    assert before_ns <= source.read().stamp_ns <= time.time_ns()
    device.push(None)
    source.close()


def test_a_device_that_fails_or_falls_silent_is_lost():
    device = FakeDevice()
    source = LiveSource('cam', lambda: device, SourceSettings(), silence_s=0.01)
    device.push(1)
    source.open()
    assert source.read() is not None
    with pytest.raises(SourceLost, match=r'cam: is gone: no frame for 0\.01 s'):
        source.read()
    device.push(None)
    source.close()

    device = FakeDevice()
    source = LiveSource('cam', lambda: device, SourceSettings())
    device.push(1)
    source.open()
    source.read()
    device.push(None)
    with pytest.raises(SourceLost, match='the device stopped delivering'):
        source.read()
    source.close()


def test_a_device_that_opens_but_delivers_nothing_is_an_error():
    device = FakeDevice()
    device.push(None)
    with pytest.raises(SourceError, match='cam: opens, but delivers nothing'):
        LiveSource('cam', lambda: device, SourceSettings()).open()
    assert device.released


def test_close_wakes_a_reader_that_waits():
    device = FakeDevice()
    source = LiveSource('cam', lambda: device, SourceSettings(), silence_s=60)
    device.push(1)
    source.open()
    source.read()
    results = []
    thread = threading.Thread(target=lambda: results.append(source.read()))
    thread.start()
    device.push(None)  # lets the reader thread end
    source.close()
    thread.join(5)
    assert not thread.is_alive()


def test_settings_are_asked_for_with_the_pixel_format_first():
    device = FakeDevice()
    device.push(1)
    settings = SourceSettings(width=640, height=480, fps=60, fourcc='MJPG')
    source = LiveSource('cam', lambda: device, settings)
    source.open()
    assert device.order[0] == cv2.CAP_PROP_FOURCC
    assert device.properties[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter_fourcc(*'MJPG')
    assert device.properties[cv2.CAP_PROP_FRAME_WIDTH] == 640
    assert source.fps == 60
    device.push(None)
    source.close()
    with pytest.raises(SourceError, match="fourcc 'MJPEG' must be four characters"):
        LiveSource('cam', lambda: device, SourceSettings(fourcc='MJPEG'))


# -- Reconnecting ------------------------------------------------------------------------------


class FakeClock:
    def __init__(self):
        self.time_s = 0.0
        self.waits = []
        self.on_wait = lambda: None

    def now_s(self):
        return self.time_s

    def wait(self, stop, seconds):
        self.waits.append(seconds)
        self.time_s += seconds
        self.on_wait()


class Scripted:
    """A source that plays a list: numbers are stamps, 'lost' and 'missing' are losses."""

    is_live = True
    name = 'cam'
    fps = 30.0
    frame_count = None

    def __init__(self, script, log):
        self.script = script
        self.camera = CameraModel(8, 6, 7.0)
        self.index = 0
        self.log = log

    def open(self):
        self.log.append('open')
        if self.script and self.script[0] == 'missing':
            self.script.pop(0)
            raise SourceError('camera 0: does not exist')
        self.index = 0

    def read(self):
        item = self.script.pop(0) if self.script else None
        if item is None:
            return None
        if item == 'lost':
            raise SourceLost('cam: is gone')
        frame = Frame(self.index, item, ONE)
        self.index += 1
        return frame

    def close(self):
        self.log.append('close')


def reconnecting(script, pause_s=2.0):
    log, clock = [], FakeClock()
    return Reconnecting(lambda: Scripted(script, log), pause_s, clock), log, clock


def drain(source):
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def test_a_lost_device_is_waited_for_and_opened_again():
    source, log, clock = reconnecting([10, 20, 'lost', 'missing', 'missing', 30, 40])
    source.open()
    frames = drain(source)
    assert [f.stamp_ns for f in frames] == [10, 20, 30, 40]
    assert [f.index for f in frames] == [0, 1, 2, 3]
    assert clock.waits == [2.0, 2.0, 2.0] and source.reconnects == 1
    assert log == ['open', 'close', 'open', 'close', 'open', 'close', 'open']
    assert 'back for the 1. time' in source.state


def test_an_old_frame_is_never_returned_after_a_loss():
    source, _, _ = reconnecting([10, 20, 'lost', 15, 20, 30])
    source.open()
    assert [f.stamp_ns for f in drain(source)] == [10, 20, 30]


def test_a_device_that_is_missing_from_the_start_is_an_error():
    source, _, _ = reconnecting(['missing'])
    with pytest.raises(SourceError, match='does not exist'):
        source.open()


def test_the_state_reports_what_is_waited_for():
    source, _, clock = reconnecting([10, 'lost', 'missing', 20])
    states = []
    clock.on_wait = lambda: states.append(source.state)
    source.open()
    drain(source)
    assert states[0] == 'waiting for cam (0 s, 0 attempts): cam: is gone'
    assert states[1] == 'waiting for cam (2 s, 1 attempts): camera 0: does not exist'


def test_close_ends_the_waiting():
    source, _, clock = reconnecting([10, 'lost'])
    clock.on_wait = source.close
    source.open()
    source.read()
    assert source.read() is None


def test_random_drops_never_repeat_a_frame_and_settings_are_applied_every_time():
    rng = random.Random(5)
    devices = []

    def opener():
        device = FakeDevice()
        devices.append(device)
        if rng.random() < 0.3 and len(devices) > 1:
            raise SourceError('not there yet')
        device.push(len(devices), *([7] * rng.randrange(4)), None)
        return device

    settings = SourceSettings(width=320, fourcc='YUYV')
    clock = FakeClock()
    source = Reconnecting(lambda: LiveSource('cam', opener, settings), 0.5, clock)
    source.open()
    frames = [source.read() for _ in range(40)]
    stamps = [f.stamp_ns for f in frames]
    assert stamps == sorted(set(stamps))
    indices = [f.index for f in frames]
    assert indices == sorted(set(indices))
    opened = [d for d in devices if d.order]
    assert source.reconnects >= 5
    assert all(d.properties[cv2.CAP_PROP_FRAME_WIDTH] == 320 for d in opened)
    assert all(d.released for d in opened[:-1])
    source.close()
