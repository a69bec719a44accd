"""Random streams through the motor loop: a few of them, and that the run sees what is broken."""

import json

import pytest

from benchmark import judged_streams
from benchmark.judged_streams import Streams
from kf_imitation.head.control_cycle import ControlCycle
from kf_imitation.motion.motion_generator import MotionGenerator


@pytest.mark.parametrize('seed', range(3))
def test_nothing_is_found_in_some_streams(seed):
    one = Streams(seed)
    assert one.run(6) == []
    assert one.cycles > 60
    assert one.head.judge.goals > 30


def test_a_head_that_is_taken_over_at_once_begins_where_it_is():
    one = Streams(16)  # closed in mid-motion, held, and started while its servos still follow
    assert one.run(3) == []
    assert sum(sentence.endswith(' start') for sentence in one.story) == 2


@pytest.mark.parametrize(
    ('seed', 'streams'),
    [
        (274, 6),  # left as a joint had just come back into its limits: not by way of neutral
        (330, 3),  # a restarted servo outside its limits had its full current for a moment
        (266, 5),  # a head of one joint with a hardware error was a lost bus for ever
        (267, 20),  # a reset while a held stop still braked: from full speed to rest at once
        (378, 10),  # a limp joint was planned as if it gave way, and the others with it
        (93, 20),  # left in the very cycle in which a servo came back: it went nowhere
        (6478, 2),  # a reset in the cycle after a stop, before torque was off
        (8988, 3),  # stopped while unplugged: torque stayed on too long when the line was back
        (9168, 20),  # left with `exit: hold` while a reset waited for braking joints: it let go
        (513, 20),  # a servo that is silent, not limp, goes on to its last goal
        (17063, 6),  # a servo that a hand had turned was taken in while the other joint moved on
        (1452, 20),  # left to neutral while a joint rested elsewhere, and said it had arrived
    ],
)
def test_what_longer_runs_have_found_is_mended(seed, streams):
    assert Streams(seed).run(streams) == []


@pytest.mark.parametrize(
    ('seed', 'streams'),
    [
        (148, 20),  # a servo that restarts as the head is left is not held
        (211, 6),  # what is held is taken over where it is, also far from where it was held
        (344, 13),  # the goal before torque goes on leads nobody anywhere
        (472, 2),  # a hand that is stronger than a joint carries it away
        (3002, 10),  # the same right after it has come to rest, to a tick
        (890, 6),  # nobody reaches the servos of an unplugged head
        (1645, 3),  # motion begins again where a joint outside its limits is
        (7386, 4),  # the others wait until a joint has come in from far outside
        (10482, 19),  # from where the way to neutral takes its time, too
        (99210, 20),  # after a gap a frozen joint that was carried away is held where it is
        (17187, 20),  # a joint that still accelerates takes longer to stop
        (9037, 6),  # motion begins at the tick that is held, not at its first goal
    ],
)
def test_what_no_head_can_help_is_no_finding(seed, streams):
    assert Streams(seed).run(streams) == []


def test_streams_are_the_same_every_time():
    first, second = Streams(4), Streams(4)
    first.run(2), second.run(2)
    assert first.story == second.story


def test_a_mistake_in_a_cycle_is_found(monkeypatch):
    def mistaken(*_):
        raise ValueError('a mistake')

    monkeypatch.setattr(MotionGenerator, 'advance', mistaken)
    assert any('a fault in a cycle: ValueError: a mistake' in one for one in Streams(0).run(3))


def test_a_head_that_does_not_come_back_is_found(monkeypatch):
    monkeypatch.setattr(judged_streams, 'BACK_S', 0.5)
    monkeypatch.setattr(ControlCycle, '_try_again', lambda self: None)
    one = Streams(0)
    one._start()
    one.head.stop()
    one._cycles(10)
    one._heal()
    assert any(sentence.startswith('does not run again') for sentence in one.found)


def test_a_run_goes_on_where_it_ended(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(judged_streams, 'STREAMS_OF_A_HEAD', 1)
    file = tmp_path / 'streams.json'
    for streams in (1, 2):
        assert judged_streams.main(['--streams', str(streams), '--progress', str(file)]) == 0
    assert json.loads(file.read_text())['heads'] == 2
    assert '2 streams on 2 heads' in capsys.readouterr().out
