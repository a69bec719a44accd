"""What tests of several folders share."""

import atexit
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import Counter

import cv2
import pytest
from hypothesis import settings

from kf_imitation.ros_graph.environment import defaults

pytest_plugins = ['servo_rig', 'browser_rig']

# How long an example takes says what else the machine does.
settings.register_profile('patient', settings(), deadline=None)
settings.load_profile('patient')

if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # torch: the workers share the cores
    # A worker's receiving thread keeps what the tests held until the process is gone. Ending
    # before the interpreter takes itself apart, it is not listed by nanobind as leaked.
    atexit.register(os._exit, 0)  # registered first, so it runs last

# Fast DDS reads its profiles once in a process: without ours from the beginning, a test that makes
# a context by itself decides that no later test of its worker gets full-size images.
os.environ.update(defaults(os.environ))

DOMAINS = 99  # from 1: below the ports that Linux hands out
STOP_S = 15.0
_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _heard_loggers():
    """With ROS, launch_testing comes into pytest, and launch makes loggers that caplog misses."""
    for name in ('kf_imitation', 'kf_imitation.head'):
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)  # what a test before made quiet


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory, monkeypatch):
    """What a head remembers (a latched stop) is this test's own; the folder is made when used."""
    base, number = tmp_path_factory.getbasetemp(), next(_NUMBERS)
    monkeypatch.setenv('XDG_STATE_HOME', f'{base}/state{number}')
    monkeypatch.setenv('XDG_CACHE_HOME', f'{base}/cache')  # saved models


@pytest.fixture(autouse=True)
def _own_process():
    """What the code under test sets for its whole process holds for this test only."""
    environment, interval_s = dict(os.environ), sys.getswitchinterval()
    cv2_threads = cv2.getNumThreads()
    torch_threads = torch.get_num_threads() if (torch := sys.modules.get('torch')) else 0
    yield
    for name in {*environment, *os.environ} - {'PYTEST_CURRENT_TEST'}:
        if name not in environment:
            del os.environ[name]
        elif os.environ.get(name) != environment[name]:
            os.environ[name] = environment[name]
    sys.setswitchinterval(interval_s)
    if cv2.getNumThreads() != cv2_threads:
        cv2.setNumThreads(cv2_threads)
    if torch_threads and torch.get_num_threads() != torch_threads:
        torch.set_num_threads(torch_threads)


@pytest.fixture(scope='session')
def domain():
    """A ROS domain that no other test run on this machine has, which would be heard in it."""
    for number in range(os.getpid(), os.getpid() + DOMAINS):
        domain = str(1 + number % DOMAINS)
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                claim.bind(f'\0kf_imitation tests in domain {domain}')
            except OSError:
                continue
            yield domain
            return
    pytest.fail(f'other test runs have all {DOMAINS} domains')


@pytest.fixture
def start_process():
    """Start processes in groups of their own; what still runs at the end is told to stop.

    A killed one would leave its shared memory behind, 16 MB each, and look alive to others for a
    while. pytest shows the last words of each beside a test that failed.
    """
    running = []

    def begin(command, stderr, **options) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
            **options,
        )
        running.append(process)
        return process

    yield begin
    still = [process for process in running if process.poll() is None]
    for process in still:
        os.killpg(process.pid, signal.SIGINT)
    for process in running:
        try:
            said = process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said = process.communicate()
        state = 'ran to the end of the test' if process in still else 'had ended before'
        print(
            f'{process.args} {state}, exit code {process.returncode}',
            *filter(None, said),
            sep='\n',
        )


def pytest_terminal_summary(terminalreporter, config):
    """List what passed by luck only, and what was not run and why, one line per reason."""
    again = [report.nodeid for report in terminalreporter.stats.get('rerun', [])]
    if again:
        terminalreporter.section('failed once and ran again: find out why')
    for name in again:
        terminalreporter.line(name)
    skipped = [
        (
            report.longrepr[2].removeprefix('Skipped: '),
            report.nodeid if isinstance(report, pytest.CollectReport) else None,
        )
        for report in terminalreporter.stats.get('skipped', [])
    ]
    lines = [
        f'{count} x {reason}'
        for reason, count in Counter(
            reason for reason, file in skipped if file is None
        ).most_common()
    ]
    lines += [f'all of {file}: {reason}' for reason, file in skipped if file is not None]
    lines += [
        f'all of {os.path.relpath(folder, config.rootpath)}: make test TRAINING=1 runs it'
        for folder in config.getoption('ignore') or ()
    ]
    if lines:
        terminalreporter.section('not run')
    for line in lines:
        terminalreporter.line(line)
