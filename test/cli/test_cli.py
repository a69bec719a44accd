"""The command line without ROS: help, bad input, exit codes."""

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from kf_imitation.cli import main as cli
from kf_imitation.cli import start
from kf_imitation.cli.mimic import repeats, what_next
from kf_imitation.cli.terminal import program

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('command', cli.COMMANDS)
def test_every_command_offers_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([command, '--help'])
    assert end.value.code == 0
    assert 'usage: kf_imitation' in capsys.readouterr().out


@pytest.mark.parametrize('command', cli.COMMANDS)
def test_every_command_module_keeps_the_contract(command):
    module = import_module(cli.COMMANDS[command][0])
    assert callable(module.add_arguments) and callable(module.run)


HEAVY = {
    'cv2', 'dynamixel_sdk', 'matplotlib', 'numpy', 'onnxruntime', 'rclpy', 'rich',
    'rosbags', 'ruckig', 'scipy', 'yaml',
}  # fmt: skip
LIGHT = [
    '',
    '--help',
    'dance',
    *(f'{command} --help' for command in cli.COMMANDS),
    *(f'{command} --nonsense' for command in cli.COMMANDS),
    'bag',
    'robot',
    'replay',
    'replay clip.mp4 --out there --mode dance',
    'servo jog --help',
    'servo simulate --help',
    'servo ping 300',
]


@pytest.mark.parametrize('words', LIGHT)
def test_help_and_usage_errors_import_nothing_heavy(words):
    code = (
        'import sys\n'
        'from kf_imitation.cli.main import main\n'
        'try: main(sys.argv[1:])\n'
        'except SystemExit: pass\n'
        'print("\\nimported:", *{name.partition(".")[0] for name in sys.modules})'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, *words.split()], check=True, capture_output=True, text=True
    )
    text, _, imported = done.stdout.rpartition('imported:')
    assert 'usage: kf_imitation' in text + done.stderr
    assert HEAVY & set(imported.split()) == set()


def test_a_missing_video_is_one_line_and_exit_code_2(tmp_path, capsys):
    record = tmp_path / 'bag'
    code = cli.main(['mimic', '--source', str(tmp_path / 'gone.mp4'), '--record', str(record)])
    error = capsys.readouterr().err
    assert code == 2
    assert error.count('\n') == 1 and 'gone.mp4' in error and 'does not exist' in error
    assert not record.exists()


def test_a_wrong_parameter_file_lists_every_fault(tmp_path, capsys):
    params = tmp_path / 'bad.yaml'
    params.write_text('servo: {ros__parameters: {rate_hz: 1, hold: 2}}', encoding='utf-8')
    assert cli.main(['mimic', '--source', 'test-pattern', '--params', str(params)]) == 2
    error = capsys.readouterr().err
    assert 'rate_hz = 1.0 must be from 10 to 500 Hz' in error
    assert 'servo.hold is not a parameter' in error


def test_a_good_robot_file_is_summarised(capsys):
    assert cli.main(['robot', 'check', 'sim_face']) == 0
    assert 'no problems' in capsys.readouterr().out


def test_an_unknown_robot_is_rejected_with_the_known_ones(capsys):
    assert cli.main(['robot', 'check', 'nobody']) == 2
    error = capsys.readouterr().err
    assert 'nobody' in error and 'sim_face' in error


def test_an_unknown_command_is_exit_code_2():
    with pytest.raises(SystemExit) as end:
        cli.main(['dance'])
    assert end.value.code == 2


def test_the_version_is_the_one_of_package_xml(capsys):
    with pytest.raises(SystemExit):
        cli.main(['--version'])
    assert capsys.readouterr().out.strip() == f'kf_imitation {cli.version()}'


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        ('replya clip.mp4', 'did you mean replay?'),
        ('servo scna', 'did you mean scan?'),
        ('replay clip.mp4 --out there --mode travle', 'did you mean travel?'),
        ('robot check sim_fase', 'did you mean sim_face?'),
        ('replay', 'kf_imitation: the following arguments are required'),
        ('replay clip.mp4 --out there --overwrit', 'unrecognized arguments: --overwrit'),
    ],
)
def test_what_was_probably_meant_is_said_in_one_shape_of_error(words, said, capsys):
    try:
        code = cli.main(words.split())
    except SystemExit as end:
        code = end.code
    assert code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert said in last and (last.startswith('kf_imitation: ') or 'robot' in last)


def test_the_demo_ends_with_four_lines_of_commands_that_there_are():
    title, *lines = what_next('').splitlines()
    assert title == 'What next:' and len(lines) == 4
    named = re.findall(r'kf_imitation (\w+)', what_next(''))
    assert len(named) >= 4 and set(named) <= set(cli.COMMANDS)
    assert all((ROOT / page).is_file() for page in re.findall(r'docs/\S+', what_next('')))


def test_after_a_run_that_recorded_the_report_of_that_bag_is_what_is_next():
    assert "kf_imitation report 'my run'" in what_next('my run')
    assert '--record' in what_next('') and '--record' not in what_next('my run')


def test_the_package_itself_is_a_program():
    done = subprocess.run(
        [sys.executable, '-m', 'kf_imitation', '--version'], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f'kf_imitation {cli.version()}\n')


@pytest.mark.parametrize(
    ('words', 'terminal', 'again'),
    [
        ([], True, True),
        ([], False, False),
        (['--no-loop'], True, False),
        (['--loop'], False, True),
        (['--no-cockpit'], True, False),
        (['--source', 'clip.mp4'], True, False),
        (['--record', 'run1'], True, False),
        (['--json', '-'], True, False),
        (['--quiet'], True, False),
    ],
)
def test_the_demo_repeats_for_who_sits_at_a_terminal_with_a_page(
    monkeypatch, words, terminal, again
):
    args = cli.build_parser('mimic').parse_args(['mimic', *words])
    for name in ('stdin', 'stderr'):
        monkeypatch.setattr(sys, name, SimpleNamespace(isatty=lambda: terminal))
    assert repeats(args) is again


@pytest.mark.parametrize(
    ('started', 'on_path', 'typed'),
    [
        ('.venv/bin/kf_imitation', None, '.venv/bin/kf_imitation'),
        ('.venv/bin/kf_imitation', '/usr/bin/kf_imitation', 'kf_imitation'),
        ('main.py', None, 'kf_imitation'),
    ],
)
def test_commands_are_named_as_they_can_be_typed(monkeypatch, started, on_path, typed):
    monkeypatch.setattr(sys, 'argv', [started])
    monkeypatch.setattr('kf_imitation.cli.terminal.which', lambda name: on_path)
    assert program() == typed


def test_shells_complete_commands_and_options(tmp_path):
    pytest.importorskip('argcomplete', reason='pip install argcomplete')

    def completed(line):
        """What argcomplete offers: it writes to file descriptor 8, apart by \\v."""
        told = tmp_path / 'told'
        code = 'from kf_imitation.cli.main import main; main()'
        command = f'"{sys.executable}" -c "{code}" 8>"{told}"'
        asked = {'_ARGCOMPLETE': '1', 'COMP_LINE': line, 'COMP_POINT': str(len(line))}
        environment = {**os.environ, **asked, '_ARGCOMPLETE_IFS': '\v'}
        subprocess.run(command, shell=True, check=True, env=environment, timeout=60)
        return {word.strip() for word in told.read_text(encoding='utf-8').split('\v')}

    assert {'report', 'replay', 'record'} <= completed('kf_imitation re')
    assert '--video' in completed('kf_imitation replay --vi')


def test_figures_go_to_a_file_or_to_stdout(tmp_path, capsys):
    path = tmp_path / 'found.json'
    assert cli.main(['doctor', '--robot', 'dance', '--json', str(path)]) == 2
    told = capsys.readouterr().out
    found = json.loads(path.read_text(encoding='utf-8'))
    assert {'level', 'subject', 'sentence'} == set(found[0]) and found[0]['sentence'] in told
    assert cli.main(['doctor', '--robot', 'dance', '--json', '-']) == 2
    assert [f['subject'] for f in json.loads(capsys.readouterr().out)] == [
        f['subject'] for f in found
    ]


def test_ctrl_c_while_the_program_is_loaded_is_no_traceback(monkeypatch):
    class Interrupted:
        @staticmethod
        def find_spec(name, *_):
            if name == 'kf_imitation.cli.main':
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, 'kf_imitation.cli.main')
    monkeypatch.setattr(sys, 'meta_path', [Interrupted, *sys.meta_path])
    assert start() == 130
    assert '{PACKAGE}.cli:start' in (ROOT / 'setup.py').read_text(encoding='utf-8')
