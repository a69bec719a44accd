"""Services of the servo node, with a head whose answers come when the test says so."""

from concurrent.futures import Future
from threading import Thread

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from std_srvs.srv import SetBool, Trigger

from kf_imitation.head.pending_confirmations import Answer
from kf_imitation.nodes.servo_services import offer_services


class SlowHead:
    """Each answer is a future that the test completes."""

    latched = False

    def __init__(self):
        self.answers = {name: Future() for name in ('torque', 'stop', 'reset')}

    def torque(self, on):
        return self.answers['torque']

    def stop(self):
        return self.answers['stop']

    def reset(self):
        return self.answers['reset']


@pytest.fixture
def head(listener):
    """Services on a node whose executor waits for its next message without end."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    head = SlowHead()
    node = rclpy.create_node('servo', context=listener.context)
    offer_services(node, lambda: head, lambda: True, lambda: None, lambda: '')
    executor = SingleThreadedExecutor(context=listener.context)
    executor.add_node(node)
    thread = Thread(target=executor.spin)
    thread.start()
    yield head
    executor.shutdown()
    thread.join()
    node.destroy_node()


def asked(listener, kind, name, request):
    """Ask once the service knows the client; return its future."""
    client = listener.node.create_client(kind, f'/servo/{name}')
    listener.wait_for(client.service_is_ready)
    return client.call_async(request)


def test_an_answer_of_the_bus_thread_wakes_a_node_that_waits(listener, head):
    """Every service of a servo node inside mimic left the node deaf from then on."""
    answered = asked(listener, Trigger, 'reset', Trigger.Request())
    listener.wait_for(lambda: head.answers['reset']._done_callbacks)
    listener.executor.spin_once(timeout_sec=0.5)  # the node has gone to sleep again
    head.answers['reset'].set_result(Answer(True, 'moving again'))
    listener.wait_for(answered.done, 10)
    assert answered.result().message == 'reset: moving again'


def test_a_stop_does_not_wait_for_the_answer_of_another_service(listener, head):
    """A stop was begun only when torque had been confirmed, up to seconds later."""
    torque = asked(listener, SetBool, 'torque', SetBool.Request(data=True))
    listener.wait_for(lambda: head.answers['torque']._done_callbacks)
    stop = asked(listener, Trigger, 'stop', Trigger.Request())
    listener.wait_for(lambda: head.answers['stop']._done_callbacks, 10)
    head.answers['stop'].set_result(Answer(True, 'every servo confirmed'))
    listener.wait_for(stop.done, 10)
    assert not torque.done()
    head.answers['torque'].set_result(Answer(True, 'on'))
    listener.wait_for(torque.done, 10)
