"""What other programs know people by: TF frames and the topics of ROS4HRI (REP-155)."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from geometry_msgs.msg import PolygonStamped, TransformStamped

from kf_imitation.data_types import CameraModel, HeadPose
from kf_imitation.expression import ros4hri
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import header
from kf_imitation.nodes.face_messages import from_region, to_pose
from kf_imitation.pipeline.face_pipeline import FaceReading

FACES = '/humans/faces'


class HumanTopics:
    """Publishes what the installed messages allow: tf2_msgs the frames, hri_msgs the topics.

    Frames: face_ID (x out of the face, y to its left, z up) below the camera's optical frame, and
    gaze_ID (z along the gaze) below it. ID is the track of the face region.

    Args:
        node: a KfNode.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._tf_messages, self._hri = _messages('tf2_msgs'), _messages('hri_msgs')
        self._topics: dict[str, Any] = {}  # of the face that is tracked, by their last name
        self._face = ''
        self._camera: CameraModel | None = None
        if self._tf_messages:
            self._tf = node.create_publisher(
                self._tf_messages.TFMessage, '/tf', qos.keyframe_topics()
            )
        if self._hri:
            self._tracked = node.create_publisher(
                self._hri.IdsList, f'{FACES}/tracked', qos.latched()
            )
        if self._tf_messages or self._hri:
            node.create_subscription(
                PolygonStamped, 'face/region', self.see, qos.per_frame_subscription()
            )

    def see(self, message: PolygonStamped) -> None:
        """Take the face region of a frame."""
        region = from_region(message)
        face = '' if region is None else str(region.track_id)
        if face != self._face:
            self._follow(face, message)
        if region is not None and self._topics and self._camera is not None:
            edges = ros4hri.region_of_interest(region, self._camera).tolist()
            names = ('xmin', 'ymin', 'xmax', 'ymax')
            roi = dict(zip(names, edges, strict=True))
            self._topics['roi'].publish(
                self._hri.NormalizedRegionOfInterest2D(header=message.header, **roi, c=1.0)
            )

    def read(self, reading: FaceReading, camera: CameraModel, frame_id: str) -> None:
        """Publish what a keyframe says about the face that is tracked."""
        self._camera = camera
        if not self._face:
            return
        if self._tf_messages:
            face, gaze = f'face_{self._face}', f'gaze_{self._face}'
            frames = [
                _frame(ros4hri.face_pose(reading.pose), frame_id, face),
                _frame(ros4hri.gaze_pose(reading.pose, reading.expression), face, gaze),
            ]
            self._tf.publish(self._tf_messages.TFMessage(transforms=frames))
        if self._topics:
            about = header(reading.landmarks.stamp_ns, frame_id)
            points = [
                self._hri.NormalizedPointOfInterest2D(x=x, y=y, c=c)
                for x, y, c in ros4hri.facial_landmarks(reading.landmarks, camera).tolist()
            ]
            self._topics['landmarks'].publish(
                self._hri.FacialLandmarks(
                    header=about, landmarks=points, height=camera.height, width=camera.width
                )
            )
            intensity, confidence = ros4hri.action_units(reading.expression)
            self._topics['facs'].publish(
                self._hri.FacialActionUnits(
                    header=about, intensity=intensity.tolist(), confidence=confidence.tolist()
                )
            )

    def _follow(self, face: str, message: PolygonStamped) -> None:
        """Change to another face, or to none with ''."""
        self._face = face
        if not self._hri:
            return
        for publisher in self._topics.values():
            self._node.destroy_publisher(publisher)
        kinds = {
            'roi': self._hri.NormalizedRegionOfInterest2D,
            'landmarks': self._hri.FacialLandmarks,
            'facs': self._hri.FacialActionUnits,
        }
        self._topics = {
            name: self._node.create_publisher(
                kind, f'{FACES}/{face}/{name}', qos.keyframe_topics()
            )
            for name, kind in kinds.items()
            if face
        }
        ids = [face] if face else []
        self._tracked.publish(self._hri.IdsList(header=message.header, ids=ids))


def _messages(package: str) -> Any:
    """Return the messages of a package, or None where it is not installed."""
    return import_module(f'{package}.msg') if find_spec(package) else None


def _frame(pose: HeadPose, parent: str, child: str) -> TransformStamped:
    message = to_pose(pose, parent)
    transform = TransformStamped(header=message.header, child_frame_id=child)
    place = message.pose.position
    transform.transform.translation.x = place.x
    transform.transform.translation.y = place.y
    transform.transform.translation.z = place.z
    transform.transform.rotation = message.pose.orientation
    return transform
