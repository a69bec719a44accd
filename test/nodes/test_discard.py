"""What a node gives back while its executor spins in another thread, as under `mimic`."""

from threading import Thread, get_ident

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState

from kf_imitation.nodes.node_base import OK, KfNode


class WatchfulNode(KfNode):
    """Notes which thread destroys what."""

    def __init__(self, **options):
        super().__init__('servo', **options)
        self.destroyed = {}

    def status(self):
        return OK, 'watching', {}

    def destroy_subscription(self, subscription):
        self.destroyed[subscription] = get_ident()
        return super().destroy_subscription(subscription)

    def destroy_timer(self, timer):
        self.destroyed[timer] = get_ident()
        return super().destroy_timer(timer)


@pytest.fixture
def node(listener):
    node = WatchfulNode(context=listener.context)
    yield node
    node.destroy_node()


def things_of(node):
    subscription = node.create_subscription(JointState, 'joint_states', lambda _: None, 1)
    return subscription, node.steady_timer(3600.0, lambda: None)


def test_it_is_destroyed_in_the_thread_of_the_executor(listener, node):
    # Regression: a closing servo node now and then ended its thread with an InvalidHandle, when
    # the executor was just about to wait for a subscription that the main thread destroyed.
    executor = SingleThreadedExecutor(context=listener.context)
    executor.add_node(node)
    spinning = Thread(target=executor.spin, daemon=True)
    spinning.start()
    things = things_of(node)
    node.destroy_later(*things)
    listener.wait_for(lambda: set(things) <= set(node.destroyed))
    assert set(node.destroyed.values()) == {spinning.ident}
    executor.shutdown()
    spinning.join(timeout=60)
    assert not spinning.is_alive()


def test_without_an_executor_it_is_destroyed_at_once(node):
    things = things_of(node)
    node.destroy_later(*things)
    assert set(node.destroyed) == set(things)
