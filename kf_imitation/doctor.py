"""`kf_imitation doctor`: what a run needs, checked one after the other before it is needed."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

import yaml

from kf_imitation.camera.sources import open_source
from kf_imitation.errors import KfImitationError
from kf_imitation.graph import merged_parameters
from kf_imitation.onnx_model import OnnxModel
from kf_imitation.paths import share_path
from kf_imitation.robot_config import load_robot
from kf_imitation.transport import defaults

GOOD, NOTE, BAD = 'good', 'note', 'bad'
# FTDI adapters collect bytes for this long before they hand them over; 16 ms is the default and
# allows some 60 exchanges per second.
LATENCY_TIMER_MS = 1
WATCHED_S = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check.

    Attributes:
        level: GOOD, NOTE (works, but look) or BAD (a run will fail).
        subject: what was looked at.
        sentence: what was found, and what to do about it.
    """

    level: str
    subject: str
    sentence: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument('--source', default='', help='camera or video to try (default: none)')
    parser.add_argument('--robot', default='', help='name in config/robots, or a file')
    parser.add_argument('--port', default='', help="serial device; default: the robot file's")
    parser.add_argument(
        '--params', default='', metavar='FILE', help='parameters above config/kf_imitation.yaml'
    )


def run(args: argparse.Namespace) -> int:
    """Print one line per finding.

    Returns:
        Exit code: 0, or 2 when something is bad.
    """
    findings = list(examine(args))
    for finding in findings:
        print(f'{finding.level:5} {finding.subject}: {finding.sentence}')
    return 2 if any(finding.level == BAD for finding in findings) else 0


def examine(args: argparse.Namespace) -> Iterator[Finding]:
    """Check everything; a failed check never stops the next."""
    yield _machine()
    yield _ros()
    yield from _attempt('parameters', lambda: f'{len(merged_parameters(args.params))} nodes')
    manifest = yaml.safe_load(share_path('models/manifest.yaml').read_text(encoding='utf-8'))
    for name in manifest['models']:
        yield from _attempt(f'model {name}', lambda name=name: OnnxModel.load(name).name)  # type: ignore[misc]
    name = args.robot or 'sim_face'
    yield from _attempt(f'robot {name}', lambda: f'{len(load_robot(name).joints)} joints')
    yield from _port(args.port or _port_of(name))
    if args.source:
        yield from _attempt(f'source {args.source}', lambda: _watch(args.source))


def _attempt(subject: str, check: Callable[[], str]) -> Iterator[Finding]:
    try:
        yield Finding(GOOD, subject, check())
    except KfImitationError as error:
        yield Finding(BAD, subject, str(error))


def _machine() -> Finding:
    cores = len(os.sched_getaffinity(0))
    version = '.'.join(map(str, sys.version_info[:3]))
    sentence = f'Python {version}, {cores} processors'
    if cores < 2:
        return Finding(NOTE, 'machine', f'{sentence}; two or more are needed for 30 frames per s')
    return Finding(GOOD, 'machine', sentence)


def _ros() -> Finding:
    if find_spec('rclpy') is None:
        return Finding(
            BAD, 'ROS 2', 'rclpy is missing: source its setup file, or pip install ".[ros]"'
        )
    added = defaults(os.environ)
    reach = os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST (set by us)')
    if reach not in ('LOCALHOST', 'LOCALHOST (set by us)', 'OFF'):
        return Finding(NOTE, 'ROS 2', f'discovery reaches {reach}: others may move the head')
    profile = 'ours' if 'FASTDDS_DEFAULT_PROFILES_FILE' in added else "the user's"
    return Finding(GOOD, 'ROS 2', f'discovery reaches {reach}, transport profile: {profile}')


def _port_of(robot: str) -> str:
    try:
        return load_robot(robot).port
    except KfImitationError:
        return ''


def _port(port: str) -> Iterator[Finding]:
    if port in ('', 'simulated', 'none'):
        return
    path, subject = Path(port), f'port {port}'
    if not path.exists():
        yield Finding(BAD, subject, 'does not exist: is the adapter plugged in?')
    elif not os.access(path, os.R_OK | os.W_OK):
        yield Finding(BAD, subject, 'no permission: add yourself to the group dialout')
    else:
        yield Finding(GOOD, subject, 'may be opened; `kf_imitation servo scan` asks the servos')
        timer = Path('/sys/bus/usb-serial/devices') / path.resolve().name / 'latency_timer'
        if timer.is_file() and int(timer.read_text()) > LATENCY_TIMER_MS:
            yield Finding(
                NOTE,
                subject,
                f'latency_timer is {timer.read_text().strip()} ms, which limits the bus rate: '
                f'echo {LATENCY_TIMER_MS} | sudo tee {timer}',
            )


def _watch(spec: str) -> str:
    """Read frames for a while; return size and rate."""
    source = open_source(spec)
    count, start_s = 0, monotonic()
    try:
        while monotonic() - start_s < WATCHED_S and source.read() is not None:
            count += 1
    finally:
        source.close()
    camera, elapsed_s = source.camera, monotonic() - start_s
    rate = f'{count / elapsed_s:.1f} frames per second measured, ' if source.is_live else ''
    return f'{camera.width} x {camera.height}, {rate}{source.fps:g} nominal'
