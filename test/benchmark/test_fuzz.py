"""The fuzzing of benchmark/fuzz.py for a few sequences, and that it notices what it looks for."""

import itertools

import pytest

from benchmark import fuzz
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.packet import Parser
from kf_imitation.actuators.dynamixel.simulator.register_file import RegisterFile
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo

SEQUENCES = range(40)


def test_the_parser_and_the_servos_survive_garbage():
    total = sum((fuzz.run_sequence(seed) for seed in SEQUENCES), start=fuzz.Counter())
    assert total['sequences'] == len(SEQUENCES)
    assert total['instructions'] > 5 * len(SEQUENCES)  # much of the garbage is understood
    assert total['replies'] > len(SEQUENCES)


def test_the_command_prints_its_figures(capsys):
    assert fuzz.main(['--seconds', '0.05', '--seed', '7']) == 0
    assert 'no crash, no hang, always an answer' in capsys.readouterr().out


def test_a_servo_that_falls_silent_is_noticed_with_its_seed(monkeypatch, capsys):
    monkeypatch.setattr(SimulatedServo, 'listening', False)
    assert fuzz.main(['--seconds', '60', '--seed', '7']) == 1
    told = capsys.readouterr()
    assert 'does not reply' in told.out
    assert 'seed 7' in told.err


def test_a_crash_is_noticed_with_its_seed(monkeypatch, capsys):
    def broken(*_):
        raise OverflowError('int too big to convert')

    monkeypatch.setattr(RegisterFile, 'write', broken)
    with pytest.raises(OverflowError):
        fuzz.main(['--seconds', '60', '--seed', '7'])
    assert 'seed 7' in capsys.readouterr().err


def test_a_parser_that_loses_a_packet_or_keeps_too_much_is_noticed(monkeypatch):
    rng = fuzz.random.Random(0)
    fuzz.check_parser(rng, b'\xff\xff\xfd\x00\x01\x40\x00half a packet')
    with monkeypatch.context() as patch:
        patch.setattr(Parser, '_skip', lambda self, count: self._buffer.clear())
        with pytest.raises(fuzz.FuzzError, match='does not find'):
            fuzz.check_parser(rng, b'\xff\xff\xfd\x00\x01\x40\x00half a packet')
    monkeypatch.setattr(Parser, '_next', lambda self: None)
    with pytest.raises(fuzz.FuzzError, match='keeps'):
        fuzz.check_parser(rng, bytes(2000))


def test_a_hang_is_ended(monkeypatch, capsys):
    monkeypatch.setattr(fuzz, 'LONGEST_S', 0.05)
    monkeypatch.setattr(SimulatedBus, 'step', lambda *_: any(False for _ in itertools.count()))
    assert fuzz.main(['--seconds', '60', '--seed', '7']) == 1
    assert 'hangs' in capsys.readouterr().out
