"""Ctrl-C ends a program at whatever moment it comes."""

import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

PROGRAM = """
import os, signal
from threading import Event
from kf_imitation.nodes.node_main import catch_stop_signals

stop = Event()
catch_stop_signals(stop)
with stop._cond:  # as wait() has it for moments
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
assert stop.wait(100.0)
"""


def test_signals_that_come_while_the_event_is_waited_for_set_it():
    subprocess.run([sys.executable, '-c', PROGRAM], timeout=200, check=True)
