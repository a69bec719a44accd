"""The doctor: every finding on a line, bad ones in the exit code."""

import pytest

from kf_imitation import cli, doctor


def test_a_healthy_installation_is_told_so(capsys):
    code = cli.main(['doctor', '--source', 'test-pattern:1'])
    lines = capsys.readouterr().out.splitlines()
    subjects = [line[6:].split(':')[0] for line in lines]
    assert {'machine', 'ROS 2', 'parameters', 'robot sim_face'} <= set(subjects)
    assert any(subject.startswith('model ') for subject in subjects)
    bad = [line for line in lines if line.startswith('bad')]
    assert code == (2 if bad else 0)
    assert not [line for line in bad if 'ROS 2' not in line]


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--port', '/dev/no-such-port'], 'is the adapter plugged in'),
        (['--robot', 'nobody'], 'no such robot'),
        (['--source', 'gone.mp4'], 'does not exist'),
        (['--params', 'gone.yaml'], 'cannot be read'),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_is_checked_all_the_same(arguments, words, capsys):
    assert cli.main(['doctor', *arguments]) == 2
    out = capsys.readouterr().out
    assert words in out
    assert 'good  machine' in out or 'note  machine' in out


def test_an_open_network_is_noted(monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    monkeypatch.setattr(doctor, 'find_spec', lambda name: object())
    finding = doctor._ros()
    assert finding.level == doctor.NOTE
    assert 'others may move the head' in finding.sentence


def test_missing_ros_is_bad_and_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(doctor, 'find_spec', lambda name: None)
    finding = doctor._ros()
    assert finding.level == doctor.BAD
    assert 'pip install' in finding.sentence
