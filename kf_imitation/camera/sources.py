"""Choose the source by what the user named."""

import re
from pathlib import Path

from kf_imitation.bags.recognition import is_bag
from kf_imitation.camera.device_path import DevicePath
from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.camera.image_folder import IMAGE_SUFFIXES, ImageFolder
from kf_imitation.camera.live import MOST_TORN, LiveSource, open_device, open_url, without_password
from kf_imitation.camera.reconnect import Reconnecting
from kf_imitation.camera.test_pattern import TestPattern
from kf_imitation.camera.upright import Upright
from kf_imitation.camera.video_file import VideoFile
from kf_imitation.errors import SourceError, nearest
from kf_imitation.parameters.settings import SourceSettings, UprightSettings
from kf_imitation.paths import user_path

VIDEO_SUFFIXES = frozenset({'.mp4', '.mov', '.mkv', '.webm', '.avi', '.m4v', '.mpg', '.mpeg'})
TEST_PATTERN = 'test-pattern'


def open_source(spec: str, settings: SourceSettings | None = None) -> FrameSource:
    """Open what a user named.

    Args:
        spec: a video file; a camera (`0`, /dev/video0, /dev/v4l/by-id/…); a folder of images; a
            ROS bag (folder, .mcap, .db3 or ROS 1 .bag); a URL (rtsp, http, …; an http URL of a
            video file plays it as a file); `test-pattern`, or `test-pattern:10` for 10 s of it.
        settings: defaults leave all to the source.

    Returns:
        The opened source. Cameras and streams reconnect by themselves (Reconnecting).

    Raises:
        SourceError: names spec and reason.
    """
    source = make_source(spec, settings or SourceSettings())
    source.open()
    return source


def make_source(spec: str, settings: SourceSettings) -> FrameSource:
    """As open_source, but does not open yet.

    Raises:
        SourceError: spec names nothing that exists, or the turn is not a quarter of a circle.
    """
    source = _plain_source(spec, settings)
    return source if settings.upright == UprightSettings() else Upright(source, settings.upright)


def _plain_source(spec: str, settings: SourceSettings) -> FrameSource:
    if not spec:
        raise SourceError(
            'source is empty: name a video, camera, folder, URL, bag or test-pattern'
        )
    if spec.startswith('topic:'):
        raise SourceError(
            f'{spec}: only mimic and its launch file take a topic; record a bag of it'
        )
    if spec == TEST_PATTERN or spec.startswith(f'{TEST_PATTERN}:'):
        return TestPattern(settings, _pattern_length_s(spec))
    if spec.startswith('file://'):
        return _file_source(user_path(spec), settings)
    if re.match(r'[a-z][a-z0-9+.-]*://', spec, re.IGNORECASE):
        return _url_source(spec, settings)
    if is_camera(spec):
        device = DevicePath(spec)
        device.require()
        return Reconnecting(
            lambda: LiveSource(
                f'camera {spec}', lambda: open_device(device), settings, driver_stamps=True
            ),
            settings.reconnect_s,
        )
    _, colon, rest = spec.partition(':')
    known = [f'{name}{colon}{rest}' for name in (TEST_PATTERN, *(('topic',) if colon else ()))]
    return _file_source(user_path(spec), settings, nearest(spec, known, 0.8))


def is_camera(spec: str) -> bool:
    """Whether a text names a camera: a number or a path below /dev."""
    number = spec.isascii() and spec.isdigit()  # `²` is a digit too, but no number
    return number or spec.startswith('/dev/')


def _file_source(path: Path, settings: SourceSettings, meant: str = '') -> FrameSource:
    if not path.exists():
        raise SourceError(f'{path}: does not exist{meant}')
    try:
        if is_bag(path):
            # Here, since cameras and videos do without the bag library.
            from kf_imitation.camera.bag_source import BagSource

            return BagSource(path, settings)
    except OSError as error:
        raise SourceError(f'{path}: cannot be read: {error.strerror}') from error
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFolder(path, settings)
    if not path.is_file():
        raise SourceError(f'{path}: is neither a file nor a folder')
    return VideoFile(path, settings)


def _url_source(url: str, settings: SourceSettings) -> FrameSource:
    scheme, _, rest = url.partition('://')
    path = rest.split('?')[0].split('#')[0]
    if scheme.lower() in ('http', 'https') and Path(path).suffix.lower() in VIDEO_SUFFIXES:
        return VideoFile(url, settings)
    name = without_password(url)
    return Reconnecting(
        lambda: LiveSource(name, lambda: open_url(url), settings, most_torn=MOST_TORN),
        settings.reconnect_s,
    )


def _pattern_length_s(spec: str) -> float | None:
    if spec == TEST_PATTERN:
        return None
    text = spec.partition(':')[2]
    try:
        length_s = float(text)
    except ValueError:
        length_s = -1.0
    if not 0 < length_s < 1e6:
        raise SourceError(
            f'{spec}: the length after the colon must be a number of seconds above 0'
        )
    return length_s
