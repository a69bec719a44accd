"""A stuck joint is tried a few times, each time with less force, then it rests until cleared.

It was pushed again and again for ever with the same force; 0.055 rad before the goal, or with a
finger that holds the jaw at 65 %, it was no stall at all.
"""

import pytest
from virtual_head import JAW, YAW, VirtualHead

from kf_imitation.head.reports import ERROR, OK, WARN
from kf_imitation.motion.motion_generator import STALL_FORCES, STALL_RESTS_S

TRIES = len(STALL_FORCES)
SETTLED_S = sum(STALL_RESTS_S) + TRIES * 1.6


def stuck_head(joint, goal, force=1.0):
    """Ask for a pose of a joint that is stuck, and presses with a part of its current limit."""
    head = VirtualHead()
    head.run(0.3)
    servo = head.servos[head.controller.robot.names.index(joint)]
    servo.physics.surroundings.blocked = True
    registers = servo.registers
    registers.set('goal_current', round(force * registers.get('goal_current')))
    assert head.go(**{joint: goal}) == ''
    return head, servo


@pytest.mark.parametrize(
    ('joint', 'goal', 'force'),
    [('neck_yaw', 0.8, 1.0), ('jaw', 0.4, 1.0), ('neck_yaw', 0.055, 1.0), ('jaw', 0.4, 0.65)],
    ids=['far', 'jaw', 'right before the goal', 'a finger holds the jaw'],
)
def test_a_stuck_joint_rests_after_a_few_tries_and_is_named(joint, goal, force):
    head, servo = stuck_head(joint, goal, force)
    pressed_s = 0.0
    for _ in range(round((SETTLED_S + 2.0) / 0.1)):
        head.run(0.1)
        most = 0.3 * head.controller.robot.joints[head.index(joint)].max_current_a
        pressed_s += 0.1 * (abs(servo.physics.current_a) > most)
    status = head.controller.status()
    assert status.level == ERROR
    assert f'{joint} is stuck: it pushed {TRIES} times without moving and rests' in status.sentence
    assert head.controller.statistics().stalls == TRIES
    assert pressed_s < TRIES * 1.7
    assert abs(servo.physics.current_a) < most
    head.run(5.0)  # and for good
    assert head.controller.statistics().stalls == TRIES


def test_each_try_is_gentler():
    head, servo = stuck_head('jaw', 0.4)
    full, forces = servo.registers.get('goal_current'), []
    while head.controller.statistics().stalls < TRIES:
        head.run(0.1)
        if not forces or servo.registers.get('goal_current') != forces[-1]:
            forces.append(servo.registers.get('goal_current'))
    assert forces == pytest.approx([fraction * full for fraction in STALL_FORCES], abs=1)


def test_the_other_joints_go_on():
    head, _ = stuck_head('jaw', 0.4)
    head.run(SETTLED_S)
    assert head.go(jaw=0.4, neck_yaw=0.5) == ''
    head.run(1.0)
    assert head.cycle.present_rad[YAW] == pytest.approx(0.5, abs=0.01)
    assert head.cycle.present_rad[JAW] == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize('by', ['clear_error', 'reset'])
def test_a_joint_that_was_given_up_moves_again_once_cleared(by):
    head, servo = stuck_head('jaw', 0.4)
    full = servo.registers.get('goal_current')
    head.run(SETTLED_S)
    servo.physics.surroundings.blocked = False
    if by == 'reset':
        head.controller.stop()
        head.run(0.2)
        head.controller.reset()
        head.run(0.5)
    else:
        answer = head.controller.recover(careful=True)
        head.run(0.1)
        assert 'jaw may move again' in answer.result(0).sentence
    assert servo.registers.get('goal_current') == full
    assert head.go(jaw=0.4) == ''
    head.run(1.0)
    assert head.cycle.present_rad[JAW] == pytest.approx(0.4, abs=0.01)
    assert head.controller.status().level == OK


def test_a_joint_that_comes_free_by_itself_has_its_force_and_its_tries_again():
    head, servo = stuck_head('jaw', 0.4)
    full = servo.registers.get('goal_current')
    head.run(1.0)
    assert head.controller.status().level == WARN
    servo.physics.surroundings.blocked = False
    head.run(12.0)
    assert head.cycle.present_rad[JAW] == pytest.approx(0.4, abs=0.01)
    assert servo.registers.get('goal_current') == full
    assert head.controller.status().level == OK
