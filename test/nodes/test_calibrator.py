"""A person is calibrated through services and topics of the landmarks node."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PolygonStamped
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import SetBool

from kf_imitation.data_types import (
    CHANNELS,
    CameraModel,
    Expression,
    FaceRegion,
    HeadPose,
    Landmarks,
)
from kf_imitation.expression.calibration import FULL, REST, Calibration
from kf_imitation.expression.calibration_file import (
    load_calibration,
    person_file,
    save_calibration,
)
from kf_imitation.expression.calibration_session import COUNT
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import to_camera_info, to_image
from kf_imitation.nodes.face_messages import to_region
from kf_imitation.nodes.landmarks_node import LandmarksNode
from kf_imitation.pipeline.face_pipeline import FaceReading

BEGAN_NS = 1_000_000_000_000
STEP_NS = 250_000_000


class Person:
    """In place of the pipeline: at rest for three seconds, then everything at once."""

    def __init__(self):
        self.calibrations = []
        self.seen_ns = 0
        self.read_of = 0
        self.posed = FULL

    def run(self, face, camera):
        self.read_of = face.track_id
        ones = np.ones(98, np.float32)
        landmarks = Landmarks(face.stamp_ns, np.ones((98, 2), np.float32), ones)
        pose = HeadPose(face.stamp_ns, np.eye(3), np.ones(3), 0, 0, 0, 0)
        at_rest = np.zeros(len(CHANNELS), np.float32)
        return FaceReading(landmarks, pose, Expression(face.stamp_ns, at_rest, at_rest))

    def read_raw(self, frame, region, camera):
        self.seen_ns = frame.stamp_ns
        return REST.copy() if frame.stamp_ns < BEGAN_NS + 12 * STEP_NS else self.posed.copy()

    def neutral(self):
        return 0.0, {}

    def calibrate(self, calibration):
        self.calibrations.append(calibration)

    def configure(self, settings):
        pass


@pytest.fixture
def person():
    return Person()


@pytest.fixture
def told(listener):
    return listener.listen(DiagnosticStatus, '/landmarks/calibration', qos.latched())


@pytest.fixture
def node(listener, person):
    node = LandmarksNode(pipeline=person, context=listener.context)
    listener.executor.add_node(node)
    yield node
    listener.executor.remove_node(node)
    node.destroy_node()


@pytest.fixture
def show(listener, node, person):
    """Send frames, each 0.25 s later than what was read of them, until something is so."""
    camera, picture = CameraModel(8, 8, 8.0), np.zeros((8, 8, 3), np.uint8)
    send = listener.node.create_publisher
    regions = send(PolygonStamped, 'face/region', qos.per_frame_publisher())
    infos = send(CameraInfo, 'camera_info', qos.frame_publisher(False))
    images = send(Image, 'image_raw', qos.frame_publisher(False))
    stamp_ns = BEGAN_NS

    def until(condition):
        def step():
            nonlocal stamp_ns
            regions.publish(to_region(FaceRegion(0.0, 0.0, 8.0), stamp_ns, 'camera'))
            infos.publish(to_camera_info(camera, stamp_ns, 'camera'))
            images.publish(to_image(picture, stamp_ns, 'camera'))
            stamp_ns = max(stamp_ns, person.seen_ns + STEP_NS)
            return condition()

        listener.wait_for(step)

    return until


def ask(listener, on):
    return listener.call(SetBool, '/landmarks/calibrate', SetBool.Request(data=on))


def said(told, text):
    return lambda: bool(told) and told[-1].message.startswith(text)


def test_a_guided_calibration_is_saved_for_the_person_and_used_at_once(
    listener, node, person, told, show
):
    node.set_parameters([Parameter('person', value='Zoë B')])
    answer = ask(listener, True)
    assert answer.success and 'relaxed face' in answer.message
    show(said(told, 'Done'))
    saved = load_calibration(person_file('Zoë B'))
    assert saved.person == 'Zoë B'
    assert np.allclose(saved.neutral, REST, atol=1e-3)
    assert [c.person for c in person.calibrations] == ['Zoë B']
    assert node.setting('calibration', str) == str(person_file('Zoë B'))
    steps = {pair.value for m in told for pair in m.values if pair.key == 'step'}
    assert len(steps) >= COUNT - 1  # a newer message may overtake one


def test_a_face_that_only_held_still_does_not_replace_what_is_known(
    listener, node, person, told, show
):
    file = person_file('me')
    file.parent.mkdir(parents=True, exist_ok=True)
    save_calibration(Calibration('me', REST, FULL + 1.0), file)
    before = file.read_bytes()
    person.posed = REST
    assert ask(listener, True).success
    show(said(told, 'Nothing has changed'))
    assert 'no expression was seen' in told[-1].message
    assert told[-1].level == DiagnosticStatus.WARN
    assert file.read_bytes() == before and not person.calibrations


def test_a_cancelled_calibration_changes_nothing(listener, node, person, told, show):
    assert not ask(listener, False).success
    assert ask(listener, True).success
    show(said(told, 'Now: Open'))
    assert ask(listener, False).success
    listener.wait_for(said(told, 'Cancelled'))
    assert not person.calibrations and not person_file('me').exists()


def test_the_landmarks_node_knows_whose_face_a_keyframe_shows(listener, node, person):
    send, few = listener.node.create_publisher, qos.keyframe_topics()
    regions = send(PolygonStamped, 'face/region', qos.per_frame_publisher())
    infos = send(CameraInfo, 'keyframe/camera_info', few)
    images = send(Image, 'keyframe/image', few)
    stamp_ns = node.now_ns()

    def read_of(track_id):
        def step():
            nonlocal stamp_ns
            stamp_ns = max(stamp_ns + 1, node.now_ns())
            regions.publish(to_region(FaceRegion(0, 0, 8, track_id), stamp_ns, 'camera'))
            infos.publish(to_camera_info(CameraModel(8, 8, 8.0), stamp_ns, 'camera'))
            images.publish(to_image(np.zeros((8, 8, 3), np.uint8), stamp_ns, 'camera'))
            return person.read_of == track_id

        return step

    listener.wait_for(read_of(3))
    listener.wait_for(read_of(4))


def test_without_a_camera_node_a_calibration_is_rejected(listener, node):
    answer = ask(listener, True)
    assert not answer.success and 'image_raw' in answer.message


def test_a_faulty_calibration_file_is_rejected_while_the_node_runs(
    listener, node, person, tmp_path
):
    file = tmp_path / 'other.yaml'
    file.write_text('person: me', encoding='utf-8')
    changed = Parameter('calibration', value=str(file)).to_parameter_msg()
    request = SetParameters.Request(parameters=[changed])
    result = listener.call(SetParameters, '/landmarks/set_parameters', request).results[0]
    assert not result.successful and 'other.yaml' in result.reason
    assert node.setting('calibration', str) == '' and not person.calibrations
