"""The way that `kf_imitation tour` leads, with and without somebody to answer."""

import shlex
import sys

import pytest

from kf_imitation.cli import main as cli
from kf_imitation.cli import tour
from kf_imitation.robot import load_robot


@pytest.fixture
def walk(monkeypatch, capsys):
    """Take the tour with answers; return what it said and the commands that it ran."""
    ran = []
    monkeypatch.setattr(tour, 'run_command', lambda words: ran.append(words) or 0)

    def begin(answers=None, seen=(), words=()):
        given = iter(answers or ())
        monkeypatch.setattr(tour, 'cameras', lambda: list(seen))
        monkeypatch.setattr('builtins.input', lambda _: next(given))
        for stream in (sys.stdin, sys.stdout):
            monkeypatch.setattr(stream, 'isatty', lambda: answers is not None, raising=False)
        assert cli.main(['tour', *words]) == 0
        return capsys.readouterr().out, ran

    return begin


def test_where_nobody_can_answer_it_prints_every_step_and_runs_none(walk):
    said, ran = walk(seen=['/dev/video0'])
    assert ran == []
    for step in tour.steps('/dev/video0'):
        assert step.title in said and ' '.join(step.words) in said


def test_enter_runs_a_step_s_skips_it_and_q_ends_the_tour(walk):
    _, ran = walk(['', 's', '', 'q'], ['/dev/video0'])
    assert [words[0] for words in ran] == ['mimic', 'calibrate']


def test_without_a_camera_its_steps_are_skipped(walk):
    said, ran = walk([''] * len(tour.steps('')))
    assert said.count('No camera is connected') == 2
    assert [words[0] for words in ran] == ['mimic', 'replay', 'report', 'robot', 'mimic']


def test_another_source_takes_the_place_of_the_camera(walk):
    said, _ = walk(words=['--source', 'clip.mp4', '--show'])
    assert 'mimic --source clip.mp4' in said and 'No camera' not in said


def test_every_step_is_a_command_that_there_is():
    for step in tour.steps('0'):
        args = cli.build_parser(step.words[0]).parse_args(step.words)
        assert callable(args.run)


def test_a_step_that_fails_does_not_end_the_tour(monkeypatch, walk):
    monkeypatch.setattr(tour, 'run_command', lambda words: 2)
    said, _ = walk([''] * len(tour.steps('')))
    assert said.count('exit code 2; the tour goes on') == 5


def test_a_command_runs_as_a_process_of_its_own(capfd):
    assert tour.run_command(('robot', 'list')) == 0
    assert 'sim_face' in capfd.readouterr().out


def test_a_new_robot_file_is_the_simulated_head_under_its_own_name(tmp_path, capsys):
    path = tmp_path / 'my_head.yaml'
    assert cli.main(['robot', 'new', str(path)]) == 0
    robot = load_robot(str(path))
    assert robot.name == 'my_head' and robot.names == load_robot('sim_face').names
    assert 'robot check' in capsys.readouterr().out
    assert cli.main(['robot', 'check', str(path)]) == 0
    before = path.read_text()
    capsys.readouterr()
    assert cli.main(['robot', 'new', str(path), '--like', 'template']) == 2
    assert '--overwrite' not in capsys.readouterr().err  # there is no such option
    assert path.read_text() == before
    assert cli.main(['robot', 'new', str(tmp_path / 'x.yaml'), '--like', 'nobody']) == 2
    assert 'no such robot' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['2024', 'true', 'null', '#1', 'a: b', 'my head', r'a\1'])
def test_a_new_robot_file_is_good_whatever_its_name(tmp_path, name):
    path = tmp_path / f'{name}.yaml'
    assert cli.main(['robot', 'new', str(path)]) == 0
    assert load_robot(str(path)).name == name


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('noext', 'must end in .yaml: noext.yaml'),
        ('gone/x.yaml', 'there is no folder'),
    ],
)
def test_a_new_robot_file_is_one_that_is_found_in_a_folder_that_exists(
    tmp_path, capsys, name, said
):
    assert cli.main(['robot', 'new', str(tmp_path / name)]) == 2
    assert said in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_the_command_that_checks_a_new_robot_file_can_be_pasted(tmp_path, capsys):
    path = tmp_path / 'sp ace.yaml'
    assert cli.main(['robot', 'new', str(path)]) == 0
    command = capsys.readouterr().out.partition(', then ')[2]
    program, *words = shlex.split(command)
    assert program == 'kf_imitation' and cli.main(words) == 0
