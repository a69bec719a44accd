import subprocess
import sys

import pytest

from kf_imitation import errors
from kf_imitation.errors import (
    MissingPackageError,
    install_command,
    missing_packages_named,
)

WITHOUT = 'import sys; sys.modules.update(dict.fromkeys({names!r})); '


def run_without(names, code):
    return subprocess.run(
        [sys.executable, '-c', WITHOUT.format(names=names) + code], capture_output=True, text=True
    )


def test_a_missing_package_is_reported_with_the_command_that_installs_it():
    with pytest.raises(MissingPackageError, match='models') as caught, missing_packages_named():
        raise ModuleNotFoundError("No module named 'onnxruntime'", name='onnxruntime.capi')
    assert f'{sys.executable} -m pip install' in str(caught.value)
    assert 'onnxruntime' in str(caught.value)


def test_a_missing_module_of_our_own_is_no_missing_package():
    with pytest.raises(ModuleNotFoundError), missing_packages_named():
        raise ModuleNotFoundError("No module named 'kf_imitation.x'", name='kf_imitation.x')


def test_beside_an_externally_managed_python_the_command_installs_for_the_user(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(errors.sys, 'prefix', sys.base_prefix)
    monkeypatch.setattr(errors.sysconfig, 'get_path', lambda name: str(tmp_path))
    assert '--user rosbags' in install_command('rosbags')
    (tmp_path / 'EXTERNALLY-MANAGED').touch()
    assert '--user --break-system-packages rosbags' in install_command('rosbags')


@pytest.mark.parametrize(
    ('command', 'package'),
    [(('replay', 'x.mp4', '--out', 'y'), 'onnxruntime'), (('play', 'bag'), 'rosbags')],
)
def test_a_command_without_its_package_ends_with_one_message(command, package):
    code = f'from kf_imitation.cli.main import main; sys.exit(main({list(command)!r}))'
    done = run_without([package], code)
    assert done.returncode == 2
    assert done.stderr.startswith(f'kf_imitation: the Python package {package} is missing')
    assert 'Traceback' not in done.stderr


def test_a_node_without_its_package_ends_with_one_message():
    code = 'from kf_imitation.nodes.programs import run; sys.exit(run("recorder_node"))'
    done = run_without(['rosbags'], code)
    assert done.returncode == 2
    assert done.stderr.startswith('kf_imitation: the Python package rosbags is missing')


@pytest.mark.parametrize(
    'module', ['cli.mimic', 'nodes.camera_node', 'nodes.keyframe_node', 'nodes.servo_node']
)
def test_cameras_and_heads_do_without_bags_and_ruckig(module):
    if module.startswith('nodes.'):
        pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    code = f'import kf_imitation.{module}'
    done = run_without(['rosbags', 'ruckig'], code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ('program', 'package', 'arguments'),
    [
        ('benchmark.rendered_expressions', 'numba', '-r training/requirements.txt -c training/'),
        ('training.keyframe.train', 'torch', '-r training/requirements.txt -c training/'),
        ('face_renderer.generate', 'numba', '-r training/requirements.txt -c training/'),
        ('benchmark.fuzz', 'hypothesis', "-e '.[test]'"),
        ('benchmark.architecture', 'importlinter', "-e '.[test]'"),
        ('benchmark.landmarks', 'onnxruntime', 'onnxruntime'),
    ],
)
def test_a_program_that_lacks_a_package_says_what_installs_it(program, package, arguments):
    names = ['torch', 'lightning'] if package == 'torch' else [package]
    done = run_without(
        names, f'import runpy; runpy.run_module({program!r}, run_name="__main__", alter_sys=True)'
    )
    assert done.returncode == 2, done.stderr
    first, second = done.stderr.splitlines()
    assert 'the Python package ' in first and ' is missing. To install it:' in first
    assert second.strip().startswith(f'{sys.executable} -m pip install {arguments}')


def test_a_mistake_in_a_program_keeps_its_traceback():
    for mistake in ('import benchmark.no_such_program', 'import training; {}["x"]'):
        done = run_without([], f'import benchmark; {mistake}')
        assert done.returncode == 1 and 'Traceback' in done.stderr
