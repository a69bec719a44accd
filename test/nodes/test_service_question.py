"""A question to a service is repeated until one answer arrives."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rcl_interfaces.srv import GetParameters
from rclpy.task import Future

from kf_imitation.nodes import service_question
from kf_imitation.nodes.service_question import ask


class ForgetfulService:
    """Stands for node, executor and client: the answers to the first requests are lost."""

    def __init__(self, lost, ready_after=0):
        self.lost = lost
        self.ready_after = ready_after
        self.futures = []
        self.spins = 0

    def create_client(self, kind, name):
        return self

    def destroy_client(self, client):
        assert client is self

    def service_is_ready(self):
        return self.spins >= self.ready_after

    def call_async(self, request):
        self.futures.append(Future())
        return self.futures[-1]

    def spin_once(self, timeout_sec):
        self.spins += 1
        for number, future in enumerate(self.futures[self.lost :], self.lost + 1):
            future.set_result(f'answer {number}')


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(service_question, 'ASK_AGAIN_S', 0.01)


def asked(service, timeout_s):
    request = GetParameters.Request()
    return ask(service, service, GetParameters, '/servo/get_parameters', request, timeout_s)


def test_a_lost_answer_is_asked_for_again():
    # Regression: `params save` gave up on a graph that ran when Fast DDS had lost the one answer.
    service = ForgetfulService(lost=2)
    assert asked(service, timeout_s=60) == 'answer 3'


def test_a_service_is_asked_once_it_is_there_and_only_once_when_it_answers():
    service = ForgetfulService(lost=0, ready_after=5)
    assert asked(service, timeout_s=60) == 'answer 1'
    assert len(service.futures) == 1


def test_a_service_that_never_answers_is_given_up():
    service = ForgetfulService(lost=1_000_000)
    assert asked(service, timeout_s=0.1) is None
    assert len(service.futures) >= 2
