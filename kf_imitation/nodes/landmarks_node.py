"""Landmarks node: landmarks, head pose and expression channels of every keyframe."""

import sys
from collections.abc import Mapping
from typing import Any

from geometry_msgs.msg import Point, PolygonStamped, PoseStamped
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter as RosParameter
from sensor_msgs.msg import CameraInfo, Image, JointState
from visualization_msgs.msg import Marker, MarkerArray

from kf_imitation.data_types import CameraModel, FaceImage
from kf_imitation.errors import ConfigError, SourceError
from kf_imitation.nodes import qos
from kf_imitation.nodes.calibrator import Calibrator
from kf_imitation.nodes.conversions import from_camera_info, from_image, header, to_ns
from kf_imitation.nodes.face_messages import from_region, to_expression, to_landmarks, to_pose
from kf_imitation.nodes.handover import Crops
from kf_imitation.nodes.humans import HumanTopics
from kf_imitation.nodes.node_base import OK, KfNode
from kf_imitation.nodes.node_main import run_node
from kf_imitation.parameters.definition import Value
from kf_imitation.pipeline.face_pipeline import (
    ExpressionPipeline,
    FaceReading,
    build_expression_pipeline,
    calibration_of,
    expression_settings,
)
from kf_imitation.pipeline.flow_control import LatencyBound

# Halves of a keyframe (image, camera_info) kept until the other arrives; far above what is
# under way at once.
_KEPT = 16


class LandmarksNode(KfNode):
    """Runs ExpressionPipeline on keyframe/image and the keyframe/camera_info of its stamp."""

    def __init__(
        self,
        overrides: Mapping[str, Value] | None = None,
        pipeline: ExpressionPipeline | None = None,
        crops: Crops | None = None,
        **options: Any,
    ) -> None:
        """Load the model and listen.

        Args:
            overrides: parameter values that override parameter files.
            pipeline: for tests; None builds it from the parameters.
            crops: from a keyframe node of this process, in place of keyframe/image.
            options: for rclpy.node.Node.

        Raises:
            ConfigError: a parameter breaks its rule, or the calibration file is faulty.
            ModelError: the model is missing or altered.
        """
        super().__init__('landmarks', overrides, **options)
        self._pipeline = pipeline or build_expression_pipeline(self.settings, self.ledger)
        most_s = self.setting('most_latency_s', float)
        self._bound = LatencyBound('landmarks', most_s, self.now_ns, self.ledger)
        self._infos: dict[int, CameraInfo] = {}
        self._images: dict[int, Image] = {}
        self._last_ns = -1
        self._state = 'no keyframe yet'
        few = qos.keyframe_topics()
        self._landmarks = self.create_publisher(PolygonStamped, 'face/landmarks', few)
        self._poses = self.create_publisher(PoseStamped, 'face/head_pose', few)
        self._expressions = self.create_publisher(JointState, 'face/expression', few)
        self._markers = self.create_publisher(MarkerArray, 'face/markers', few)
        self._humans = HumanTopics(self) if self.setting('humans', bool) else None
        self._track_id = 0  # whose face a keyframe shows, where messages bring them
        if crops is None:
            per_frame = qos.per_frame_subscription()
            self.create_subscription(PolygonStamped, 'face/region', self._on_region, per_frame)
            self.create_subscription(CameraInfo, 'keyframe/camera_info', self._on_info, few)
            self.create_subscription(Image, 'keyframe/image', self._on_image, few)
        else:
            crops.deliver_at_once(lambda taken: self._read(*taken))
        self.add_on_set_parameters_callback(self._check_calibration)
        Calibrator(self, self._pipeline.read_raw, self._use)

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return what the last keyframe looked like."""
        values: dict[str, object] = {'keyframes [Hz]': round(self.rate_hz('read'), 1)}
        belief, shift = self._pipeline.neutral()
        values['neutral face learned'] = f'{belief:.0%}'
        values |= {f'neutral {name}': f'{by:+.2f}' for name, by in shift.items()}
        return OK, self._state, values

    def on_settings(self, changed: Mapping[str, Value]) -> None:
        """Apply confidence, filter, gains and calibration from the next keyframe on."""
        self._pipeline.configure(expression_settings(self.settings))
        if 'calibration' in changed:
            self._pipeline.calibrate(calibration_of(self.settings))

    def _check_calibration(self, changes: list[RosParameter]) -> SetParametersResult:
        try:
            for change in changes:
                if change.name == 'calibration':
                    calibration_of({'calibration': change.value})
        except ConfigError as fault:
            return SetParametersResult(successful=False, reason=str(fault))
        return SetParametersResult(successful=True)

    def _use(self, file: str) -> None:
        """Take a calibration that was just made, as `ros2 param set` would."""
        self.set_parameters([RosParameter('calibration', value=file)])

    def _on_region(self, message: PolygonStamped) -> None:
        region = from_region(message)
        if region is not None:
            self._track_id = region.track_id

    def _on_info(self, info: CameraInfo) -> None:
        self._join(to_ns(info.header.stamp), self._infos, info)

    def _on_image(self, image: Image) -> None:
        self._join(to_ns(image.header.stamp), self._images, image)

    def _join(self, stamp_ns: int, halves: dict[int, Any], message: Any) -> None:
        """Keep half a keyframe until its other half is there."""
        halves[stamp_ns] = message
        while len(halves) > _KEPT:
            del halves[min(halves)]
        if stamp_ns in self._infos and stamp_ns in self._images:
            self._unpack(self._infos.pop(stamp_ns), self._images.pop(stamp_ns))

    def _unpack(self, info: CameraInfo, image: Image) -> None:
        try:
            bgr = from_image(image)
        except SourceError as fault:
            self.ledger.add('left out')
            self._state = f'a keyframe cannot be read: {fault}'
            self.get_logger().warning(self._state, throttle_duration_sec=1.0)
            return
        roi, stamp_ns = info.roi, to_ns(image.header.stamp)
        place = (roi.x_offset, roi.y_offset, roi.width, roi.height)
        face = FaceImage(stamp_ns, bgr, *place, self._track_id)
        self._read(face, from_camera_info(info), image.header.frame_id)

    def _read(self, face: FaceImage, camera: CameraModel, frame_id: str) -> None:
        stamp_ns = face.stamp_ns
        if self._bound.skips(stamp_ns):
            return
        if stamp_ns <= self._last_ns:
            self._pipeline.reset()  # a bag that starts again, or a clock that was set back
        self._last_ns = stamp_ns
        reading = self._pipeline.run(face, camera)
        self.ledger.add('read')
        confidence = float(reading.landmarks.confidence.mean())
        self._state = f'last keyframe read with confidence {confidence:.2f}'
        with self.ledger.timed('publish expression'):
            self._expressions.publish(to_expression(reading.expression, frame_id))
        if self._humans is not None:
            self._humans.read(reading, camera, frame_id)
        if self._landmarks.get_subscription_count():
            self._landmarks.publish(to_landmarks(reading.landmarks, frame_id))
        if self._poses.get_subscription_count():
            self._poses.publish(to_pose(reading.pose, frame_id))
        if self._markers.get_subscription_count():
            self._markers.publish(landmark_markers(reading, camera, frame_id))


def landmark_markers(reading: FaceReading, camera: CameraModel, frame_id: str) -> MarkerArray:
    """Landmarks as dots in the camera optical frame, all at the distance of the head."""
    distance_m = float(reading.pose.translation_m[2])
    scale = distance_m / camera.focal_px
    marker = Marker(
        header=header(reading.landmarks.stamp_ns, frame_id),
        ns='landmarks',
        type=Marker.POINTS,
        action=Marker.ADD,
    )
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = 0.002
    marker.color.g = marker.color.a = 1.0
    marker.points = [
        Point(
            x=float(x - camera.width / 2) * scale,
            y=float(y - camera.height / 2) * scale,
            z=distance_m,
        )
        for x, y in reading.landmarks.points_px
    ]
    return MarkerArray(markers=[marker])


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own."""
    return run_node(LandmarksNode, args)


if __name__ == '__main__':
    sys.exit(main())
