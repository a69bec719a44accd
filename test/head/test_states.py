"""The states of the head: every transition of the figure in docs/safety.md, and no other."""

import re
from pathlib import Path

import pytest
from virtual_head import ROBOT, VirtualHead

from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.head.reports import LOST, OFF, RUNNING, STOPPED

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'safety.md'


def bus(head, silent):
    head.controller.cycle.servos.bus.silent = silent
    head.run(1.5)


def fail(head):
    """Let every part of a cycle that may move something raise once."""
    cycle = head.controller.cycle
    exchange, cycle._exchange = cycle._exchange, lambda now_s: 1 / 0
    head.run(0.01)
    cycle._exchange = exchange
    head.run(0.5)


def change_mode(head):
    registers = head.servos[head.index('neck_yaw')].registers
    registers.set('torque_enable', 0)
    registers.set('operating_mode', ct.MODE_VELOCITY)
    registers.set('torque_enable', 1)
    head.run(1.0)


def stand_still(head):
    head.now_s += 2.0
    head.run(0.5)


def ask(head, what):
    getattr(head.controller, what)()
    if head.controller.state != OFF:
        head.run(1.0)


def reset_silently(head):
    head.controller.cycle.servos.bus.silent = True
    ask(head, 'reset')


EVENTS = {
    'activate': lambda head: head.controller.start(threaded=False),
    'activate, stopped before': lambda head: (
        head.controller.stop(),
        head.controller.start(threaded=False),
    ),
    'deactivate': lambda head: head.controller.close(),
    'stop': lambda head: ask(head, 'stop'),
    'reset': lambda head: ask(head, 'reset'),
    'reset, no servo replies': reset_silently,
    'no servo replies': lambda head: bus(head, True),
    'servos reply': lambda head: bus(head, False),
    'fault in a cycle': fail,
    'other program at the servos': change_mode,
    'computer stood still': stand_still,
}
WAYS = {  # to bring a new head into a state
    RUNNING: (),
    OFF: ('deactivate',),
    LOST: ('no servo replies',),
    STOPPED: ('stop',),
}
TRANSITIONS = (
    (OFF, 'activate', RUNNING),
    (OFF, 'activate, stopped before', STOPPED),
    (OFF, 'stop', OFF),
    (OFF, 'reset', OFF),
    (RUNNING, 'stop', STOPPED),
    (RUNNING, 'fault in a cycle', STOPPED),
    (RUNNING, 'other program at the servos', STOPPED),
    (RUNNING, 'no servo replies', LOST),
    (RUNNING, 'computer stood still', RUNNING),
    (RUNNING, 'deactivate', OFF),
    (LOST, 'servos reply', RUNNING),
    (LOST, 'computer stood still', LOST),
    (LOST, 'stop', STOPPED),
    (LOST, 'fault in a cycle', STOPPED),
    (LOST, 'deactivate', OFF),
    (STOPPED, 'reset', RUNNING),
    (STOPPED, 'reset, no servo replies', LOST),
    (STOPPED, 'stop', STOPPED),
    (STOPPED, 'fault in a cycle', STOPPED),
    (STOPPED, 'no servo replies', STOPPED),
    (STOPPED, 'computer stood still', STOPPED),
    (STOPPED, 'deactivate', OFF),
)


@pytest.mark.parametrize(('before', 'event', 'after'), TRANSITIONS, ids=' '.join)
def test_every_transition_leads_where_the_figure_says(before, event, after):
    head = VirtualHead(ROBOT)
    head.run(0.2)
    for step in WAYS[before]:
        EVENTS[step](head)
    assert head.controller.state == before
    EVENTS[event](head)
    assert head.controller.state == after
    if after == RUNNING:
        assert head.torques() == {1}
        assert head.go(jaw=0.1) == ''
    elif not head.controller.cycle.servos.bus.silent:
        assert head.torques() == {0}
    if after == STOPPED:
        assert 'reset first' in head.go(jaw=0.1)


def test_the_figure_shows_these_transitions_and_no_others():
    drawn = re.findall(r'^    (\w+) --> (\w+): (.+)$', PAGE.read_text(encoding='utf-8'), re.M)
    assert sorted(drawn) == sorted((before, after, event) for before, event, after in TRANSITIONS)
