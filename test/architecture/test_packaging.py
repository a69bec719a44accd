"""What pip and colcon install: programs where `ros2 run` looks, share files, no training code."""

import configparser
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

from kf_imitation.nodes import programs

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ('kf_imitation', 'resource', 'launch', 'config', 'models', 'urdf', 'media', 'training')


@pytest.fixture(scope='module')
def source_tree(tmp_path_factory):
    """A copy without caches, so that building leaves nothing in the repository."""
    target = tmp_path_factory.mktemp('source') / 'kf_imitation'
    target.mkdir()
    for name in ('setup.py', 'setup.cfg', 'package.xml', 'pyproject.toml', 'LICENSE'):
        shutil.copy(ROOT / name, target)
    ignore = shutil.ignore_patterns('__pycache__', '*.egg-info')
    for name in FOLDERS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=ignore)
    return target


@pytest.fixture(scope='module')
def wheel(source_tree):
    """As a release makes it: from the source distribution, which lacked the wrappers of 0.2.0."""
    make_sdist = [sys.executable, 'setup.py', '--quiet', 'sdist', '--formats=tar']
    subprocess.run(make_sdist, cwd=source_tree, check=True, capture_output=True)
    (sdist,) = (source_tree / 'dist').glob('*.tar')
    command = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps']
    command += ['--no-build-isolation', '--wheel-dir', 'dist', str(sdist)]
    subprocess.run(command, cwd=source_tree, check=True, capture_output=True)
    with zipfile.ZipFile(next((source_tree / 'dist').glob('*.whl'))) as archive:
        yield archive


def data_files(wheel: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Files below the prefix, by path from it."""
    prefix = next(name for name in wheel.namelist() if '.data/data/' in name).split('data/data/')
    start = f'{prefix[0]}data/data/'
    return {
        info.filename.removeprefix(start): info
        for info in wheel.infolist()
        if info.filename.startswith(start)
    }


def test_the_wheel_the_changelog_and_the_citation_have_the_version_of_package_xml(wheel):
    version = ET.parse(ROOT / 'package.xml').getroot().findtext('version')
    assert Path(wheel.filename).name.startswith(f'kf_imitation-{version}-')
    assert f'\nversion: {version}\n' in (ROOT / 'CITATION.cff').read_text(encoding='utf-8')
    assert f'\n{version} (' in (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8')


@pytest.mark.parametrize('program', [*programs.NODES, 'kf_imitation'])
def test_ros2_run_finds_an_executable_wrapper_for_every_program(wheel, program):
    info = data_files(wheel)[f'lib/kf_imitation/{program}']
    assert (info.external_attr >> 16) & 0o111
    assert wheel.read(info).decode().endswith(f'/../../bin/{program}" "$@"\n')


def test_every_wrapper_has_a_console_script(wheel):
    name = next(n for n in wheel.namelist() if n.endswith('entry_points.txt'))
    scripts = configparser.ConfigParser()
    scripts.read_string(wheel.read(name).decode())
    assert set(scripts['console_scripts']) == {*programs.NODES, 'kf_imitation'}
    for target in scripts['console_scripts'].values():
        module, _, function = target.partition(':')
        assert callable(getattr(import_module(module), function))


def test_every_node_file_has_a_program():
    files = {path.stem for path in (ROOT / 'kf_imitation/nodes').glob('*_node.py')}
    assert files == set(programs.NODES)


def test_type_checkers_see_that_the_package_is_typed(wheel):
    assert 'kf_imitation/py.typed' in wheel.namelist()


def test_every_share_file_of_the_repository_is_installed(wheel):
    installed = data_files(wheel)
    assert 'share/ament_index/resource_index/packages/kf_imitation' in installed
    assert 'share/kf_imitation/package.xml' in installed
    for folder in ('launch', 'config', 'models', 'urdf', 'media'):
        for path in (ROOT / folder).rglob('*'):
            if path.is_file() and '__pycache__' not in path.parts:
                assert f'share/kf_imitation/{path.relative_to(ROOT)}' in installed


def test_the_runtime_is_installed_without_training_and_without_torch(wheel):
    assert not [n for n in wheel.namelist() if n.startswith(('training', 'test'))]
    metadata = wheel.read(next(n for n in wheel.namelist() if n.endswith('METADATA'))).decode()
    assert 'torch' not in metadata.split('Description')[0]


def test_package_xml_is_one_that_colcon_takes_for_ament(source_tree):
    # Regression: with an e-mail that does not parse, colcon builds a plain Python package.
    pytest.importorskip('colcon_ros', reason='colcon is not installed')
    environment = {**os.environ, 'COLCON_LOG_PATH': str(source_tree.parent / 'log')}
    command = [sys.executable, '-m', 'colcon', 'list', '--base-paths', str(source_tree)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert output.stdout.split() == ['kf_imitation', str(source_tree), '(ros.ament_python)']


def test_the_manifest_is_well_formed():
    root = ET.parse(ROOT / 'package.xml').getroot()
    assert root.findtext('export/build_type') == 'ament_python'
    assert '@' in root.find('maintainer').get('email')
    assert root.findtext('license') == 'Apache-2.0'
