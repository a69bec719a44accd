"""What people look at and turn: the drawn face, explanations, live parameters and keeping them."""

import itertools

import numpy as np
import pytest
import yaml

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import CameraInfo, Image, JointState

from kf_imitation.data_types import CHANNELS, CameraModel, FaceImage, FrameScore, Keyframe
from kf_imitation.keyframe.explanation import Explanation, split_change
from kf_imitation.keyframe.scoring.pair_scorer import ScoredPair
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import (
    from_image,
    from_scalars,
    to_camera_info,
    to_image,
    to_ns,
    to_scalars,
)
from kf_imitation.nodes.explainer import Explainer
from kf_imitation.nodes.listeners import has_listeners_but
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.pipeline.face_pipeline import ChosenFrame
from kf_imitation.robot import load_robot
from kf_imitation.ros_graph.nodes import RunOptions, build_graph, merged_parameters


def node_spec(name, **options):
    return build_graph(RunOptions(source='test-pattern', **options)).node(name)


def set_number(listener, node, name, value):
    number = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    request = SetParameters.Request(parameters=[Parameter(name=name, value=number)])
    return listener.call(SetParameters, f'/{node}/set_parameters', request).results[0]


def test_the_face_is_drawn_while_somebody_looks_on(start_node, listener):
    start_node(node_spec('avatar', avatar=True), page_port=0, size_px=120)
    diagnostics = listener.listen(DiagnosticArray, '/diagnostics')
    robot = load_robot('sim_face')
    neutral = dict.fromkeys(robot.names, 0.0)
    joints = listener.node.create_publisher(JointState, 'joint_states', qos.joint_topics())
    sentences = lambda: [m.status[0].message for m in diagnostics]  # noqa: E731
    listener.wait_for(lambda: 'nobody is watching' in sentences())
    pictures = listener.listen(Image, 'avatar/image', qos.frame_subscription(False))

    def newest(pose, stamp_ns):
        """Send a pose until a picture of it arrives."""

        def arrived():
            joints.publish(to_scalars(stamp_ns, {**neutral, **pose}))
            return bool(pictures) and pictures[-1].header.stamp.nanosec == stamp_ns

        listener.wait_for(arrived)
        return from_image(pictures[-1]).astype(int)

    rest, open_mouth = newest({}, 1), newest({'jaw': 0.45}, 2)
    assert rest.shape == (120, 120, 3)
    changed = np.abs(rest - open_mouth).max(axis=2) > 40
    rows = np.flatnonzero(changed.any(axis=1))
    assert rows.min() > 60  # the mouth and the chin, not the eyes
    listener.wait_for(lambda: 'drawing' in sentences())


class KnownShares:
    """Stands for a pipeline whose network answers at once."""

    settings = DetectorSettings()

    def __init__(self):
        self.asked = 0

    def explain(self, chosen):
        self.asked += 1
        return Explanation(0.75, 0.25, 0.0, split_change(chosen.change))


@pytest.fixture
def explainer(listener):
    pipeline, told = KnownShares(), []
    explainer = Explainer(listener.node, pipeline, False, lambda *words: told.append(words))
    yield explainer, pipeline, told
    explainer.close()


def chosen_frame(stamp_ns):
    change = np.zeros(54, np.float32)
    change[24] = 0.2
    keyframe = Keyframe(5, stamp_ns, 0.6, 0.3, 0.1, stamp_ns + 7, 'peak', 0.4, 0.5)
    image = np.zeros((8, 8, 3), np.uint8)
    return ChosenFrame(
        keyframe, FaceImage(stamp_ns, image, 0, 0, 8, 8), ScoredPair(None, image, {}, {}), change
    )


def test_explanations_of_a_live_camera_are_made_while_somebody_subscribes(listener, explainer):
    explain, pipeline, told = explainer
    explain.frame(FrameScore(0, 1, 0.5), 'eye')
    explain.keyframe(chosen_frame(2), 'eye', watched=False)
    assert explain.idle and pipeline.asked == 0
    heard = listener.listen(JointState, 'keyframe/explanation')
    listener.wait_for(lambda: explain.wanted)
    explain.frame(FrameScore(3, 3, 0.5), 'eye')
    explain.keyframe(chosen_frame(1_000_000_002), 'eye', watched=False)
    listener.wait_for(lambda: len(heard) == 2)
    frame, keyframe = map(from_scalars, heard)
    assert (frame['score'], frame['is_keyframe']) == (0.5, 0)
    assert (keyframe['flow_share'], keyframe['appearance_share']) == (0.75, 0.25)
    assert (keyframe['score_before'], keyframe['score_after']) == (0.4, 0.5)
    assert keyframe['since_keyframe_s'] == pytest.approx(1.0)
    assert keyframe['head_share'] == 0
    assert list(frame) == list(keyframe)
    listener.wait_for(lambda: explain.idle)
    assert told[-1][0] == 1_000_000_002 and 'jawOpen +0.20' in told[-1][1]


def test_the_network_is_not_asked_for_a_page_that_does_not_show_its_answer(listener, explainer):
    explain, pipeline, told = explainer
    page = rclpy.create_node('cockpit', context=listener.context)
    page.create_subscription(JointState, 'keyframe/explanation', lambda _: None, 5)
    listener.wait_for(lambda: explain.wanted)
    listener.wait_for(lambda: not has_listeners_but(listener.node, explain.publisher, ['cockpit']))
    explain.keyframe(chosen_frame(2), 'eye', watched=False)
    assert told and pipeline.asked == 0
    listener.listen(JointState, 'keyframe/explanation')
    listener.wait_for(lambda: has_listeners_but(listener.node, explain.publisher, ['cockpit']))
    explain.keyframe(chosen_frame(3), 'eye', watched=False)
    listener.wait_for(lambda: len(told) == 2)
    assert pipeline.asked == 1
    page.destroy_node()


def test_a_keyframe_is_explained_for_the_picture_alone_too(listener, explainer):
    explain, pipeline, told = explainer
    explain.keyframe(chosen_frame(2), 'eye', watched=True)
    listener.wait_for(lambda: bool(told))
    assert pipeline.asked == 1


def test_a_live_camera_has_keyframes_explained_for_a_ninth_of_the_time(listener):
    now_s, told = [0.0], []

    class Slow(KnownShares):
        def explain(self, chosen):
            now_s[0] += 0.1
            return super().explain(chosen)

    pipeline = Slow()
    explain = Explainer(
        listener.node, pipeline, False, lambda stamp, _: told.append(stamp), lambda: now_s[0]
    )
    for stamp_ns, at_s in ((1, 10.0), (2, 10.5), (3, 10.89), (4, 10.91)):
        now_s[0] = at_s
        explain.keyframe(chosen_frame(stamp_ns), 'eye', watched=True)
        listener.wait_for(lambda stamp_ns=stamp_ns: stamp_ns in told)
    explain.close()
    assert pipeline.asked == 2


def jaw_of(listener, images, infos, expressions, stamps):
    """Send a keyframe and return the jaw that is read from it.

    Again and again: the node may hear of this process before that hears of the node's answers.
    """
    first_ns = next(stamps)

    def send():
        stamp_ns = next(stamps)
        infos.publish(to_camera_info(CameraModel(64, 64, 60.0), stamp_ns, 'eye'))
        images.publish(to_image(np.full((64, 64, 3), 128, np.uint8), stamp_ns, 'eye'))

    listener.wait_for(
        lambda: bool(expressions) and to_ns(expressions[-1].header.stamp) > first_ns,
        what='the channels of a keyframe',
        send=send,
    )
    message = expressions[-1]
    return message.position[list(message.name).index('jaw_open')]


def test_gains_change_what_is_read_while_the_node_runs_and_are_kept(
    start_node, start, listener, tmp_path
):
    for name in ('landmarks', 'keyframe', 'servo'):
        start_node(node_spec(name))
    few = qos.keyframe_topics()
    images = listener.node.create_publisher(Image, 'keyframe/image', few)
    infos = listener.node.create_publisher(CameraInfo, 'keyframe/camera_info', few)
    expressions = listener.listen(JointState, 'face/expression', few)
    listener.wait_for(lambda: images.get_subscription_count() and infos.get_subscription_count())
    listener.wait_for(lambda: listener.node.count_publishers('face/expression'))
    stamps = itertools.count(1)
    before = jaw_of(listener, images, infos, expressions, stamps)
    assert set_number(listener, 'landmarks', 'gain.jaw_open', 0.5).successful
    assert jaw_of(listener, images, infos, expressions, stamps) == pytest.approx(before / 2)
    rejected = set_number(listener, 'landmarks', 'gain.jaw_open', 9.0)
    assert not rejected.successful
    assert all(word in rejected.reason for word in ('gain.jaw_open', '9.0', '3'))
    # A name of the last release.
    assert set_number(listener, 'landmarks', 'alpha.jaw_open', 0.25).successful
    assert jaw_of(listener, images, infos, expressions, stamps) == pytest.approx(before / 4)
    assert set_number(listener, 'landmarks', 'gain.jaw_open', 0.5).successful
    assert set_number(listener, 'keyframe', 'detector.spacing_s', 0.4).successful
    file = tmp_path / 'mine.yaml'
    # A complete graph is taken at once; a busy machine may need long until it is known.
    saving = start('params', 'save', '--out', str(file), '--timeout', '100')
    out, err = saving.communicate(timeout=120)
    assert saving.returncode == 0, err
    assert 'landmarks: gain.jaw_open = 0.5' in out
    assert 'asked: keyframe, landmarks, servo' in out and 'not found' not in out
    assert yaml.safe_load(file.read_text(encoding='utf-8')) == {
        '/**/keyframe': {'ros__parameters': {'detector': {'spacing_s': 0.4}}},
        '/**/landmarks': {'ros__parameters': {'gain': {'jaw_open': 0.5}}},
    }
    assert merged_parameters(str(file))['landmarks']['gain.jaw_open'] == 0.5


def test_a_graph_without_some_nodes_is_saved_and_they_are_named(
    start_node, start, listener, tmp_path
):
    start_node(node_spec('keyframe'))
    assert set_number(listener, 'keyframe', 'detector.spacing_s', 0.4).successful  # it is there
    file = tmp_path / 'mine.yaml'
    saving = start('params', 'save', '--out', str(file), '--timeout', '15')
    out, err = saving.communicate(timeout=120)
    assert saving.returncode == 0, err
    assert 'keyframe: detector.spacing_s = 0.4' in out
    assert 'not found within 15 s (--timeout): landmarks, servo' in out


def test_without_a_graph_saving_says_so_and_writes_nothing(start, tmp_path):
    file = tmp_path / 'mine.yaml'
    saving = start('params', 'save', '--out', str(file), '--timeout', '1')
    _, err = saving.communicate(timeout=120)
    assert saving.returncode == 2
    assert 'no nodes are running' in err and 'Traceback' not in err
    assert not file.exists()


def test_every_live_number_has_a_range_for_sliders(start_node, listener):
    from rcl_interfaces.srv import DescribeParameters

    from kf_imitation.parameters.schema import SCHEMA

    start_node(node_spec('landmarks'))
    live = [p for p in SCHEMA['landmarks'] if p.live]
    assert len(live) > len(CHANNELS)
    request = DescribeParameters.Request(names=[p.name for p in live])
    answer = listener.call(DescribeParameters, '/landmarks/describe_parameters', request)
    for parameter, told in zip(live, answer.descriptors, strict=True):
        ranges = [(r.from_value, r.to_value) for r in told.floating_point_range]
        is_number = type(parameter.default) is float
        assert ranges == ([(parameter.minimum, parameter.maximum)] if is_number else [])


def test_the_table_of_topics_says_what_the_nodes_publish(start_node, listener):
    from kf_imitation.ros_graph.nodes import TOPICS

    own = ('/rosout', '/parameter_events')
    started = ('keyframe', 'landmarks', 'avatar')
    for name in started:
        changes = {'page_port': 0} if name == 'avatar' else {}
        start_node(node_spec(name, avatar=True), **changes)
    found = {}

    def all_known():
        for name, place in listener.node.get_node_names_and_namespaces():
            if name in started:
                told = listener.node.get_publisher_names_and_types_by_node(name, place)
                found.update({topic: kinds for topic, kinds in told if topic not in own})
        return {'/avatar/image', '/face/markers', '/keyframe/annotated'} <= set(found)

    listener.wait_for(all_known)
    for topic, kinds in found.items():
        known = topic if topic in TOPICS else topic.removeprefix('/')
        assert kinds == [TOPICS[known]], topic
