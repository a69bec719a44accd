"""The property test of benchmark/streams.py on a few streams, and that its judge sees broken code.

Each case breaks one part of the safety code and expects the judge, which knows nothing of that
code, to name the limit. So a check that could not fail would be noticed here.
"""

import json
import re
from dataclasses import asdict
from unittest import mock

import numpy as np
import pytest

from benchmark import streams
from benchmark.streams import CHUNK, Head, run_chunk, run_stream
from kf_imitation.cli.terminal import write_json
from kf_imitation.motion import safety_limiter as safety
from kf_imitation.motion.joint_states import JointMeasurement, JointTrajectoryState
from kf_imitation.motion.planner import MotionPlanner
from kf_imitation.motion.safety_limiter import SafetyLimiter


def faults(count=60):
    return {fault.split()[0] for _, fault in run_chunk(0, count).failures}


def test_no_stream_exceeds_a_limit():
    chunk = run_chunk(0, 60)
    assert chunk.failures == []
    assert chunk.cycles > 600
    assert chunk.replaced > 10  # the limiter had something to do


def test_streams_go_through_both_planners():
    wrapped = {name: getattr(MotionPlanner, name) for name in ('plan', 'plan_passage')}
    with (
        mock.patch.object(MotionPlanner, 'plan', autospec=True, side_effect=wrapped['plan']) as to,
        mock.patch.object(
            MotionPlanner, 'plan_passage', autospec=True, side_effect=wrapped['plan_passage']
        ) as past,
    ):
        for seed in range(30):
            run_stream(Head(seed), seed)
    assert to.call_count > 50
    assert past.call_count > 5


def test_streams_are_the_same_every_time_alone_or_in_a_chunk():
    alone = run_stream(Head(13), 13)
    head = Head(10)
    shared = [run_stream(head, seed) for seed in range(10, 14)][-1]
    assert alone == pytest.approx(shared, abs=0)


def test_without_the_check_of_stops_positions_are_exceeded(monkeypatch):
    monkeypatch.setattr(SafetyLimiter, '_stays_inside', lambda *_: True)
    assert faults() & {'position', 'limit'}


def test_without_the_check_of_the_speed_of_stops_it_is_exceeded(monkeypatch):
    monkeypatch.setattr(SafetyLimiter, '_keeps_speed', lambda *_: True)
    assert 'velocity' in {fault.split()[0] for _, fault in run_chunk(1760, 10).failures}


def test_without_the_check_of_steps_speed_acceleration_and_jerk_are_exceeded(monkeypatch):
    monkeypatch.setattr(SafetyLimiter, '_reachable', lambda *_: True)
    assert faults() & {'velocity', 'acceleration', 'jerk'}


@pytest.mark.parametrize('name', ['_velocity', '_acceleration', '_jerk'])
def test_a_limiter_that_knows_a_wrong_limit_is_found_out(monkeypatch, name):
    """The planner gets the same wrong figure, as if the robot file had been misread."""
    real = streams.MotionGenerator.__init__

    def twice(self, robot, period_s):
        real(self, robot, period_s)
        for part in (self.limiter, self.planner, self.passages):
            setattr(part, name, 2.0 * getattr(part, name))
        self.limiter._step_bounds = self.limiter._bounds_of_steps(self.limiter._velocity)

    monkeypatch.setattr(streams.MotionGenerator, '__init__', twice)
    assert name.strip('_') in faults()


def test_without_coupled_limits_they_are_exceeded(monkeypatch):
    real = safety.SafetyLimiter.__init__

    def blind(self, robot, period_s):
        real(self, robot, period_s)
        free = len(self._names)
        self._matrix[:] = 0.0
        self._sides[2 * free :] = 0.0
        self._corners[2 * free :] = 0.0

    monkeypatch.setattr(SafetyLimiter, '__init__', blind)
    monkeypatch.setattr(SafetyLimiter, 'allowed_goal', lambda self, goal: goal)
    assert 'limit' in faults(100)


def test_a_head_that_stands_at_a_coupled_limit_gets_along_it():
    """It once stood there for good: joints of different strength do not stop in the same time, so
    every plan along the limit was rejected, however slow."""
    head = Head(337)
    run_stream(head, 337)
    motion = head.motion
    goal = np.array([0.92694518, -0.00674995, 0.81168629])
    present = JointMeasurement.zeros(len(goal))
    positions = []
    for cycle in range(3000):
        present.position_rad[:] = motion.limiter.state.position
        motion.advance(100.0 + 0.01 * cycle, goal, present, np.full(len(goal), np.nan))
        positions.append(motion.limiter.state.position)
    assert motion.limiter.at_rest
    assert positions[-1] == pytest.approx(motion.goal_rad, abs=1e-4)
    assert head.exceeded(np.array(positions)) == ''


@pytest.mark.parametrize(
    ('seed', 'start'), [(135, [-0.69861827, -0.20750341]), (151, [-0.65077618, -1.06910315])]
)
def test_joints_outside_wait_for_each_other_where_one_would_lead_further_out(seed, start):
    """It once stayed where it was: the stop of every plan broke the coupled limit more."""
    head = Head(seed)
    head.motion.begin(np.array(start))
    assert head.motion.limiter.outside.all()
    positions = [np.array(start), *streams.arrive(head, np.random.default_rng(0), 0.0)]
    assert head.stuck == ''
    assert head.exceeded(np.array(positions)) == ''


def test_a_head_that_creeps_back_grows_bolder():
    """After sixteen refusals at its start outside it went on at 0.5 % of the speed for minutes."""
    head = Head(17618)
    assert head.exceeded(run_stream(head, 17618)) == ''
    assert (head.stuck, head.endings) == ('', 1)


def test_a_gentle_plan_does_not_end_an_acceleration_gently():
    """A joint at nearly full speed once got faster than its limit between two cycles."""
    assert streams.check_stream(34810) == ''


def test_a_head_that_does_not_arrive_is_found_out(monkeypatch):
    monkeypatch.setattr(streams, 'ENDING', 1.0)
    monkeypatch.setattr(streams, 'LONGEST_WAY', 500)
    assert run_chunk(0, 10).failures == []
    monkeypatch.setattr(MotionPlanner, 'next', lambda self: None)
    assert 'standing' in faults(10)


def test_the_region_of_a_stop_holds_every_point_of_it():
    rng = np.random.default_rng(0)
    for _ in range(300):
        joints = 6
        acceleration, jerk = 10.0 ** rng.uniform(0, 2.5, joints), 10.0 ** rng.uniform(1, 4, joints)
        start = JointTrajectoryState(
            rng.uniform(-1, 1, joints),
            rng.normal(0.0, 3.0, joints) * (rng.random(joints) < 0.9),
            rng.uniform(-1, 1, joints) * acceleration,
        )
        brake = safety.plan_brake(start, acceleration, jerk)
        path = brake.at(np.linspace(0.0, brake.duration_s, 200)[:, None]).position
        high, low = brake.region()
        assert (path <= high + 1e-9).all() and (path >= low - 1e-9).all()
        end = path[-1]
        onwards = start.velocity * brake.jerk <= 0.0  # no turn on the way: the region is exact
        assert (np.maximum(start.position, end) - high)[onwards] == pytest.approx(0.0, abs=1e-9)


def test_a_run_goes_on_where_it_ended(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(streams, 'CHUNK', 20)
    file = tmp_path / 'streams.json'
    common = ['--seed', '40', '--workers', '1', '--progress', str(file)]
    assert streams.main([*common, '--streams', '40']) == 0
    assert json.loads(file.read_text())['done'] == 40
    assert streams.main([*common, '--streams', '60', '--resume']) == 0
    resumed = json.loads(file.read_text())
    assert streams.main([*common, '--streams', '60']) == 0
    whole = json.loads(file.read_text())
    for key in ('first', 'done', 'cycles', 'replaced', 'failures', 'code'):
        assert resumed[key] == whole[key], key
    assert re.search(r'60 streams, \d+ cycles, .*0 limits exceeded', capsys.readouterr().out)


def test_a_run_of_other_code_is_not_gone_on_with(tmp_path, capsys):
    file = tmp_path / 'streams.json'
    assert streams.main(['--resume', '--progress', str(file)]) == 2
    write_json(asdict(streams.Progress(done=CHUNK, code='other')), file)
    assert streams.main(['--resume', '--progress', str(file)]) == 2
    assert 'other code' in capsys.readouterr().err
