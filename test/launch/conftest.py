"""Launch files under the real launch system, with small stages in place of the networks."""

import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL_PROGRAM = ROOT / 'test/nodes/small_program.py'
PACKAGE = 'kf_imitation'
NODES = (
    'camera',
    'keyframe',
    'landmarks',
    'servo',
    'recorder',
    'player',
    'avatar',
    'foxglove',
    'cockpit',
)


@pytest.fixture(autouse=True)
def _installed():
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    pytest.importorskip('launch', reason='launch comes with ROS, not from PyPI')
    pytest.importorskip('launch_ros', reason='launch_ros comes with ROS, not from PyPI')


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
def launch_file(prefix, tmp_path, domain, start_process):
    """Start a launch file with its arguments; everything still running at the end is killed."""
    environment = {
        **os.environ,
        'AMENT_PREFIX_PATH': str(prefix),
        'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
        'ROS_DOMAIN_ID': domain,
        'ROS_LOG_DIR': str(tmp_path / 'log'),
        'PYTHONUNBUFFERED': '1',
    }

    def start(file, *arguments):
        program = Path(__file__).with_name('run_launch.py')
        command = [sys.executable, str(program), str(file), *arguments]
        return start_process(command, subprocess.STDOUT, env=environment)

    return start


@pytest.fixture
def declared():
    """Return what a launch file declares: descriptions by names of arguments."""

    def read(file):
        from launch.actions import DeclareLaunchArgument

        spec = spec_from_file_location(file.name.removesuffix('.launch.py') + '_launch', file)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        entities = module.generate_launch_description().entities
        arguments = [e for e in entities if isinstance(e, DeclareLaunchArgument)]
        return {argument.name: argument.description for argument in arguments}

    return read


@pytest.fixture
def frames():
    """Pictures whose brightness jumps twice a second."""
    levels = [int(110 + 80 * np.tanh(4 * np.sin(i * 2 * np.pi / 30))) for i in range(60)]
    return [np.full((240, 320, 3), level, np.uint8) for level in levels]


@pytest.fixture
def video(tmp_path, frames):
    path = tmp_path / 'clip.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 30, (320, 240))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path
