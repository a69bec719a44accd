"""What stdout and the environment may be: pipes, full disks, plain terminals, no home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kf_imitation.cli.terminal import plain
from kf_imitation.errors import KfImitationError
from kf_imitation.ros_graph.environment import check_namespace, checked_defaults, faults
from kf_imitation.ros_graph.nodes import RunOptions, build_graph

COMMAND = [sys.executable, '-m', 'kf_imitation.cli.main']


def run(*words, **options):
    return subprocess.run([*COMMAND, *words], stderr=subprocess.PIPE, timeout=60, **options)


def test_a_reader_that_goes_away_is_no_fault():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run('mimic', '--help', stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b'')


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs /dev/full')
def test_a_full_disk_behind_stdout_is_one_line_and_exit_code_2():
    with open('/dev/full', 'wb') as full:
        done = run('robot', 'list', stdout=full)
    assert done.returncode == 2
    assert done.stderr == b'kf_imitation: output is lost: No space left on device\n'


@pytest.mark.parametrize('encoding', ['ascii', 'latin-1'])
def test_a_terminal_without_unicode_gets_plain_letters(encoding):
    environment = {**os.environ, 'PYTHONIOENCODING': encoding}
    done = run('mimic', '--help', stdout=subprocess.PIPE, env=environment)
    assert done.returncode == 0 and b'by-id/...' in done.stdout


@pytest.mark.parametrize(
    ('text', 'shown'), [('3 × 4 ± 2 µs…', '3 x 4 +/- 2 us...'), ('Zoë → 脸', 'Zoe -> ?')]
)
def test_letters_that_an_encoding_lacks_are_replaced_by_like_ones(text, shown):
    assert text.encode('ascii', 'plain').decode() == shown
    with pytest.raises(UnicodeDecodeError):
        plain(UnicodeDecodeError('ascii', b'', 0, 1, ''))


@pytest.mark.parametrize('domain', ['abc', '300', '-1', '²', '1.5'])
def test_a_domain_that_does_not_exist_is_found_before_the_start(tmp_path, domain):
    environment = {'HOME': str(tmp_path), 'ROS_DOMAIN_ID': domain}
    assert faults(environment) == [f'ROS_DOMAIN_ID = {domain!r} must be a number from 0 to 232']
    with pytest.raises(KfImitationError, match='must be a number'):
        checked_defaults(environment)


@pytest.mark.parametrize('domain', ['', '0', '42', '232'])
def test_a_domain_that_exists_is_fine(tmp_path, domain):
    assert not faults({'HOME': str(tmp_path), 'ROS_DOMAIN_ID': domain})


def test_without_a_home_the_folder_for_logs_must_be_named(tmp_path):
    (found,) = faults({})
    assert 'HOME is not set' in found and 'ROS_LOG_DIR' in found
    assert not faults({'ROS_LOG_DIR': str(tmp_path / 'new' / 'logs')})


def test_a_folder_for_logs_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').touch()
    (found,) = faults({'HOME': str(tmp_path), 'ROS_LOG_DIR': str(tmp_path / 'file' / 'logs')})
    assert f'{tmp_path}/file/logs, is not writable' in found


@pytest.mark.parametrize(
    ('namespace', 'better'),
    [('robot-1', 'robot_1'), ('1st', '_1st'), ('a/b c', 'a/b_c'), ('a//b/', 'a/b')],
)
def test_a_namespace_that_ros_would_not_take_is_found_before_the_start(namespace, better):
    with pytest.raises(KfImitationError, match=f'for example {better}$'):
        check_namespace(namespace)
    with pytest.raises(KfImitationError, match='must be of letters'):
        build_graph(RunOptions(source='test-pattern', namespace=namespace))


@pytest.mark.parametrize('namespace', ['', '/', 'robot1', '/a/b', 'a_b/'])
def test_a_namespace_that_ros_takes_is_fine(namespace):
    check_namespace(namespace)


@pytest.mark.parametrize(
    ('changes', 'arguments', 'words'),
    [
        ({'ROS_DOMAIN_ID': 'abc'}, [], "ROS_DOMAIN_ID = 'abc' must be"),
        ({}, ['--ros-args', '-r', '__ns:=/robot-1'], 'ROS does not start: '),
        ({}, ['--ros-args', '--params-file', '/no/such.yaml'], 'ROS does not start: '),
    ],
)
def test_a_node_says_in_one_line_why_it_does_not_start(changes, arguments, words):
    pytest.importorskip('rclpy', reason='needs ROS')
    done = subprocess.run(
        [sys.executable, '-m', 'kf_imitation.nodes.avatar_node', *arguments],
        env={**os.environ, **changes},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1] and 'Traceback' not in done.stderr
