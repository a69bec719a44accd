"""Some inputs of each kind of benchmark/fuzz, and that it notices what it looks for."""

import itertools
from collections import Counter
from importlib import import_module

import pytest
from hypothesis import Phase
from hypothesis import strategies as st

from benchmark.fuzz import bounds, packets, sources
from benchmark.fuzz.__main__ import TARGETS, fuzz, main
from benchmark.fuzz.damage import Damage, damaged
from kf_imitation.actuators.dynamixel.simulator.packet import Parser
from kf_imitation.actuators.dynamixel.simulator.register_file import RegisterFile
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo

INPUTS = 20
# What must have happened at least once, so that the inputs are not all refused at the door.
REACHED = {
    'sources': {'played', 'refused'},
    'bags': {'played', 'refused'},
    'parameters': {'applied', 'rejected'},
    'robot': {'heads', 'rejected'},
    'packets': {'instructions', 'replies'},
}


@pytest.fixture
def ros_domain(domain, monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_DOMAIN_ID', domain)
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))


@pytest.mark.parametrize('target', REACHED)
def test_what_comes_in_damaged_is_used_or_refused(target):
    total = fuzz(import_module(f'benchmark.fuzz.{target}').run, inputs=INPUTS)
    assert total['inputs'] >= INPUTS / 2
    assert not {name for name in REACHED[target] if not total[name]}


def test_messages_of_anybody_end_no_node(ros_domain):
    pytest.importorskip('rclpy', reason='needs ROS')
    from benchmark.fuzz import messages

    try:
        for kind, take in messages.receivers().callbacks.values():
            take(kind())  # chance does not come upon all of them with so few inputs
        total = fuzz(messages.run, inputs=2 * INPUTS)
    finally:
        messages.receivers().close()
        messages.receivers.cache_clear()
    assert total['inputs'] >= INPUTS


def test_every_target_is_tried_above():
    assert {*REACHED, 'messages'} == set(TARGETS)


@pytest.mark.parametrize(
    ('kind', 'left'),
    [
        ('cut', b'01'),
        ('zeros', b'01\x00\x00456789'),
        ('removed', b'01456789'),
        ('inserted', b'01xy23456789'),
        ('twice', b'012323456789'),
        ('flipped', b'016' + b'3456789'),
        ('bytes', b'01xy456789'),
    ],
)
def test_damage_is_what_its_name_says(kind, left):
    assert damaged(b'0123456789', [Damage(kind, 12, 2, b'xy')]) == left


def test_the_command_prints_its_figures(capsys):
    assert main(['--target', 'packets', '--minutes', '0']) == 0
    assert '200 inputs' in capsys.readouterr().out


def test_a_servo_that_falls_silent_is_noticed_with_its_seed(monkeypatch):
    monkeypatch.setattr(SimulatedServo, 'listening', False)
    with pytest.raises(bounds.FuzzError, match='does not reply') as found:
        fuzz(packets.run, inputs=INPUTS, phases=[Phase.generate])
    assert 'Draw 1 (seed): ' in ' '.join(found.value.__notes__)


def test_a_crash_is_noticed_with_its_seed(monkeypatch):
    def broken(*_):
        raise OverflowError('int too big to convert')

    monkeypatch.setattr(RegisterFile, 'write', broken)
    with pytest.raises(OverflowError) as found:
        fuzz(packets.run, inputs=INPUTS, phases=[Phase.generate])
    assert 'Draw 1 (seed): ' in ' '.join(found.value.__notes__)


def test_a_parser_that_loses_a_packet_or_keeps_too_much_is_noticed(monkeypatch):
    rng = packets.random.Random(0)
    packets.check_parser(rng, b'\xff\xff\xfd\x00\x01\x40\x00half a packet')
    with monkeypatch.context() as patch:
        patch.setattr(Parser, '_skip', lambda self, count: self._buffer.clear())
        with pytest.raises(bounds.FuzzError, match='does not find'):
            packets.check_parser(rng, b'\xff\xff\xfd\x00\x01\x40\x00half a packet')
    monkeypatch.setattr(Parser, '_next', lambda self: None)
    with pytest.raises(bounds.FuzzError, match='keeps'):
        packets.check_parser(rng, bytes(2000))


def test_a_hang_is_ended(monkeypatch):
    monkeypatch.setattr(bounds, 'LONGEST_S', 0.05)
    with pytest.raises(bounds.FuzzError, match='hangs'), bounds.no_hang():
        any(False for _ in itertools.count())


def test_a_file_that_changes_is_noticed(monkeypatch, tmp_path):
    path = sources.write(tmp_path, {'a.png': b'x'}) / 'a.png'
    monkeypatch.setattr(sources, 'play', lambda source: path.write_bytes(b''))
    with pytest.raises(bounds.FuzzError, match='the files have changed'):
        sources._play(path, tmp_path)


def test_inputs_are_counted_over_rounds():
    total = fuzz(lambda data: Counter(n=data.draw(st.just(1))), inputs=5)
    assert total['inputs'] == total['n'] > 0
