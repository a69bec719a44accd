"""A head whose robot file says `stop: hold`: what it holds is frozen, gentle, and handed over.

Long random streams (benchmark/judged_streams.py) found each of these.
"""

import numpy as np
import pytest

from benchmark.judged_rows import turn
from benchmark.virtual_head import VirtualHead
from kf_imitation.head.reports import RUNNING, STOPPED, WARN

FULL_SPEED_S = 0.12


def held(**more):
    head = VirtualHead({'stop': 'hold'} | more, ('jaw', 'neck_yaw'))
    head.start()
    head.run(0.2)
    return head


def stopped_at_full_speed():
    """A head that has braked for a moment only."""
    head = held()
    assert head.goal(neck_yaw=0.8) == ''
    head.run(FULL_SPEED_S)
    head.stop()
    head.run(0.02)
    return head


def test_a_reset_waits_until_the_joints_of_a_held_stop_have_come_to_rest():
    # Taken over in mid-braking, they were commanded to stand from one cycle to the next.
    head = stopped_at_full_speed()
    moving = head.controller.cycle.motion.limiter.state.velocity.copy()
    head.reset()
    head.run(0.02)
    assert np.abs(moving).max() > 0.3 and head.controller.state == STOPPED
    assert head.run(1.0, until=lambda: head.controller.cycle.all_running)
    head.run(0.5)
    assert head.judge.end(head.now_s) == []


def test_a_stop_after_a_reset_that_waits_still_counts():
    head = stopped_at_full_speed()
    head.reset()
    head.run(0.01)
    head.stop()
    head.run(1.0)
    assert head.controller.state == STOPPED and head.controller.latched


def test_a_head_that_is_left_while_its_reset_waits_is_left_as_if_it_ran():
    # It was still stopped, and let go although its exit policy is to hold.
    head = held(exit='hold')
    assert head.goal(neck_yaw=0.8) == ''
    head.run(FULL_SPEED_S)
    head.stop()
    head.run(0.01)
    head.reset()
    head.close()
    assert head.controller.cycle.exit_problem == ''
    assert all(servo.registers.get('torque_enable') for servo in head.line.servos)
    assert head.judge.end(head.now_s) == []


def test_a_joint_that_is_pushed_while_it_is_frozen_does_not_push_back_for_ever():
    # The stall guard looked at heads that move only.
    head = held()
    head.stop()
    head.run(0.3)
    registers = head.servo('neck_yaw').registers
    full = registers.get('goal_current')
    physics = head.servo('neck_yaw').physics
    physics.surroundings.load = 0.6  # a hand pushes it away, and stays
    head.run(0.25)
    physics.surroundings.load, physics.surroundings.blocked = 0.0, True
    head.run(8.0)
    assert registers.get('goal_current') == pytest.approx(0.35 * full, abs=1)
    assert head.controller.state == STOPPED
    assert [one for one in head.judge.verdicts if one.kind == 'force in all'] == []
    physics.surroundings.blocked = False
    head.reset()
    assert head.run(1.0, until=lambda: head.controller.state == RUNNING)
    head.run(0.2)
    assert registers.get('goal_current') == full


def test_a_reset_that_works_is_at_no_time_an_error(monkeypatch):
    # "no joint can move: brow_right: was stopped; …" while one joint after the other was taken in.
    head = held()
    head.stop()
    head.run(0.3)
    monitor, seen = head.controller.cycle.monitor, []
    revive = monitor.revive

    def watched(index, present):
        seen.append(head.controller.status())
        return revive(index, present)

    monkeypatch.setattr(monitor, 'revive', watched)
    head.reset()
    assert head.run(1.0, until=lambda: head.controller.cycle.all_running)
    assert {(one.level, one.sentence) for one in seen} == {
        (WARN, 'reset: the servos are being taken in')
    }


def test_while_joints_brake_for_a_stop_that_holds_they_are_said_to_and_nothing_is_wrong():
    head = stopped_at_full_speed()
    status = head.controller.status()
    assert (status.level, status.sentence) == (WARN, 'stopping: the joints are coming to rest')
    head.run(0.5)
    assert head.controller.status().sentence == 'stopped; waiting for reset'


@pytest.mark.parametrize('stop', ['hold', 'limp'])
def test_a_joint_that_is_turned_out_of_its_limits_while_stopped_is_named_with_how_far(stop):
    # "stopped; waiting for reset": what the reset would begin with, only the reset said.
    head = held(stop=stop)
    head.stop()
    head.run(0.3)
    plain = 'stopped; waiting for reset'
    assert head.controller.status().sentence == plain
    index = head.robot.names.index('neck_yaw')
    limit = head.robot.joints[index].limits_rad[1]
    turn(head, 'neck_yaw', limit + 0.2)
    head.servo('neck_yaw').physics.surroundings.blocked = True  # a hand holds it there
    head.run(0.1)
    far = head.controller.cycle.present.position_rad[index] - limit
    status = head.controller.status()
    said = f'neck_yaw is {far:.2f} rad above its limits'
    assert far > 0.15
    assert (status.level, status.sentence) == (WARN, f'stopped; {said}; waiting for reset')
    assert status.values['neck_yaw'].endswith(f'{far:.2f} rad above its limits')
    assert 'limits' not in status.values['jaw']
