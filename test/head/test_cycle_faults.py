"""An accepted message never ends the motor loop; a mistake in a cycle is a fault with a name.

88 of 1,121 random valid trajectories raised inside the bus thread: it died, torque went off, and
the status was "off" at level OK while goals were accepted.
"""

import threading
from dataclasses import replace

import numpy as np
import pytest
from virtual_head import JAW, PERIOD_S, ROBOT, YAW, VirtualHead

from benchmark.trajectories import check_head
from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.head.controller import ENDED, ServoController
from kf_imitation.head.reports import ERROR, RUNNING, STOPPED, WARN
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.motion.waypoints import TrajectoryPoint


@pytest.fixture
def head():
    return VirtualHead()


@pytest.mark.parametrize(
    ('names', 'points', 'words'),
    [
        (['jaw'], [(8000.0, (0.3,))], 'lasts 8000 s, at most 600 s'),
        (['neck_yaw'], [(1.0, (0.1,)), (10_000.0, (0.0,))], 'milliseconds sent as seconds?'),
        (['jaw'], [(0.01 * i, (0.1,)) for i in range(1, 20_002)], '20001 points'),
        (['jaw'], [(float('nan'), (0.1,))], 'negative'),
        (['jaw'], [(float('inf'), (0.1,))], 'lasts inf s'),
    ],
)
def test_what_cannot_be_performed_is_rejected_with_a_reason(head, names, points, words):
    assert words in head.controller.set_trajectory(names, [TrajectoryPoint(*p) for p in points])
    head.run(0.2)
    assert head.controller.status().level == WARN


def test_a_trajectory_may_be_as_long_as_the_parameter_says(head):
    point = [TrajectoryPoint(50.0, (0.3,))]
    head.controller.trajectory_most_s = 40.0
    assert 'at most 40 s (trajectory_most_s)' in head.controller.set_trajectory(['jaw'], point)
    assert 'begins in 41.000 s' in head.controller.set_trajectory(
        ['jaw'], [TrajectoryPoint(1.0, (0.3,))], 41.0
    )
    head.controller.trajectory_most_s = 60.0
    assert head.controller.set_trajectory(['jaw'], point) == ''


@pytest.mark.parametrize(
    ('joint', 'points', 'delay_s'),
    [
        ('jaw', [(0.0008, 0.1), (0.0012, 0.2)], 0.0195),
        ('neck_yaw', [(i * 0.0005, 0.001 * i) for i in range(1, 201)], 0.0),
        ('eyelid_left', [(5.8e-7, -0.65), (2.08e-6, 0.25)], 0.02),
        ('neck_yaw', [(0.01 * i, 0.2 * np.sin(0.05 * i)) for i in range(500)], 0.0),
    ],
)
def test_points_closer_than_a_cycle_are_one(head, joint, points, delay_s):
    points = [TrajectoryPoint(time_s, (angle,)) for time_s, angle in points]
    assert head.controller.set_trajectory([joint], points, delay_s) == ''
    head.run(points[-1].time_s + 1.5)
    assert head.controller.state == RUNNING
    angle = head.cycle.commanded_rad[ROBOT.names.index(joint)]
    assert angle == pytest.approx(points[-1].position_rad[0], abs=1e-4)
    assert head.exceeded() == []


def test_a_long_trajectory_is_laid_as_a_short_one(head):
    """Only its first points are laid when it begins, the others before: no seam between them."""
    times = np.arange(1, 61) * 0.1
    angles = 0.4 * np.sin(times)
    points = [TrajectoryPoint(t, (a,)) for t, a in zip(times, angles, strict=True)]
    begin = head.now_s
    assert head.controller.set_trajectory(['neck_yaw'], points) == ''
    head.run(6.5)
    passed = np.array(head.commanded)[:, YAW]
    at = begin + PERIOD_S * np.arange(1, len(passed) + 1)
    assert np.interp(begin + times[:-1], at, passed) == pytest.approx(angles[:-1], abs=0.01)
    assert head.controller.statistics().missed == 0


@pytest.mark.parametrize('seed', range(2))
def test_a_random_trajectory_is_rejected_with_a_reason_or_performed_within_the_limits(seed):
    """The full run: python -m benchmark.trajectories."""
    accepted, problem = check_head(ROBOT, seed)
    assert problem == ''
    assert 5 < accepted < 35


def broken(*_):
    raise ZeroDivisionError('a bug of ours')


@pytest.mark.parametrize('stop', ['limp', 'hold'])
def test_a_mistake_in_a_cycle_brakes_latches_and_is_named(monkeypatch, stop):
    head = VirtualHead(replace(ROBOT, stop=stop))
    assert head.go(neck_yaw=0.8) == ''
    before = head.run(0.2).commanded_rad[YAW]
    assert 0.05 < before < 0.75
    monkeypatch.setattr(head.controller.cycle.motion, 'advance', broken)
    head.run(0.01)
    assert head.controller.state == STOPPED
    status = head.controller.status()
    assert status.level == ERROR
    assert head.torques() == {1}  # it brakes
    head.run(1.0)
    assert head.torques() == {int(stop == 'hold')}
    assert head.exceeded() == []
    assert before < head.cycle.commanded_rad[YAW] < 0.79
    status = head.controller.status()
    assert 'ZeroDivisionError: a bug of ours at test_cycle_faults.py' in status.sentence
    assert (status.level, status.values['faults of the motor loop']) == (ERROR, '1')
    assert 'reset first' in head.go(neck_yaw=0.1)


def test_after_a_reset_it_goes_on_and_a_mistake_that_stays_stops_it_again(monkeypatch, head):
    with monkeypatch.context() as patch:
        patch.setattr(head.controller.cycle.motion, 'advance', broken)
        head.run(0.3)
        head.controller.reset()
        head.run(0.3)
        assert head.controller.state == STOPPED
        assert head.controller.statistics().faults == 2
    head.controller.reset()
    head.run(0.3)
    assert head.controller.status().level == 0
    assert head.go(jaw=0.3) == ''
    assert head.run(1.0).present_rad[JAW] == pytest.approx(0.3, abs=0.01)


def test_a_brake_that_fails_too_lets_torque_go(monkeypatch, head):
    assert head.go(neck_yaw=0.8) == ''
    head.run(0.2)
    monkeypatch.setattr(head.controller.cycle.motion, 'advance', broken)
    monkeypatch.setattr(head.controller.cycle.motion, 'brake', broken)
    head.run(0.03)
    assert head.torques() == {0}
    head.run(1.0)
    assert head.controller.statistics().faults == 2


def test_a_thread_that_ended_all_the_same_is_an_error(monkeypatch):
    class Unheard(BaseException):
        """Nobody catches it."""

    gone = threading.Event()
    monkeypatch.setattr(threading, 'excepthook', lambda _: gone.set())
    controller = ServoController(ROBOT, InProcessBus(simulated_servos(ROBOT)))
    controller.start()
    controller.on_cycle = lambda cycle: (_ for _ in ()).throw(Unheard)
    assert gone.wait(10)
    controller._thread.join()
    assert (controller.status().level, controller.status().sentence) == (ERROR, ENDED)
    assert controller.set_goal(np.zeros(len(ROBOT.names)), 1) == ENDED
    assert not controller.reset().result().done
    controller.close()


def test_a_mistake_while_starting_is_reported_to_who_starts(monkeypatch):
    controller = ServoController(ROBOT, InProcessBus(simulated_servos(ROBOT)))
    monkeypatch.setattr(controller.cycle.servos, 'setup', broken)
    with pytest.raises(Exception, match='the head does not start: ZeroDivisionError'):
        controller.start()
