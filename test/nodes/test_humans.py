"""People as other programs expect them: TF frames, and ROS4HRI where hri_msgs is installed.

No wheel brings tf2_msgs and hri_msgs, so their messages are made here, with the fields of the
public definitions; whatever has no such field fails.
"""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from geometry_msgs.msg import TransformStamped

from kf_imitation.data_types import CHANNELS, CameraModel, Expression, FaceRegion, HeadPose
from kf_imitation.data_types import Landmarks as Points
from kf_imitation.expression.ros4hri import action_units, face_pose, facial_landmarks, gaze_pose
from kf_imitation.nodes.face_messages import to_region
from kf_imitation.nodes.humans import HumanTopics
from kf_imitation.pipeline.face_pipeline import FaceReading

STAMP_NS = 1_700_000_000_000_000_000
CAMERA = CameraModel(640, 480, 554.0)
FIELDS = {
    'tf2_msgs': {'TFMessage': 'transforms'},
    'hri_msgs': {
        'IdsList': 'header ids',
        'NormalizedRegionOfInterest2D': 'header xmin ymin xmax ymax c',
        'NormalizedPointOfInterest2D': 'x y c',
        'FacialLandmarks': 'header landmarks height width',
        'FacialActionUnits': 'header intensity confidence',
    },
}


def message(name, fields):
    def fill(self, **values):
        assert set(values) <= set(fields.split()), f'{name} has no {values.keys()}'
        self.__dict__.update(values)

    return type(name, (), {'__init__': fill})


@pytest.fixture
def installed(monkeypatch):
    for package, messages in FIELDS.items():
        found, own = ModuleType(package), ModuleType(f'{package}.msg')
        found.__spec__ = SimpleNamespace(name=package)
        found.__path__ = []
        for name, fields in messages.items():
            setattr(own, name, message(name, fields))
        monkeypatch.setitem(sys.modules, package, found)
        monkeypatch.setitem(sys.modules, own.__name__, own)


class Node:
    """Keeps what is published, by topic; None is the end of a publisher."""

    def __init__(self):
        self.sent = {}
        self.open = set()
        self.heard = []

    def create_publisher(self, kind, topic, _):
        def publish(message):
            assert isinstance(message, kind)
            self.sent.setdefault(topic, []).append(message)

        self.open.add(topic)
        return SimpleNamespace(publish=publish, topic=topic)

    def destroy_publisher(self, publisher):
        self.open.remove(publisher.topic)

    def create_subscription(self, kind, topic, callback, _):
        self.heard.append(topic)


def expression(**channels):
    values = np.array([channels.get(name, 0.0) for name in CHANNELS], np.float32)
    return Expression(STAMP_NS, values, np.full(len(CHANNELS), 0.8, np.float32))


def pose():
    place = np.array([0.1, 0.0, 0.6], np.float32)
    return HeadPose(STAMP_NS, np.eye(3, dtype=np.float32), place, 0, 0, 0, 1)


def points():
    grid = np.stack([np.linspace(100, 500, 98), np.linspace(50, 400, 98)], 1)
    return Points(STAMP_NS, grid.astype(np.float32), np.full(98, 0.5, np.float32))


def axes(rotation):
    return [axis.round(3).tolist() for axis in np.asarray(rotation).T]


def test_a_face_that_looks_into_the_camera_has_x_towards_it_and_z_up():
    x, y, z = axes(face_pose(pose()).rotation)
    # In the camera's optical frame: x right, y down, z away from the camera.
    assert (x, y, z) == ([0, 0, -1], [1, 0, 0], [0, -1, 0])


def test_the_gaze_looks_along_z_to_the_left_and_up_as_its_channels_say():
    x, y, z = axes(gaze_pose(pose(), expression()).rotation)
    assert (x, y, z) == ([0, -1, 0], [0, 0, -1], [1, 0, 0])  # x right, y down
    rotation = gaze_pose(pose(), expression(gaze_yaw=0.3, gaze_pitch=0.2)).rotation
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-6)
    assert np.linalg.det(rotation) == pytest.approx(1)
    forward, left, up = rotation[:, 2]
    assert np.arctan2(left, forward) == pytest.approx(0.3, abs=1e-6)
    assert np.arcsin(up) == pytest.approx(0.2, abs=1e-6)


def test_channels_become_action_units_and_the_others_are_not_claimed():
    intensity, confidence = action_units(
        expression(mouth_smile_left=0.6, mouth_smile_right=0.2, head_yaw=-0.5, jaw_open=1.0)
    )
    assert intensity.shape == confidence.shape == (99,)
    assert intensity[[12, 26]] == pytest.approx([0.4, 1.0])
    assert intensity[51] == 0 and intensity[52] == pytest.approx(0.5 / (np.pi / 4))
    assert confidence[12] == pytest.approx(0.8) and confidence[9] == 0 == intensity[9]


def test_the_seventy_landmarks_are_those_of_ibug_and_the_pupils_as_fractions_of_the_image():
    given = points()
    got = facial_landmarks(given, CAMERA)
    assert got.shape == (70, 3) and got[:, 2] == pytest.approx(0.5)
    for theirs, ours in {0: 0, 8: 16, 16: 32, 17: 33, 30: 54, 36: 60, 48: 76, 68: 96}.items():
        assert got[theirs, :2] == pytest.approx(given.points_px[ours] / (640, 480))


def test_a_face_that_comes_and_goes_is_tracked_with_frames_and_topics(installed):
    node = Node()
    humans = HumanTopics(node)
    assert node.heard == ['face/region'] and node.open == {'/tf', '/humans/faces/tracked'}
    reading = FaceReading(points(), pose(), expression())
    humans.read(reading, CAMERA, 'camera_optical_frame')
    assert not node.sent  # nobody is tracked yet
    region = FaceRegion(-64.0, 48.0, 320.0, 7)
    humans.see(to_region(region, STAMP_NS, 'camera_optical_frame'))
    humans.read(reading, CAMERA, 'camera_optical_frame')
    humans.see(to_region(region, STAMP_NS, 'camera_optical_frame'))
    (tracked,) = node.sent['/humans/faces/tracked']
    assert tracked.ids == ['7'] and tracked.header.stamp.sec == STAMP_NS // 10**9
    face, gaze = node.sent['/tf'][0].transforms
    assert isinstance(face, TransformStamped)
    assert (face.header.frame_id, face.child_frame_id) == ('camera_optical_frame', 'face_7')
    assert (gaze.header.frame_id, gaze.child_frame_id) == ('face_7', 'gaze_7')
    assert face.transform.translation.z == pytest.approx(0.6)
    assert gaze.transform.translation.z == 0
    roi = node.sent['/humans/faces/7/roi'][-1]
    assert (roi.xmin, roi.ymin, roi.xmax, roi.ymax) == pytest.approx((0, 0.1, 0.4, 368 / 480))
    assert len(node.sent['/humans/faces/7/landmarks'][0].landmarks) == 70
    assert len(node.sent['/humans/faces/7/facs'][0].intensity) == 99
    humans.see(to_region(None, STAMP_NS, 'camera_optical_frame'))
    humans.read(reading, CAMERA, 'camera_optical_frame')
    assert node.sent['/humans/faces/tracked'][-1].ids == []
    assert len(node.sent['/tf']) == 1
    assert node.open == {'/tf', '/humans/faces/tracked'}


def test_without_their_messages_nothing_is_published_and_nothing_heard(monkeypatch):
    monkeypatch.setattr('kf_imitation.nodes.humans.find_spec', lambda name: None)
    node = Node()
    HumanTopics(node).read(FaceReading(points(), pose(), expression()), CAMERA, 'camera')
    assert not node.sent and not node.heard and not node.open
