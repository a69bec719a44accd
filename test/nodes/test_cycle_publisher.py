"""How many cycles of the bus a node asks for depends on who listens."""

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from kf_imitation.head.wanted_cycles import EVERY_HZ
from kf_imitation.nodes.cycle_publisher import LOOK_HZ, CyclePublisher
from kf_imitation.pipeline.statistics import Ledger


class Node:
    """Has the listeners it is told, by topic: (namespace, name) of each."""

    def __init__(self, namespace, **listeners):
        self._namespace, self._listeners = namespace, listeners

    def get_clock(self):
        return None

    def get_namespace(self):
        return self._namespace

    def create_publisher(self, kind, topic, profile):
        count = len(self._listeners.get(topic.rpartition('/')[2], ()))
        return SimpleNamespace(topic_name=topic, get_subscription_count=lambda: count)

    def get_subscriptions_info_by_topic(self, topic):
        return [
            SimpleNamespace(node_namespace=space, node_name=name)
            for space, name in self._listeners[topic]
        ]


@pytest.mark.parametrize(
    ('listeners', 'hz'),
    [
        ({}, 0.0),
        ({'joint_states': [('/', 'cockpit')]}, LOOK_HZ),
        ({'joint_states': [('/', 'cockpit'), ('/', 'avatar')]}, LOOK_HZ),
        ({'joint_states': [('/', 'cockpit'), ('/', 'foxglove')]}, EVERY_HZ),
        ({'joint_states': [('/', 'cockpit'), ('/', 'recorder')]}, EVERY_HZ),
        ({'joint_states': [('/elsewhere', 'cockpit')]}, EVERY_HZ),
        ({'joint_states': [('/', 'cockpit')], 'joint_commands': [('/', 'rqt')]}, EVERY_HZ),
        ({'joint_states': [('_NODE_NAMESPACE_UNKNOWN_', '_NODE_NAME_UNKNOWN_')]}, EVERY_HZ),
    ],
)
def test_pages_of_ours_get_thirty_states_a_second_and_everybody_else_all(listeners, hz):
    assert CyclePublisher(Node('/', **listeners), Ledger()).wanted_hz() == hz
