"""The topics of a run as messages in a bag, from plain data; the same content as the nodes send.

A test compares both where ROS is installed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from kf_imitation.bags.writer import BagWriter
from kf_imitation.data_types import (
    CameraModel,
    Expression,
    FaceRegion,
    HeadPose,
    Image,
    Landmarks,
)

CAMERA_FRAME = 'camera_optical_frame'


class BagTopics:
    """Writes the stages' results to their topics; every message is stamped as its data."""

    def __init__(self, writer: BagWriter, frame_id: str = CAMERA_FRAME) -> None:
        """Bind to a writer.

        Args:
            writer: open.
            frame_id: of everything in the image or the camera frame.
        """
        self._writer = writer
        self._types: Mapping[str, Any] = writer.types
        self._frame_id = frame_id

    def score(self, score: float, stamp_ns: int, topic: str = 'keyframe/score') -> None:
        """Expression change of a frame, 0..1."""
        self._writer.write(topic, self._types['std_msgs/msg/Float32'](data=float(score)), stamp_ns)

    def scalars(
        self, topic: str, values: Mapping[str, float], stamp_ns: int, written_ns: int | None = None
    ) -> None:
        """Named scalars, for example keyframe/explanation.

        Args:
            topic: name.
            values: by name.
            stamp_ns: in the header.
            written_ns: time in the bag; None: as the header.
        """
        self._joint_state(topic, list(values), list(values.values()), (), (), stamp_ns, written_ns)

    def joints(
        self,
        topic: str,
        names: Sequence[str],
        position_rad: ArrayLike,
        stamp_ns: int,
        velocity_rad_s: ArrayLike = (),
        current_a: ArrayLike = (),
    ) -> None:
        """servo/joint_commands or joint_states; (J,) each, current goes to effort."""
        self._joint_state(
            topic, names, position_rad, velocity_rad_s, current_a, stamp_ns, None, frame_id=''
        )

    def expression(
        self, expression: Expression, written_ns: int | None = None, topic: str = 'face/expression'
    ) -> None:
        """Values of channels and blendshapes in position, their confidence in effort."""
        self._joint_state(
            topic,
            expression.names,
            expression.all_values,
            (),
            expression.all_confidence,
            expression.stamp_ns,
            written_ns,
        )

    def landmarks(
        self, landmarks: Landmarks, written_ns: int | None = None, topic: str = 'face/landmarks'
    ) -> None:
        """98 points, z = confidence."""
        rows = np.column_stack([landmarks.points_px, landmarks.confidence])
        self._polygon(topic, rows, landmarks.stamp_ns, written_ns)

    def region(self, region: FaceRegion | None, stamp_ns: int, topic: str = 'face/region') -> None:
        """Corners of the face region, z = track id; no points: no face."""
        rows = np.zeros((0, 3))
        if region is not None:
            x0, y0 = region.x, region.y
            x1, y1, track = x0 + region.size, y0 + region.size, region.track_id
            rows = np.array([(x0, y0, track), (x1, y0, track), (x1, y1, track), (x0, y1, track)])
        self._polygon(topic, rows, stamp_ns, None)

    def head_pose(
        self, pose: HeadPose, written_ns: int | None = None, topic: str = 'face/head_pose'
    ) -> None:
        """Head in the camera optical frame."""
        x, y, z, w = pose.quaternion
        px, py, pz = (float(v) for v in pose.translation_m)
        types = self._types
        message = types['geometry_msgs/msg/PoseStamped'](
            header=self._header(pose.stamp_ns),
            pose=types['geometry_msgs/msg/Pose'](
                position=types['geometry_msgs/msg/Point'](x=px, y=py, z=pz),
                orientation=types['geometry_msgs/msg/Quaternion'](x=x, y=y, z=z, w=w),
            ),
        )
        self._writer.write(topic, message, _or(written_ns, pose.stamp_ns))

    def camera_info(
        self,
        camera: CameraModel,
        stamp_ns: int,
        topic: str = 'camera_info',
        roi: tuple[int, int, int, int] = (0, 0, 0, 0),
        written_ns: int | None = None,
    ) -> None:
        """Pinhole camera without distortion; roi is x, y, width, height of a crop, 0: all."""
        f, cx, cy = camera.focal_px, camera.width / 2, camera.height / 2
        x, y, width, height = roi
        message = self._types['sensor_msgs/msg/CameraInfo'](
            header=self._header(stamp_ns),
            height=camera.height,
            width=camera.width,
            distortion_model='plumb_bob',
            d=np.zeros(5),
            k=np.array([f, 0, cx, 0, f, cy, 0, 0, 1.0]),
            r=np.eye(3).ravel(),
            p=np.array([f, 0, cx, 0, 0, f, cy, 0, 0, 0, 1.0, 0]),
            binning_x=0,
            binning_y=0,
            roi=self._types['sensor_msgs/msg/RegionOfInterest'](
                x_offset=x, y_offset=y, height=height, width=width, do_rectify=False
            ),
        )
        self._writer.write(topic, message, _or(written_ns, stamp_ns))

    def image(self, topic: str, bgr: Image, stamp_ns: int, written_ns: int | None = None) -> None:
        """(H, W, 3) uint8 as bgr8."""
        height, width = bgr.shape[:2]
        message = self._types['sensor_msgs/msg/Image'](
            header=self._header(stamp_ns),
            height=height,
            width=width,
            encoding='bgr8',
            is_bigendian=0,
            step=3 * width,
            data=np.ascontiguousarray(bgr).reshape(-1),
        )
        self._writer.write(topic, message, _or(written_ns, stamp_ns))

    def jpeg(
        self,
        topic: str,
        bgr: Image,
        stamp_ns: int,
        quality: int = 85,
        written_ns: int | None = None,
    ) -> None:
        """(H, W, 3) uint8 as a CompressedImage; quality 1..100."""
        _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        message = self._types['sensor_msgs/msg/CompressedImage'](
            header=self._header(stamp_ns), format='jpeg', data=np.asarray(data).reshape(-1)
        )
        self._writer.write(topic, message, _or(written_ns, stamp_ns))

    def _joint_state(
        self,
        topic: str,
        names: Sequence[str],
        position: ArrayLike,
        velocity: ArrayLike,
        effort: ArrayLike,
        stamp_ns: int,
        written_ns: int | None,
        frame_id: str | None = None,
    ) -> None:
        message = self._types['sensor_msgs/msg/JointState'](
            header=self._header(stamp_ns, frame_id),
            name=list(names),
            position=np.asarray(position, np.float64),
            velocity=np.asarray(velocity, np.float64),
            effort=np.asarray(effort, np.float64),
        )
        self._writer.write(topic, message, _or(written_ns, stamp_ns))

    def _polygon(self, topic: str, rows: ArrayLike, stamp_ns: int, written_ns: int | None) -> None:
        types = self._types
        point = types['geometry_msgs/msg/Point32']
        points = [point(x=float(x), y=float(y), z=float(z)) for x, y, z in np.asarray(rows)]
        message = types['geometry_msgs/msg/PolygonStamped'](
            header=self._header(stamp_ns),
            polygon=types['geometry_msgs/msg/Polygon'](points=points),
        )
        self._writer.write(topic, message, _or(written_ns, stamp_ns))

    def _header(self, stamp_ns: int, frame_id: str | None = None) -> Any:
        return self._types['std_msgs/msg/Header'](
            stamp=self._types['builtin_interfaces/msg/Time'](
                sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000
            ),
            frame_id=self._frame_id if frame_id is None else frame_id,
        )


def _or(value: int | None, other: int) -> int:
    return other if value is None else value
