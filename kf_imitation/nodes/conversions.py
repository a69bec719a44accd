"""Between ROS messages and the plain data of data_types.py; no state, nothing else."""

from array import array
from collections.abc import Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import ArrayLike
from sensor_msgs.msg import CameraInfo, CompressedImage, JointState
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from kf_imitation.camera.encodings import GreySamples, compressed_to_bgr, image_to_bgr
from kf_imitation.camera.frame_source import camera_model
from kf_imitation.data_types import CameraModel, FaceImage, Image


def to_time(stamp_ns: int) -> Time:
    """Nanoseconds to a ROS time."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def to_ns(stamp: Time) -> int:
    """ROS time to nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def header(stamp_ns: int, frame_id: str = '') -> Header:
    """Message header."""
    return Header(stamp=to_time(stamp_ns), frame_id=frame_id)


def to_image(bgr: Image, stamp_ns: int, frame_id: str) -> ImageMessage:
    """(H, W, 3) uint8 BGR to a bgr8 message; one copy."""
    height, width = bgr.shape[:2]
    data = array('B')
    # An array of bytes is the only type the message takes without checking every element,
    # which costs 120 ms for a full frame.
    data.frombytes(np.ascontiguousarray(bgr).data)
    return ImageMessage(
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding='bgr8',
        is_bigendian=0,
        step=3 * width,
        data=data,
    )


def from_image(message: ImageMessage, grey: GreySamples | None = None) -> Image:
    """Message to (H, W, 3) uint8 BGR; a view of the message where it is BGR already.

    Args:
        message: of any camera.
        grey: how 16-bit grey of this topic is read; None judges every image alone.

    Raises:
        SourceError: an encoding that is not supported, or too few bytes.
    """
    height, width, step = message.height, message.width, message.step
    flat = np.frombuffer(message.data, np.uint8)
    is_bgr = message.encoding in ('bgr8', '8UC3') and step == 3 * width
    if is_bgr and flat.size == height * step > 0:
        return flat.reshape(height, width, 3)
    is_big = bool(message.is_bigendian)
    return image_to_bgr(flat, message.encoding, height, width, step, is_big, grey)


def from_compressed(message: CompressedImage) -> Image:
    """Message to (H, W, 3) uint8 BGR.

    Raises:
        SourceError: no image that can be decoded.
    """
    return compressed_to_bgr(np.frombuffer(message.data, np.uint8), message.format)


def usable_info(info: CameraInfo, image: Image) -> CameraInfo:
    """Return the info of an image; a typical view's where it is of another size or all zero."""
    height, width = image.shape[:2]
    if (info.width, info.height) == (width, height) and info.k[0] > 0:
        return info
    return to_camera_info(camera_model(width, height, 0.0), 0, '')


def to_camera_info(camera: CameraModel, stamp_ns: int, frame_id: str) -> CameraInfo:
    """Pinhole camera without distortion."""
    f, cx, cy = camera.focal_px, camera.width / 2, camera.height / 2
    return CameraInfo(
        header=header(stamp_ns, frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=[f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def to_crop_info(info: CameraInfo, face: FaceImage, frame_id: str) -> CameraInfo:
    """Return the camera of a frame with the place of a face in it as roi."""
    crop = CameraInfo(
        header=header(face.stamp_ns, frame_id),
        height=info.height,
        width=info.width,
        distortion_model=info.distortion_model,
        d=info.d,
        k=info.k,
        r=info.r,
        p=info.p,
    )
    crop.roi.x_offset, crop.roi.y_offset = face.x, face.y
    crop.roi.width, crop.roi.height = face.width, face.height
    return crop


def from_camera_info(info: CameraInfo) -> CameraModel:
    """Size and focal length; an uncalibrated camera (all zero) is given a typical view."""
    return camera_model(int(info.width), int(info.height), float(info.k[0]))


def to_scalars(stamp_ns: int, values: Mapping[str, float], frame_id: str = '') -> JointState:
    """Named scalars as a JointState, which every plotting tool shows by name."""
    return JointState(
        header=header(stamp_ns, frame_id),
        name=list(values),
        position=array('d', (float(v) for v in values.values())),
    )


def from_scalars(message: JointState) -> dict[str, float]:
    """Named scalars of a JointState."""
    return dict(zip(message.name, message.position, strict=False))


def _doubles(values: ArrayLike) -> 'array[float]':
    result = array('d')
    result.frombytes(np.ascontiguousarray(values, np.float64).data.cast('B'))
    return result


def to_joint_state(
    stamp_ns: int,
    names: Sequence[str],
    position: ArrayLike,
    velocity: ArrayLike = (),
    effort: ArrayLike = (),
) -> JointState:
    """Joints in rad, rad/s and A."""
    return JointState(
        header=header(stamp_ns),
        name=list(names),
        position=_doubles(position),
        velocity=_doubles(velocity),
        effort=_doubles(effort),
    )
