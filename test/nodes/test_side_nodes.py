"""Recorder, avatar and page may end or fail; the head goes on."""

import time
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import rclpy

from kf_imitation.nodes.composition import Composition
from kf_imitation.nodes.node_base import ERROR, OK, KfNode
from kf_imitation.nodes.recorder_node import RecorderNode
from kf_imitation.nodes.topic_follower import Arrived

CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'


class Fragile(KfNode):
    """Raises as soon as it spins, where it is told to."""

    def __init__(self, overrides=None, breaks=False, **options):
        super().__init__(overrides['name'], **options)
        if breaks:
            self.steady_timer(0.01, lambda: 1 / 0)

    def status(self):
        return OK, '', {}


def graph(*names):
    nodes = [
        SimpleNamespace(
            name=n, parameters={'name': n}, foreign_images=False, node_class=lambda: Fragile
        )
        for n in names
    ]
    return SimpleNamespace(nodes=nodes, namespace='')


def wait_for(condition):
    deadline_s = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
@pytest.mark.parametrize(
    ('broken', 'goes_on'), [('avatar', True), ('recorder', True), ('keyframe', False)]
)
def test_a_side_node_that_breaks_is_named_and_the_others_go_on(
    environment, capfd, broken, goes_on
):
    extra = {broken: {'breaks': True}}
    with Composition(graph('keyframe', 'avatar', 'recorder'), extra) as composition:
        wait_for(lambda: broken in composition.crashed)
        wait_for(composition.nodes[broken].finished.is_set)
        assert composition.finished is not goes_on
    assert (f'{broken} has ended; the head goes on' in capfd.readouterr().err) is goes_on


def test_a_full_disk_ends_the_recording_and_not_the_head(environment, tmp_path, monkeypatch):
    context = rclpy.Context()
    rclpy.init(context=context)
    settings = {'directory': str(tmp_path / 'bag'), 'minimum_free_mb': 1_000_000}
    node = RecorderNode(settings, context=context)
    node._follow('camera_info')
    came = [Arrived(1, '/camera_info', CAMERA_INFO, bytes(500))]
    monkeypatch.setattr(node._follower, 'arrived', lambda: came)
    try:
        for _ in range(2):
            node._take()
        level, sentence, _ = node.status()
        assert level == ERROR and 'MB free on this disk, minimum 1000000 MB' in sentence
        assert not node.finished.is_set() and str(node.fault) == sentence
    finally:
        node.close()
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert not (tmp_path / 'bag').exists()
