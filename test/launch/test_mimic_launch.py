"""launch/mimic.launch.py under the real launch system, with small stages for the networks."""

import os
import re
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from rosbags.highlevel import AnyReader

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / 'launch/mimic.launch.py'
NODES = ('camera', 'keyframe', 'landmarks', 'servo', 'recorder')

PACKAGE, SMALL_PROGRAM = 'kf_imitation', ROOT / 'test/nodes/small_program.py'

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def launch(launch_file):
    return partial(launch_file, LAUNCH_FILE)


def test_every_argument_is_described(declared):
    arguments = declared(LAUNCH_FILE)
    assert {'source', 'robot', 'port', 'rviz', 'record', 'namespace'} <= set(arguments)
    assert all(len(description) > 10 for description in arguments.values())


def test_the_run_ends_with_the_file_and_every_process_ends_cleanly(launch, video, tmp_path):
    bag = tmp_path / 'bag'
    process = launch(f'source:={video}', f'record:={bag}', 'robot:=sim_face', 'namespace:=head')
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    clean = re.findall(r'\[(\w+)_node-\d\]: process has finished cleanly', output)
    assert sorted(clean) == sorted(NODES), output
    assert 'Traceback' not in output, output
    with AnyReader([bag]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    assert counts['/head/face/region'] == 60
    assert counts['/head/keyframe/score'] == 59
    assert counts['/head/joint_states'] > 0


def test_ctrl_c_ends_every_process_cleanly(launch):
    process = launch('source:=test-pattern', 'robot:=sim_face')
    lines = []
    for line in process.stdout:
        lines.append(line)
        if 'servo' in line and 'firmware' in line:  # its last word before it is active
            break
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    output = ''.join(lines) + rest
    clean = re.findall(r'\[(\w+)_node-\d\]: process has finished cleanly', output)
    assert sorted(clean) == sorted(set(NODES) - {'recorder'}), output
    assert 'Traceback' not in output, output


def test_a_missing_source_starts_nothing(launch, tmp_path):
    process = launch(f'source:={tmp_path / "gone.mp4"}')
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert 'gone.mp4: does not exist' in output
    assert 'process started' not in output


def read_until(process, words):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.search(words, line):
            return ''.join(lines)
    raise AssertionError(''.join(lines))


def pid_of(process, node):
    started = read_until(process, rf'{node}_node-\d\]: process started with pid')
    return int(re.findall(rf'{node}_node-\d\]: process started with pid \[(\d+)\]', started)[-1])


def test_a_killed_avatar_is_started_again_and_the_head_goes_on(launch):
    process = launch('source:=test-pattern', 'robot:=sim_face', 'avatar:=true')
    os.kill(pid_of(process, 'avatar'), signal.SIGKILL)
    read_until(process, 'avatar has ended: the head goes on')
    pid_of(process, 'avatar')
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output


def test_the_fault_of_a_node_that_the_head_needs_is_that_of_the_run(launch):
    process = launch('source:=test-pattern', 'robot:=sim_face')
    os.kill(pid_of(process, 'landmarks'), signal.SIGKILL)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 1, output
    assert 'landmarks has ended with exit code -9' in output


FAILS_AT_ITS_END = """#!{python}
import runpy, sys
sys.path.insert(0, {folder!r})
sys.argv[1:1] = ['landmarks_node']
try:
    runpy.run_path({program!r}, run_name='__main__')
finally:
    sys.exit(2)
"""


def test_a_fault_after_the_end_of_a_file_is_that_of_the_run_too(launch, prefix, video):
    words = {'python': sys.executable, 'folder': str(SMALL_PROGRAM.parent)}
    program = prefix / 'lib' / PACKAGE / 'landmarks_node'
    program.write_text(FAILS_AT_ITS_END.format(program=str(SMALL_PROGRAM), **words))
    process = launch(f'source:={video}', 'robot:=sim_face')
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 1, output
    assert re.search(r'camera_node-\d\]: process has finished cleanly', output)
    assert 'landmarks has ended with exit code 2' in output
