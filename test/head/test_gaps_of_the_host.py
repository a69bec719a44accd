"""Time that passes without the controller ends what was under way.

A process that was stopped for 0.5 to 10 s in mid-motion went on to its old goal on waking, up to
4.9 degrees in one cycle and with status OK; `hold_s` stood still while the computer slept.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from virtual_head import PERIOD_S, ROBOT, YAW, VirtualHead

from benchmark.virtual_head import VirtualHead as JudgedHead
from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.head import clock
from kf_imitation.head.clock import age_problem, boottime_s, stamp_problem
from kf_imitation.head.controller import ServoController
from kf_imitation.head.reports import RUNNING, STOPPED, WARN
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.motion.waypoints import TrajectoryPoint


@pytest.fixture
def head():
    """On the way to neck_yaw = 0.8."""
    moving = VirtualHead(hold_s=1.0)
    assert moving.go(neck_yaw=0.8) == ''
    moving.run(0.25)
    assert 0.2 < moving.cycle.commanded_rad[YAW] < 0.7
    return moving


def pause(head, seconds):
    """Let time pass without a cycle, in which the servos go on to their last goal."""
    head.now_s += seconds
    head.run(PERIOD_S)


@pytest.mark.parametrize('seconds', [0.35, 0.5, 2.0, 10.0, -5.0])
def test_a_gap_voids_the_goal_and_motion_begins_again_at_rest_where_the_joints_are(head, seconds):
    pause(head, seconds)
    first = head.cycle
    assert first.commanded_rad[YAW] == pytest.approx(first.present_rad[YAW], abs=0.01)
    head.run(0.5)
    assert head.cycle.commanded_rad[YAW] == pytest.approx(first.commanded_rad[YAW], abs=0.02)
    status = head.controller.status()
    assert (head.controller.state, status.level) == (RUNNING, WARN)
    what = 'the computer stood still for' if seconds > 0 else 'the clock went back by'
    assert what in status.sentence
    assert status.values['commands void by a gap'] == str(int(seconds < 1.0))  # hold_s
    assert head.torques() == {1}


@pytest.mark.parametrize('seconds', [0.07, 0.2])
def test_a_short_gap_as_of_a_busy_computer_only_begins_again_at_rest(head, seconds):
    pause(head, seconds)
    first = head.cycle
    assert first.commanded_rad[YAW] == pytest.approx(first.present_rad[YAW], abs=0.01)
    head.run(0.45)
    assert head.cycle.present_rad[YAW] > first.present_rad[YAW] + 0.15  # on to the same goal
    assert head.controller.statistics().voided == 0


def test_a_cycle_that_takes_so_long_begins_motion_again_at_rest_too():
    head = JudgedHead(joints=('jaw', 'neck_yaw'), seed=1)
    head.start()
    head.run(0.5, goal_cycles=30, extreme=0.5)
    bus = head.controller.cycle.servos.bus
    real = bus.group_read

    def slow(*question):
        answer = real(*question)
        bus.group_read = real
        head.port.advance(head.port.now_s + 0.08)
        return answer

    for _ in range(10):
        bus.group_read = slow
        head.run(0.2, goal_cycles=10, extreme=0.5)
    head.close()
    assert head.judge.end(head.now_s) == []


def test_a_gap_on_the_way_out_does_not_keep_the_head_from_neutral():
    head = JudgedHead({'exit': 'neutral_limp'}, joints=('jaw', 'neck_yaw'))
    head.start()
    head.goal(neck_yaw=0.6)
    head.run(0.6)
    cycle = head.controller.cycle
    real, ends_s = cycle._pause, head.now_s + 0.15

    def pause(seconds):
        if head.now_s > ends_s:
            cycle._pause = real
            seconds += 0.5
        real(seconds)

    cycle._pause = pause
    head.close()
    assert cycle._pause == real
    assert head.controller.cycle.exit_problem == ''
    assert head.judge.end(head.now_s) == []


@pytest.mark.parametrize(('fault', 'seconds'), [('unplug', 0.02), ('deaf', 0.045)])
def test_a_line_that_is_gone_for_a_moment_makes_no_joint_jump(fault, seconds):
    head = JudgedHead(joints=('jaw', 'neck_yaw'), seed=1)
    head.start()
    for _ in range(20):
        head.run(0.13, goal_cycles=10, extreme=0.5)
        head.fault(fault)
        head.run(seconds, goal_cycles=10, extreme=0.5)
        head.port.plug()
        head.fault('normal')
    assert head.controller.statistics().errors >= 20
    head.run(0.3)
    head.close()
    assert head.judge.end(head.now_s) == []


def test_after_a_gap_the_head_relaxes_like_without_news_and_takes_new_goals(head):
    pause(head, 2.0)
    head.run(2.5)
    assert head.cycle.present_rad[YAW] == pytest.approx(0.0, abs=0.01)
    assert head.go(neck_yaw=-0.5) == ''
    head.run(0.8)
    assert head.cycle.present_rad[YAW] == pytest.approx(-0.5, abs=0.02)
    head.run(4.0)
    assert 'stood still' not in head.controller.status().sentence


def test_no_joint_jumps_after_a_gap(head):
    before = head.cycle.present_rad
    pause(head, 2.0)
    head.run(1.0)
    present = head.cycle.present_rad
    assert np.abs(present - before).max() < 0.15  # to the last goal on the wire, no further


@pytest.mark.parametrize(('age_s', 'kept'), [(0.1, True), (0.7, False)])
def test_a_command_given_in_a_gap_counts_while_it_is_fresh(head, age_s, kept):
    head.now_s += 1.0 - age_s
    assert head.go(neck_yaw=-0.4) == ''
    pause(head, age_s)
    head.run(0.9)
    assert (head.cycle.present_rad[YAW] < -0.35) == kept


def test_a_gap_ends_trajectories_that_run_or_wait(head):
    assert head.controller.set_trajectory(['jaw'], [TrajectoryPoint(5.0, (0.4,))]) == ''
    head.run(0.3)
    assert head.controller.set_trajectory(['jaw'], [TrajectoryPoint(1.0, (0.2,))], 3.0) == ''
    pause(head, 0.35)
    head.run(0.65)
    assert head.controller.statistics().voided == 3
    head.run(4.0)
    assert head.cycle.present_rad[0] == pytest.approx(0.0, abs=0.02)


def test_a_gap_while_stopped_leaves_the_head_stopped():
    head = VirtualHead(replace(ROBOT, stop='hold'))
    head.controller.stop()
    head.run(0.5)
    pause(head, 3.0)
    head.run(0.5)
    assert head.controller.state == STOPPED
    assert 'waiting for reset' in head.controller.status().sentence


@pytest.mark.parametrize('fault', ['', 'reboot {id}'])
def test_a_head_that_holds_in_a_stop_gives_no_torque_before_the_reset(fault):
    head = JudgedHead({'stop': 'hold'}, joints=('jaw', 'neck_yaw'))
    head.start()
    assert head.goal(neck_yaw=0.5) == ''
    head.run(0.4)
    head.stop()
    head.run(0.5)
    if fault:  # the servo lost what it was told, and answers again
        head.fault(fault.format(id=head.robot.ids[1]))
        head.run(2.0)
    else:  # servos stopped themselves
        head.sleep(0.8)
        head.run(2.0)
    assert head.judge.end(head.now_s) == []
    assert head.controller.state == STOPPED
    assert any('neck_yaw' in sentence for sentence in head.controller.cycle.monitor.sentences())
    head.reset()
    assert head.run(2.0, until=lambda: head.controller.cycle.all_running)
    assert head.judge.end(head.now_s) == []


def test_hold_s_counts_while_the_computer_sleeps():
    assert boottime_s() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=0.1)
    controller = ServoController(ROBOT, InProcessBus(simulated_servos(ROBOT)))
    assert controller._clock is clock.boottime_s


@pytest.mark.parametrize('seconds', [float('nan'), float('inf'), 0.0, -1.0])
def test_a_hold_time_that_is_no_time_is_rejected(seconds):
    bus = InProcessBus(simulated_servos(ROBOT))
    with pytest.raises(ValueError, match='hold_s'):
        ServoController(ROBOT, bus, hold_s=seconds)
    controller = ServoController(ROBOT, bus)
    with pytest.raises(ValueError, match='hold_s'):
        controller.hold_s = seconds


def test_a_stamp_of_the_far_future_is_rejected_and_blocks_no_later_goal(head):
    goal = np.zeros(len(ROBOT.names))
    reason = head.controller.set_goal(goal, 2**62)  # the year 2116
    assert 'in the future' in reason and 'use_sim_time' in reason
    assert head.controller.set_goal(goal, time.time_ns()) == ''


def test_a_clock_that_is_not_known_yet_rejects_nothing():
    assert stamp_problem(2**62, 0) == ''
    assert stamp_problem(50 * 10**9, 10**9) == ''


HOST = """
import sys, numpy as np
from dataclasses import replace
from kf_imitation.robot import load_robot
from kf_imitation.head.controller import ServoController
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
robot = load_robot('sim_face')
robot = replace(robot, joints=(robot.joints[0], robot.joints[9]), coupled_limits=(), exit='limp')
controller = ServoController(robot, DynamixelBus(sys.argv[1], robot.baud), hold_s=60)
controller.start()
controller.set_goal(np.array([0.0, 0.8]), 1)
print('running', flush=True)
for _ in sys.stdin:
    status = controller.status()
    print(status.level, status.values['gaps of the computer'], status.sentence, flush=True)
controller.close()
"""


def test_a_process_that_was_stopped_in_mid_motion_does_not_go_on_to_its_old_goal(rig):
    host = subprocess.Popen(
        [sys.executable, '-c', HOST, rig.port.device],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': os.getcwd()},
    )

    def told():
        host.stdin.write('\n')
        host.stdin.flush()
        level, gaps, sentence = host.stdout.readline().split(' ', 2)
        return int(level), int(gaps), sentence

    try:
        assert host.stdout.readline() == 'running\n'
        yaw = rig.servo('neck_yaw')
        rig.wait(lambda: yaw.physics.angle_rad - np.pi > 0.1, 'motion')
        host.send_signal(signal.SIGSTOP)
        tripped = yaw.registers.get
        rig.wait(lambda: tripped('bus_watchdog') == 255, 'watchdog')
        host.send_signal(signal.SIGCONT)
        stood = yaw.physics.angle_rad
        armed = round(rig.robot.watchdog_s / 0.02)
        rig.wait(lambda: tripped('bus_watchdog') == armed and yaw.torque, 'taken in again')
        rig.wait(lambda: told()[0] == WARN, 'the other servo taken in again, too')
        _, gaps, sentence = told()
        assert gaps >= 1
        assert 'the computer stood still for' in sentence
        assert yaw.physics.angle_rad == pytest.approx(stood, abs=0.05)
        assert yaw.physics.angle_rad - np.pi < 0.75
    finally:
        host.kill()
        host.wait()
        host.stdin.close()
        host.stdout.close()


@pytest.mark.parametrize(
    ('age_s', 'now_ns', 'words'),
    [
        (0.9, 10**18, ''),
        (1.1, 10**18, 'stamped 1.1 s ago, at most 1 s (command_age_s)'),
        (-5.0, 10**18, ''),
        (7.2, 0, ''),  # a clock that has not begun
    ],
)
def test_what_is_old_by_its_own_stamp_is_said_to_be(age_s, now_ns, words):
    assert age_problem(now_ns - round(age_s * 1e9), now_ns, 1.0).startswith(words)
    assert bool(age_problem(now_ns - round(age_s * 1e9), now_ns, 1.0)) == bool(words)


@pytest.mark.parametrize('unplugged_s', np.arange(0.3, 0.46, 0.02))
def test_a_head_that_was_stopped_while_its_line_was_gone_lets_go_soon_after_it_is_back(
    unplugged_s,
):
    # The port was opened again in every other try only: torque stayed on for up to 0.2 s.
    head = JudgedHead({}, ('jaw', 'neck_yaw'))
    head.start()
    head.run(0.2)
    head.port.unplug()
    head.stop()
    head.run(unplugged_s)
    head.port.plug()
    plugged_s = head.now_s
    head.judge.told(plugged_s, 'plugged')
    head.run(1.0, until=lambda: head.controller.cycle.stop_confirmed)
    assert head.now_s - plugged_s < 0.15
    assert not any(servo.registers.get('torque_enable') for servo in head.line.servos)
    assert head.judge.end(head.now_s) == []
