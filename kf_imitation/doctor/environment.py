"""Checks of the machine and of ROS 2."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from kf_imitation.doctor.finding import ERROR, OK, WARN, Finding
from kf_imitation.errors import OPTIONAL_PACKAGES, install_command
from kf_imitation.ros_graph.environment import defaults, faults

MESSAGES = (
    'diagnostic_msgs',
    'geometry_msgs',
    'lifecycle_msgs',
    'sensor_msgs',
    'std_msgs',
    'std_srvs',
    'trajectory_msgs',
    'visualization_msgs',
)
SAFE_DOMAIN = 101  # above it the ports meet those that Linux hands out (ROS_DOMAIN_ID)
HOW = 'source the setup file of ROS 2, or pip install ".[ros]"'


def check_machine() -> Finding:
    """Check processors."""
    cores = len(os.sched_getaffinity(0))
    version = '.'.join(map(str, sys.version_info[:3]))
    sentence = f'Python {version}, {cores} processors'
    if cores < 2:
        return Finding(WARN, 'machine', f'{sentence}; two or more are needed for 30 frames per s')
    return Finding(OK, 'machine', sentence)


def check_packages() -> Iterator[Finding]:
    """Check the Python packages that have no system package on every machine."""
    for package, use in OPTIONAL_PACKAGES.items():
        if find_spec(package) is None:
            level = {'onnxruntime': ERROR, 'foxglove': OK}.get(package, WARN)
            yield Finding(level, package, f'not installed ({use}): {install_command(package)}')


def check_ros() -> Iterator[Finding]:
    """Check that rclpy loads, messages are there, and who may talk to the head."""
    if find_spec('rclpy') is None:
        yield Finding(ERROR, 'ROS 2', f'rclpy is missing: {HOW}')
        return
    try:
        import_module('rclpy')
    except (ImportError, OSError) as error:  # another Python's, or libraries not on the path
        version = '.'.join(map(str, sys.version_info[:2]))
        yield Finding(
            ERROR,
            'ROS 2',
            f'rclpy does not load in Python {version} ({error}): {HOW}, and use the '
            'Python that it was made for',
        )
        return
    missing = [name for name in MESSAGES if find_spec(name) is None]
    if missing:
        yield Finding(ERROR, 'ROS 2', f'messages are missing: {", ".join(missing)}. {HOW}')
    yield from (Finding(ERROR, 'ROS 2', fault) for fault in faults(os.environ))
    domain = os.environ.get('ROS_DOMAIN_ID', '')
    if not faults(os.environ) and domain and int(domain) > SAFE_DOMAIN:
        sentence = f'ROS_DOMAIN_ID = {domain}: above {SAFE_DOMAIN} ports may be taken by Linux'
        yield Finding(WARN, 'ROS 2', sentence)
    yield from _others_memory()
    yield _network()


def _others_memory(memory: Path = Path('/dev/shm')) -> Iterator[Finding]:
    """Look for ROS programs of other users: what passes through memory does not reach them."""
    names = [*memory.glob('fastrtps_*'), *memory.glob('fastdds_*')]
    owners = set()
    for name in names:
        with suppress(OSError):  # ended meanwhile
            owners.add(name.stat().st_uid)
    if owners - {os.getuid()}:
        yield Finding(
            WARN,
            'ROS 2',
            'programs of another user run ROS here (root, for example): topics may be listed and '
            'yet stay silent; start all as one user',
        )


def _network() -> Finding:
    added = defaults(os.environ)
    reach = os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST (set by us)')
    if peers := os.environ.get('ROS_STATIC_PEERS'):
        reach = f'{reach} and {peers} (ROS_STATIC_PEERS)'
    if reach not in ('LOCALHOST', 'LOCALHOST (set by us)', 'OFF'):
        return Finding(
            WARN,
            'ROS 2',
            f'discovery reaches {reach}: others may move the head; '
            'unset ROS_AUTOMATIC_DISCOVERY_RANGE and ROS_STATIC_PEERS to keep them out',
        )
    profile = 'ours' if 'FASTDDS_DEFAULT_PROFILES_FILE' in added else "the user's"
    rmw = os.environ.get('RMW_IMPLEMENTATION', 'the default RMW')
    return Finding(OK, 'ROS 2', f'{rmw}, discovery reaches {reach}, transport profile: {profile}')
