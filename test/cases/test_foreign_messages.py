"""Messages that no node of ours sends, and that ended one of them."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from kf_imitation.camera.frame_source import camera_model
from kf_imitation.head.motor_link import MotorError, MotorLink, socket_pair


@pytest.mark.parametrize('focal_px', [math.nan, math.inf, -1.0, 0.0])
def test_a_focal_length_that_is_none_gives_way_to_a_typical_view(focal_px):
    assert camera_model(640, 480, focal_px).focal_px == pytest.approx(554.3, abs=0.1)


@pytest.mark.parametrize('packet', [b'?', b'\x01' + bytes(24)])
def test_what_is_no_message_of_the_motor_link_is_said(packet):
    ours, theirs = socket_pair()
    with ours, theirs:
        ours.send(packet)
        with pytest.raises(MotorError):
            list(MotorLink(theirs).receive())


def test_a_region_of_one_point_or_of_no_number_is_none():
    pytest.importorskip('geometry_msgs', reason='needs ROS')
    from geometry_msgs.msg import Point32, PolygonStamped

    from kf_imitation.nodes.face_messages import from_region

    for points in ([Point32()], [Point32(z=math.nan), Point32(x=1.0)]):
        message = PolygonStamped()
        message.polygon.points = points
        assert from_region(message) is None


def test_a_channel_beyond_all_bounds_is_rejected_and_no_overflow():
    pytest.importorskip('sensor_msgs', reason='needs ROS')
    from sensor_msgs.msg import JointState

    from kf_imitation.nodes.face_messages import expression_faults, from_expression

    message = JointState(name=['jaw_open'], position=[1e300])
    assert 'jaw_open = 1e+300 must be a finite number' in expression_faults(message)
    assert np.isinf(from_expression(message).values).sum() == 1


def test_a_stranger_with_the_name_of_a_servo_node_is_passed_over():
    pytest.importorskip('diagnostic_msgs', reason='needs ROS')
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

    from kf_imitation.nodes.command_senders import CommandSenders

    node = SimpleNamespace(
        create_subscription=lambda *_: None, get_fully_qualified_name=lambda: '/servo'
    )
    senders = CommandSenders(node, lambda: None)
    for pairs in ({'process': 'x'}, {'process': 'x', 'active since': 'noon'}):
        values = [KeyValue(key=key, value=value) for key, value in pairs.items()]
        status = DiagnosticStatus(hardware_id='/servo', values=values)
        senders._hear(DiagnosticArray(status=[status]))
    assert senders._elder == ''


def test_two_senders_of_one_name_are_told_apart_by_their_processes():
    """It said `sent by /keyframe, and now by /keyframe too`."""
    pytest.importorskip('diagnostic_msgs', reason='needs ROS')
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

    from kf_imitation.nodes.command_senders import CommandSenders

    publishers = [
        SimpleNamespace(endpoint_gid=[number], node_namespace='/', node_name='keyframe')
        for number in (1, 2)
    ]
    node = SimpleNamespace(
        create_subscription=lambda *_: None,
        get_fully_qualified_name=lambda: '/servo',
        count_publishers=lambda topic: 1,
        resolve_topic_name=lambda topic: topic,
        get_publishers_info_by_topic=lambda topic: publishers,
    )
    senders = CommandSenders(node, lambda: None)
    for process in ('lab:12', 'lab:40'):
        values = [KeyValue(key='process', value=process)]
        status = DiagnosticStatus(hardware_id='/keyframe', values=values)
        senders._hear(DiagnosticArray(status=[status]))
    sent = [
        senders.problem('/face/reflex', {'publisher_gid': {'data': gid}}) for gid in (b'\1', b'\2')
    ]
    assert sent[0] == ''
    assert sent[1].startswith(
        '/face/reflex is sent by two nodes /keyframe (processes lab:12 and lab:40)'
    )
