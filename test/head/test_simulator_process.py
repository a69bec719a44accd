"""The process with the simulated servos, and what is left of it."""

import os
import signal
from pathlib import Path

from kf_imitation.head.simulator_process import SimulatorProcess


def test_a_killed_simulator_leaves_no_folder_behind():
    simulator = SimulatorProcess('sim_face')
    folder = Path(simulator.device).parent
    assert folder.is_dir()
    os.kill(simulator.pid, signal.SIGKILL)
    simulator.close()
    assert not folder.exists()
