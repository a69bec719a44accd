"""Inside one process, images go from the camera node to the keyframe node without a message."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, Image

from kf_imitation.nodes import qos
from kf_imitation.nodes.composition import Composition
from kf_imitation.nodes.handover import Handover
from kf_imitation.ros_graph.nodes import RunOptions, build_graph


@pytest.mark.parametrize(('depth', 'taken'), [(1, [2]), (2, [1, 2]), (None, [0, 1, 2])])
def test_what_is_not_taken_in_time_gives_way_to_the_newest_or_waits(depth, taken):
    woken = []
    between = Handover()
    between.send('before there is a receiver')
    assert between.take() == 'before there is a receiver'
    between.connect(lambda: woken.append(1), depth)
    for number in range(3):
        between.send(number)
    assert len(woken) == 3
    assert [between.take() for _ in taken] == taken
    assert between.take() is None


def test_what_is_delivered_at_once_is_there_before_send_returns():
    between, taken = Handover(), []
    between.deliver_at_once(taken.append)
    between.send('crop')
    assert taken == ['crop'] and between.take() is None


def test_a_head_in_one_process_follows_reflexes_that_nobody_publishes(listener):
    told = listener.listen(DiagnosticStatus, 'servo/authority', qos.latched())
    with Composition(build_graph(RunOptions(source='', port='simulated'))) as head:
        servo = head.nodes['servo']
        listener.wait_for(lambda: told and 'reflex /keyframe: ' in told[-1].message)
        assert not servo.count_subscribers('face/reflex')
        assert not servo.count_subscribers('face/region')


def test_a_head_in_one_process_scores_images_that_nobody_else_sees(listener):
    options = RunOptions(source='test-pattern', port='none')
    with Composition(build_graph(options)) as head:
        keyframe, camera = head.nodes['keyframe'], head.nodes['camera']
        listener.wait_for(lambda: keyframe.ledger.count('frames') >= 5)
        assert not camera.count_subscribers('image_raw')
        assert not camera.count_subscribers('keyframe/image')
        # Whoever comes gets what is captured from then on.
        images = listener.listen(Image, 'image_raw', qos.frame_subscription(False))
        infos = listener.listen(CameraInfo, 'camera_info', qos.frame_subscription(False))
        listener.wait_for(lambda: images and infos)
        assert (images[0].width, images[0].encoding) == (infos[0].width, 'bgr8')
        scored = keyframe.ledger.count('frames')
        listener.wait_for(lambda: keyframe.ledger.count('frames') > scored)
