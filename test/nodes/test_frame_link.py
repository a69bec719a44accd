"""Inside one process, images go from the camera node to the keyframe node without a message."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from sensor_msgs.msg import CameraInfo, Image

from kf_imitation.camera.frame_source import camera_model
from kf_imitation.data_types import Frame
from kf_imitation.nodes import qos
from kf_imitation.nodes.composition import Composition
from kf_imitation.nodes.frame_link import FrameLink
from kf_imitation.ros_graph.nodes import RunOptions, build_graph

CAMERA = camera_model(64, 48, 0.0)


def frame(index):
    return Frame(index, index * 33_333_333, np.full((48, 64, 3), index, np.uint8))


@pytest.mark.parametrize(('lossless', 'taken'), [(False, [2]), (True, [0, 1, 2])])
def test_live_the_newest_frame_replaces_one_that_waits_and_of_a_file_all_wait(lossless, taken):
    woken = []
    link = FrameLink()
    link.connect(lambda: woken.append(1), lossless)
    for index in range(3):
        link.send(frame(index), CAMERA, 'camera')
    assert len(woken) == 3
    assert [link.take()[0].index for _ in taken] == taken
    assert link.take() is None


def test_a_head_in_one_process_scores_images_that_nobody_else_sees(listener):
    options = RunOptions(source='test-pattern', port='none')
    with Composition(build_graph(options)) as head:
        keyframe, camera = head.nodes['keyframe'], head.nodes['camera']
        listener.wait_for(lambda: keyframe.ledger.count('frames') >= 5)
        assert not camera.count_subscribers('image_raw')
        # Whoever comes gets what is captured from then on.
        images = listener.listen(Image, 'image_raw', qos.frame_subscription(False))
        infos = listener.listen(CameraInfo, 'camera_info', qos.frame_subscription(False))
        listener.wait_for(lambda: images and infos)
        assert (images[0].width, images[0].encoding) == (infos[0].width, 'bgr8')
        scored = keyframe.ledger.count('frames')
        listener.wait_for(lambda: keyframe.ledger.count('frames') > scored)
