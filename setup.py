"""Packaging for colcon (ament_python) and pip; version and description come from package.xml."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from runpy import run_path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
PACKAGE = 'kf_imitation'
MANIFEST = ET.parse(ROOT / 'package.xml').getroot()
NODES = run_path(str(ROOT / PACKAGE / 'nodes/programs.py'))['NODES']
SHARED_FOLDERS = ('launch', 'config', 'models', 'urdf', 'media')

# ROS 2 from wheels, for machines without a ROS installation (README, Install).
ROS_MESSAGES = (
    'std-msgs',
    'sensor-msgs',
    'geometry-msgs',
    'trajectory-msgs',
    'diagnostic-msgs',
    'visualization-msgs',
    'std-srvs',
)


def share_files() -> list[tuple[str, list[str]]]:
    """Every file of the shared folders, each under share/kf_imitation with its own subfolder."""
    by_folder: dict[str, list[str]] = {}
    for folder in SHARED_FOLDERS:
        for path in sorted((ROOT / folder).rglob('*')):
            if path.is_file() and '__pycache__' not in path.parts:
                relative = path.relative_to(ROOT)
                by_folder.setdefault(f'share/{PACKAGE}/{relative.parent}', []).append(
                    str(relative)
                )
    return list(by_folder.items())


def wrapper_files() -> list[tuple[str, list[str]]]:
    """Scripts in lib/<package>, where `ros2 run` and launch look; pip only fills bin/.

    colcon puts the console scripts there itself (setup.cfg), so a wheel alone needs them.
    """
    if not {'sdist', 'bdist_wheel', 'editable_wheel'} & set(sys.argv):
        return []
    return [(f'lib/{PACKAGE}', [f'resource/wrappers/{name}' for name in (*NODES, PACKAGE)])]


setup(
    name=PACKAGE,
    version=MANIFEST.findtext('version'),
    description=MANIFEST.findtext('description'),
    maintainer=MANIFEST.findtext('maintainer'),
    maintainer_email=MANIFEST.find('maintainer').get('email'),
    license=MANIFEST.findtext('license'),
    python_requires='>=3.10,<3.15',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        *share_files(),
        *wrapper_files(),
    ],
    install_requires=[
        'numpy>=1.24',
        'scipy>=1.10',
        'opencv-python-headless>=4.8,<5',  # 5 drops the Haar cascades from the main wheel
        'onnxruntime>=1.17',
        'ruckig>=0.12; platform_machine == "x86_64"',  # no wheels elsewhere; our planner stands in
        'dynamixel-sdk>=3.7.31',
        'rosbags>=0.11',
        'PyYAML>=6',
        'matplotlib>=3.7',
        'rich>=13',
        'aiohttp>=3.9',
    ],
    extras_require={
        'ros': [
            'ros-rclpy[fastrtps]==9.1.2',
            *(f'ros-{name}==5.5.1' for name in ROS_MESSAGES),
            'ros-lifecycle-msgs',
            'ros-rosgraph-msgs',
            'ros-ament-index-python',
        ],
        'test': [
            'pytest>=8,<9',  # launch_testing breaks with 9
            'pytest-timeout>=2.3',
            'pytest-xdist>=3.5',
            'pytest-rerunfailures>=14',
            'hypothesis>=6',
            'ruff>=0.15',
            'mypy>=1.18',
            'import-linter>=2.15',
            'vulture>=2.14',
            'onnx>=1.16',
            'types-PyYAML',
            'yourdfpy>=0.0.56',  # reads our URDFs as other programs do
            'mujoco>=3.3,<4',  # moves them
            'argcomplete>=2',
            'mcap>=1.2',  # another reader and writer of bags
            'mcap-ros2-support>=0.5',
        ],
        'docs': ['mkdocs-material>=9.5,<10'],
        # Drives the Chromium of the machine in test/e2e; those tests skip without either.
        'browser': ['playwright>=1.45'],
        # mimic --foxglove (docs/inspect.md).
        'foxglove': ['foxglove-sdk>=0.30'],
        # Shells complete commands and options (docs/install.md).
        'completion': ['argcomplete>=2'],
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            f'{PACKAGE} = {PACKAGE}.cli:start',
            *(f'{name} = {PACKAGE}.nodes.programs:{name}' for name in NODES),
        ],
    },
)
