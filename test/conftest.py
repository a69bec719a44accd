"""What tests of several folders share."""

import logging
import os
import signal
import subprocess

import pytest


@pytest.fixture(autouse=True)
def _heard_loggers():
    """With ROS, launch_testing comes into pytest, and launch makes loggers that caplog misses."""
    for name in ('kf_imitation', 'kf_imitation.servo'):
        logging.getLogger(name).propagate = True


@pytest.fixture
def start_process():
    """Start processes in groups of their own; what still runs at the end is killed."""
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
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
