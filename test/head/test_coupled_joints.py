"""One of two joints that share a limit falls silent, or comes back, while the other moves.

Long random streams (benchmark/judged_streams.py) found this.
"""

import numpy as np

from benchmark.judged_rows import turn
from benchmark.virtual_head import VirtualHead
from kf_imitation.head.servo_monitor import SILENT, WAITS

CORNER, JAW = 'mouth_corner_left', 'jaw'


def answers_again(turned_rad):
    """A head whose mouth corner was turned as it restarted, in the cycle in which it answers.

    The jaw opens then.
    """
    head = VirtualHead(joints=(JAW, CORNER))
    head.start()
    head.goal(**{CORNER: 0.3})
    head.run(1.0)
    head.fault(f'reboot {head.servo(CORNER).id}')
    head.run(0.1)
    turn(head, CORNER, turned_rad)
    reasons = head.controller.cycle.monitor.reasons
    assert list(reasons.values()) == [SILENT]
    for jaw in 5 * (0.45, 0.0):
        head.goal(**{JAW: jaw})
        if head.run(0.15, until=lambda: SILENT not in reasons.values()):
            break
    jaw = head.robot.names.index(JAW)
    assert head.controller.cycle.motion.limiter.state.velocity[jaw] > 0.5
    return head


def moves_again(head):
    assert head.run(2.0, until=lambda: head.controller.cycle.all_running)
    head.run(1.0)
    return head.judge.end(head.now_s) == []


def test_it_waits_until_they_have_stopped_where_they_would_lead_further_out():
    # Torque went on at once, and the jaw went on to further beyond the limit of both.
    head = answers_again(0.4)
    assert list(head.controller.cycle.monitor.reasons.values()) == [WAITS]
    assert not head.servo(CORNER).registers.get('torque_enable')
    assert f'{CORNER}: {WAITS}' in head.controller.status().sentence
    assert moves_again(head)


def test_it_waits_for_nobody_whose_way_it_is_not_in():
    head = answers_again(0.05)
    assert head.controller.cycle.all_running
    assert moves_again(head)


def test_a_joint_that_is_found_silent_is_planned_where_it_stays_from_then_on(monkeypatch):
    # For one more cycle it was planned on its way, and the other made use of the room it left.
    head = VirtualHead(joints=(JAW, CORNER))
    head.start()
    head.goal(**{CORNER: 0.5, JAW: 0.3})
    head.run(1.0)
    cycle = head.controller.cycle
    motion, advance, planned = cycle.motion, cycle.motion.advance, []

    def advanced(*inputs):
        planned.append((np.flatnonzero(motion.limiter.limp).tolist(), list(cycle.monitor.down)))
        advance(*inputs)

    monkeypatch.setattr(motion, 'advance', advanced)
    head.goal(**{CORNER: -0.4, JAW: 0.5})
    head.run(0.05)
    head.fault(f'dead {head.servo(CORNER).id}')
    head.run(0.4)
    corner = [head.robot.names.index(CORNER)]
    assert planned[0] == ([], []) and planned[-1] == (corner, corner)
    assert all(limp == down for limp, down in planned)
