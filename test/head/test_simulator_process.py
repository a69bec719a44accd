"""The process with the simulated servos, and what is left of it."""

import os
import signal
from pathlib import Path
from time import monotonic, sleep

import pytest

from kf_imitation.errors import PortError
from kf_imitation.head.bus_factory import make_bus
from kf_imitation.head.remote_head import RemoteHead
from kf_imitation.head.simulator_process import SimulatorProcess
from kf_imitation.robot import load_robot


def test_a_killed_simulator_leaves_no_folder_behind():
    simulator = SimulatorProcess('sim_face')
    folder = Path(simulator.device).parent
    assert folder.is_dir()
    os.kill(simulator.pid, signal.SIGKILL)
    simulator.close()
    assert not folder.exists()


def killed(pid):
    """Kill a process, and wait until it has let go of its sockets."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_a_killed_simulator_is_named_and_started_again(caplog):
    """It said: /tmp/dynamixel_x/bus: is gone or broken ([Errno 111] Connection refused)."""
    bus = make_bus(load_robot('sim_face'), 'simulated')
    bus.open()
    killed(bus.simulator.pid)
    how = "the simulated servos' process was killed by signal 9"
    with pytest.raises(PortError, match=how):
        bus.ping(1, tries=1)
    assert not caplog.records
    bus.close()
    bus.open()
    assert bus.ping(1).id == 1
    assert [record.message for record in caplog.records] == [
        f'{how} and is started again, with servos in neutral'
    ]
    bus.shutdown()


def simulators_of(pid):
    """Return the simulators that a process has started."""
    threads = Path(f'/proc/{pid}/task').glob('*/children')
    return [int(child) for path in threads for child in path.read_text().split()]


def test_a_head_goes_on_when_its_simulator_was_killed(capfd):
    """Until its end it tried in vain, and then named a command that does not know the port."""
    head = RemoteHead(load_robot('sim_face'), 'simulated')
    head.open()
    head.start()
    (simulator,) = simulators_of(head.pid)
    os.kill(simulator, signal.SIGKILL)
    end_s = monotonic() + 60.0
    while head.status().values.get('outages') != '1' or 'rest' not in head.status().sentence:
        assert monotonic() < end_s, head.status()
        sleep(0.05)
    assert head.close() == ''
    assert capfd.readouterr().err.count('was killed by signal 9 and is started again') == 1
