"""A head of which no joint can be taken in although the line is good: said, and mended on request.

It said "bus lost, trying again:" without an end, and nothing that was asked for was done.
"""

import pytest

from benchmark.virtual_head import VirtualHead
from kf_imitation.head.reports import ERROR, LOST


@pytest.fixture
def head():
    """The jaw alone, stopped while its servo has a hardware error, and reset."""
    one = VirtualHead({'stop': 'limp'}, ('jaw',))
    one.start()
    one.run(0.1)
    one.stop()
    one.run(0.1)
    one.fault('overload 1')
    one.reset()
    one.run(1.0)
    assert one.controller.state == LOST
    return one


def test_the_status_says_what_is_wrong_with_the_servos(head):
    status = head.controller.status()
    assert status.level == ERROR
    assert status.sentence == (
        'no joint can move: jaw: hardware error: overload; reboot it to go on'
    )


def test_a_reset_that_is_in_vain_says_that_the_stop_has_ended(head):
    answer = head.controller.reset()
    head.run(6.0)
    assert not answer.result(0).done
    assert answer.result(0).sentence.startswith('the stop has ended, but no joint can move: jaw')


def test_clear_error_restarts_them(head):
    answer = head.controller.recover(careful=True)
    assert head.run(5.0, until=lambda: head.controller.cycle.all_running)
    head.run(0.1)
    assert answer.result(0).sentence == 'jaw: overload cleared'
    assert head.judge.end(head.now_s) == []


def test_so_does_a_reboot_of_one_joint(head):
    head.controller.reboot('jaw')
    assert head.run(5.0, until=lambda: head.controller.cycle.all_running)


def test_clear_error_waits_for_a_line_that_is_really_lost(head):
    head.port.unplug()
    head.run(1.0)
    answer = head.controller.recover(careful=True)
    head.run(1.0)
    assert not answer.done()
    head.port.plug()
    assert head.run(5.0, until=lambda: head.controller.cycle.all_running)
