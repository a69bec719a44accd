"""Which cycles a node asks for depends on who listens, and which of them show the latency."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from kf_imitation.head.clock import boottime_ns
from kf_imitation.head.reports import ServoCycle
from kf_imitation.head.wanted_cycles import EVERY_HZ
from kf_imitation.nodes.cycle_publisher import LOOK_HZ, CyclePublisher
from kf_imitation.pipeline.statistics import Ledger


class Node:
    """Has the listeners it is told, by topic: (namespace, name) of each."""

    def __init__(self, namespace, **listeners):
        self._namespace, self._listeners = namespace, listeners

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=boottime_ns()))

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


@pytest.fixture
def publisher():
    return CyclePublisher(Node('/'), Ledger())


def pass_cycle(publisher, commanding):
    """Let a cycle that begins now come from the motor process; returns how many were measured."""
    publisher.take(
        ServoCycle(boottime_ns(), (), *[np.empty(0)] * 5, fresh=False, commanding=commanding)
    )
    times = publisher._ledger.times()
    return times['capture to command'].count if times else 0


def test_the_first_cycle_after_an_expression_shows_its_latency(publisher):
    pass_cycle(publisher, commanding=True)
    publisher.expect(boottime_ns() - 80_000_000)
    assert pass_cycle(publisher, commanding=True) == 1
    assert publisher._ledger.times()['capture to command'].worst_ms >= 80.0
    assert pass_cycle(publisher, commanding=True) == 1


def test_an_expression_after_which_the_head_was_stopped_or_lost_is_not_measured(publisher):
    pass_cycle(publisher, commanding=True)
    publisher.expect(boottime_ns())
    assert pass_cycle(publisher, commanding=False) == 0
    publisher.expect(boottime_ns())  # the head does not know yet that it is back
    assert pass_cycle(publisher, commanding=True) == 0
    publisher.expect(boottime_ns())
    publisher.forget()  # the motor process was killed
    assert pass_cycle(publisher, commanding=True) == 0
    publisher.expect(boottime_ns())
    assert pass_cycle(publisher, commanding=True) == 1
