"""Pixel formats of ROS images (sensor_msgs/image_encodings.hpp) to BGR."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import Image
from kf_imitation.errors import SourceError

# encoding: (bytes per pixel, OpenCV conversion to BGR or None, bits per sample).
# cv2 names Bayer patterns by the second row, ROS by the first: rggb is cv2's BG.
_FORMATS: dict[str, tuple[int, int | None, int]] = {
    'bgr8': (3, None, 8),
    '8uc3': (3, None, 8),
    'rgb8': (3, cv2.COLOR_RGB2BGR, 8),
    'bgra8': (4, cv2.COLOR_BGRA2BGR, 8),
    '8uc4': (4, cv2.COLOR_BGRA2BGR, 8),
    'rgba8': (4, cv2.COLOR_RGBA2BGR, 8),
    'mono8': (1, cv2.COLOR_GRAY2BGR, 8),
    '8uc1': (1, cv2.COLOR_GRAY2BGR, 8),
    'mono16': (2, cv2.COLOR_GRAY2BGR, 16),
    'bgr16': (6, None, 16),
    'rgb16': (6, cv2.COLOR_RGB2BGR, 16),
    'bgra16': (8, cv2.COLOR_BGRA2BGR, 16),
    'rgba16': (8, cv2.COLOR_RGBA2BGR, 16),
    'yuv422': (2, cv2.COLOR_YUV2BGR_UYVY, 8),
    'uyvy': (2, cv2.COLOR_YUV2BGR_UYVY, 8),
    'yuv422_yuy2': (2, cv2.COLOR_YUV2BGR_YUY2, 8),
    'yuyv': (2, cv2.COLOR_YUV2BGR_YUY2, 8),
    **{
        f'bayer_{pattern}{bits}': (bits // 8, code, bits)
        for bits in (8, 16)
        for pattern, code in (
            ('rggb', cv2.COLOR_BayerBG2BGR),
            ('bggr', cv2.COLOR_BayerRG2BGR),
            ('gbrg', cv2.COLOR_BayerGR2BGR),
            ('grbg', cv2.COLOR_BayerGB2BGR),
        )
    },
}
# Brightness in full, then colour of every 2 x 2 pixels in half as many rows.
_HALF_COLOUR = {
    'nv12': cv2.COLOR_YUV2BGR_NV12,
    'nv21': cv2.COLOR_YUV2BGR_NV21,
    'i420': cv2.COLOR_YUV2BGR_I420,
    'yuv420': cv2.COLOR_YUV2BGR_I420,
    'yuv420p': cv2.COLOR_YUV2BGR_I420,
    'yv12': cv2.COLOR_YUV2BGR_YV12,
}
# Names of V4L2 and ffmpeg.
_ALSO = {
    'grey': 'mono8',
    'gray8': 'mono8',
    'y8': 'mono8',
    'y16': 'mono16',
    'bgr24': 'bgr8',
    'rgb24': 'rgb8',
    'yuy2': 'yuyv',
}
# A whole image file as it came from the camera.
_FILES = ('jpeg', 'jpg', 'mjpeg', 'mjpg', 'png')
SUPPORTED_ENCODINGS = (*_FORMATS, *_HALF_COLOUR)
_OF_CV_BRIDGE = ('rgb', 'bgr16', 'bgra', 'mono8', 'bayer', 'yuv422')  # how their names begin
# A reason that helps more than the list of what is supported.
_REFUSED = {
    '16uc1': ': it holds distances; name the colour topic of the depth camera, or its infrared '
    'topic, which must have infra in its name',
    '32fc1': ': it holds distances; name the colour or infrared topic of the depth camera',
}
# 16-bit samples often hold fewer bits: these are told apart by the largest value seen.
_DEPTHS = (8, 10, 12, 14, 16)
# Formats of sensor_msgs/CompressedImage that are video: a message is no picture by itself.
_VIDEO = ('h264', 'h265', 'hevc', 'av1', 'vp8', 'vp9', 'theora')


class GreySamples:
    """How the 16-bit grey images of one topic are to be read.

    Attributes:
        infrared: 16UC1 is brightness here, not distance; its topic says so.
    """

    def __init__(self, topic: str = '') -> None:
        name = topic.lower()
        self.infrared = 'infra' in name or '/ir/' in f'{name}/'
        self._bits = 0

    def to_8_bits(self, samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Scale to 8 bits; how much follows from the brightest value seen so far."""
        used = int(samples.max(initial=0)).bit_length()
        self._bits = max(self._bits, min(depth for depth in _DEPTHS if depth >= used))
        return _to_8_bits(samples, self._bits)


def _to_8_bits(samples: NDArray[np.uint16], bits: int = 16) -> NDArray[np.uint8]:
    """Round to the nearest of 256 steps, as cv_bridge does."""
    return np.asarray(cv2.convertScaleAbs(samples, alpha=255 / (2**bits - 1)), np.uint8)


def image_to_bgr(
    data: bytes | bytearray | memoryview | NDArray[np.uint8],
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool = False,
    grey: GreySamples | None = None,
) -> Image:
    """Convert the fields of a sensor_msgs/Image.

    Args:
        data: rows of `step` bytes.
        encoding: as in sensor_msgs/image_encodings.hpp, or jpeg, png and names of V4L2; 16-bit
            samples are scaled to 8 bits.
        height: rows.
        width: columns.
        step: bytes from row to row, at least width times the bytes of a pixel.
        is_bigendian: byte order of 16-bit samples.
        grey: of the topic, for 16-bit grey; None judges every image alone.

    Returns:
        (height, width, 3) uint8 BGR, always a copy.

    Raises:
        SourceError: the encoding is not one of SUPPORTED_ENCODINGS, or the sizes contradict.
    """
    if height < 1 or width < 1:
        raise SourceError(f'image of {width}x{height} pixels')
    grey = grey or GreySamples()
    name = encoding.strip().lower()
    name = _ALSO.get(name, name)
    if name in _FILES or name in _VIDEO:
        return compressed_to_bgr(data, name)
    if name in _HALF_COLOUR:
        return _half_colour(data, name, height, width, step)
    if name == '16uc1' and grey.infrared:
        name = 'mono16'
    if not name:
        name = _only_guess(width, step)
    known = _FORMATS.get(name)
    if known is None:
        why = _REFUSED.get(name)
        raise SourceError(
            f'image encoding {encoding[:40]!r} is not supported'
            + (why or f' (one of: {", ".join(SUPPORTED_ENCODINGS)})')
        )
    pixel_bytes, conversion, bits = known
    raw = np.frombuffer(data, np.uint8)
    if step < width * pixel_bytes or raw.size < step * height:
        raise SourceError(
            f'image of {width}x{height} {encoding} with step {step} holds {raw.size} bytes: '
            f'needs {max(step, width * pixel_bytes) * height}'
        )
    rows = raw[: step * height].reshape(height, step)[:, : width * pixel_bytes]
    samples: NDArray[Any] = np.ascontiguousarray(rows)
    if bits == 16:
        samples = samples.view('>u2' if is_bigendian else '<u2').astype(np.uint16)
    channels = pixel_bytes * 8 // bits
    pixels = samples.reshape((height, width, channels) if channels > 1 else (height, width))
    if name == 'mono16':
        name, pixels = 'mono8', grey.to_8_bits(pixels)
    try:
        return _to_bgr(pixels, name, conversion)
    except cv2.error as error:
        raise SourceError(f'image of {width}x{height} {encoding}: {error.err}') from error


def _to_bgr(pixels: NDArray[Any], name: str, conversion: int | None) -> Image:
    """Convert by cv_bridge where ROS has it, else alike: a test compares them."""
    bridge = _cv_bridge() if name.startswith(_OF_CV_BRIDGE) else None
    if bridge:
        with suppress(RuntimeError):  # an older one lacks encodings
            return bridge(pixels, name, 'bgr8')
    bgr = np.array(pixels) if conversion is None else cv2.cvtColor(pixels, conversion)
    return _to_8_bits(bgr) if bgr.dtype == np.uint16 else np.asarray(bgr, np.uint8)


@cache
def _cv_bridge() -> Callable[[NDArray[Any], str, str], Image] | None:
    """Return the conversion of cv_bridge; None without it.

    It is built for the system's numpy: beside another it would end the program.
    """
    if not np.__file__.startswith('/usr/lib/'):
        return None
    try:
        from cv_bridge.boost.cv_bridge_boost import cvtColor2
    except ImportError:
        return None
    return cvtColor2  # type: ignore[no-any-return]


def _only_guess(width: int, step: int) -> str:
    """Return the encoding of an image that does not name it, where only one is likely."""
    if step // max(width, 1) == 1:
        return 'mono8'
    raise SourceError(
        f'the image names no encoding, and {step} bytes for {width} pixels may be several; its '
        f'driver must fill in the field encoding, for example bgr8 or rgb8'
    )


def compressed_to_bgr(
    data: bytes | bytearray | memoryview | NDArray[np.uint8], description: str = ''
) -> Image:
    """Decode the data of a sensor_msgs/CompressedImage (JPEG, PNG, WebP, …).

    Args:
        data: a whole image file.
        description: the message's format, for example `bgr8; jpeg compressed bgr8`.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        SourceError: depth, video, or bytes that are not an image.
    """
    if 'compressedDepth' in description:
        raise SourceError('a depth image (compressedDepth) shows no face')
    if any(name in description.lower() for name in _VIDEO):
        raise SourceError(
            f'format {description!r} is video, of which single images are no part; turn it into '
            f'images first (ros2 run image_transport republish)'
        )
    name = f' ({description})' if description else ''
    size = np.frombuffer(data, np.uint8).size
    return decoded(data, f'compressed image of {size} bytes{name} cannot be decoded')


def decoded(data: bytes | bytearray | memoryview | NDArray[np.uint8], otherwise: str) -> Image:
    """Decode a whole image file; a JPEG without its end is torn.

    Args:
        data: the file.
        otherwise: what to say when it cannot be decoded.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        SourceError: it cannot be decoded.
    """
    raw = np.frombuffer(data, np.uint8)
    try:
        image = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    except cv2.error:  # too large, or sizes that contradict
        image = None
    if image is None:
        raise SourceError(otherwise)
    torn = raw[:2].tobytes() == b'\xff\xd8' and b'\xff\xd9' not in raw.tobytes()
    # Some cameras leave the end marker out; where pixels are missing, libjpeg fills in one grey.
    if torn and np.ptp(image[-8:], axis=(0, 1)).max() == 0:
        raise SourceError(f'{otherwise}: the JPEG ends in the middle')
    return np.asarray(image, np.uint8)


def _half_colour(
    data: bytes | bytearray | memoryview | NDArray[np.uint8],
    encoding: str,
    height: int,
    width: int,
    step: int,
) -> Image:
    raw = np.frombuffer(data, np.uint8)
    rows = height + height // 2
    if height % 2 or width % 2 or step < width:
        raise SourceError(
            f'image of {width}x{height} {encoding} with step {step}: width and height must be even'
        )
    if raw.size < step * rows:
        raise SourceError(
            f'image of {width}x{height} {encoding} holds {raw.size} bytes: needs {step * rows}'
        )
    pixels = np.ascontiguousarray(raw[: step * rows].reshape(rows, step)[:, :width])
    return np.asarray(cv2.cvtColor(pixels, _HALF_COLOUR[encoding]), np.uint8)
