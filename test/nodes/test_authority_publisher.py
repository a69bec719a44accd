from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from kf_imitation.nodes.authority_publisher import AuthorityPublisher


def test_a_stop_and_its_end_are_in_the_diagnostics_at_once_and_other_changes_are_not():
    told = []
    node = SimpleNamespace(
        create_publisher=lambda *_: SimpleNamespace(publish=lambda m: told.append(m.message)),
        steady_timer=lambda *_: None,
        get_fully_qualified_name=lambda: '/servo',
        publish_diagnostics=lambda: told.append('diagnostics'),
    )
    owners = {}
    publisher = AuthorityPublisher(node, lambda: owners, lambda _: '')
    for owner in ('face', 'stop', 'stop', 'face', 'trajectory'):
        owners = {'jaw': owner}
        publisher.publish()
    assert told == ['face', 'stop', 'diagnostics', 'face', 'diagnostics', 'trajectory']
