"""A cockpit server on a free port, with a head that only remembers what it was asked."""

from concurrent.futures import Future

import pytest

from kf_imitation.cockpit.actions import Outcome
from kf_imitation.cockpit.board import Board
from kf_imitation.cockpit.server import CockpitServer, Place
from kf_imitation.robot import load_robot

TOKEN = 'a-secret-that-is-long-enough-for-tests'
PAGE = b'<!doctype html><script type="importmap">{}</script><title>page</title>'


class Asked:
    """Remembers actions; each is done at once, or never."""

    def __init__(self):
        self.actions = []
        self.answers = True
        self.refusal = ''

    def act(self, action):
        self.actions.append(action)
        future = Future()
        if self.answers:
            future.set_result(Outcome(True, 'done'))
        return future


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def make_server(asked, board):
    made = []

    def make(**place):
        files = {'': PAGE, 'style.css': b'body {}'}
        robot = load_robot('sim_face')
        server = CockpitServer(
            Place(**place), TOKEN, robot, files, board, asked.act, lambda: asked.refusal
        )
        made.append(server)
        return server

    yield make
    for server in made:
        server.close()


@pytest.fixture
def server(make_server):
    return make_server()
