"""launch/mimic.launch.py under the real launch system, with small stages for the networks."""

import os
import re
import signal
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('launch', reason='launch is not installed (it comes with ROS, not from PyPI)')
pytest.importorskip('launch_ros', reason='launch_ros is not installed')
pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from launch.actions import DeclareLaunchArgument
from rosbags.highlevel import AnyReader

from kf_imitation.graph import PACKAGE

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / 'launch/mimic.launch.py'
SMALL_PROGRAM = ROOT / 'test/ros/small_program.py'
NODES = ('camera', 'keyframe', 'landmarks', 'servo', 'recorder')

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def prefix(tmp_path):
    """An installation whose programs are the nodes with small stages."""
    prefix = tmp_path / 'prefix'
    marker = prefix / 'share/ament_index/resource_index/packages' / PACKAGE
    marker.parent.mkdir(parents=True)
    marker.touch()
    programs = prefix / 'lib' / PACKAGE
    programs.mkdir(parents=True)
    for node in NODES:
        program = programs / f'{node}_node'
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {SMALL_PROGRAM} {node}_node "$@"\n')
        program.chmod(0o755)
    return prefix


@pytest.fixture
def launch(prefix, tmp_path):
    """Start the launch file; everything still running at the end is killed."""
    environment = {
        **os.environ,
        'AMENT_PREFIX_PATH': str(prefix),
        'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
        'ROS_DOMAIN_ID': str(1 + os.getpid() % 99),
        'ROS_LOG_DIR': str(tmp_path / 'log'),
        'PYTHONUNBUFFERED': '1',
    }
    running = []

    def start(*arguments):
        program = Path(__file__).with_name('run_launch.py')
        process = subprocess.Popen(
            [sys.executable, str(program), str(LAUNCH_FILE), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'clip.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 30, (320, 240))
    for i in range(60):
        level = int(110 + 80 * np.tanh(4 * np.sin(i * 2 * np.pi / 30)))
        writer.write(np.full((240, 320, 3), level, np.uint8))
    writer.release()
    return path


def test_every_argument_is_described():
    spec = spec_from_file_location('mimic_launch', LAUNCH_FILE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    entities = module.generate_launch_description().entities
    arguments = [entity for entity in entities if isinstance(entity, DeclareLaunchArgument)]
    names = {argument.name for argument in arguments}
    assert {'source', 'robot', 'port', 'rviz', 'record', 'namespace'} <= names
    assert all(len(argument.description) > 10 for argument in arguments)


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
