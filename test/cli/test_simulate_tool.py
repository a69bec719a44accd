"""`servo simulate` as a user has it: a process, a device, and faults from another terminal."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kf_imitation.actuators.bus import DeviceError, NoReplyError
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus

PROGRAM = (
    'from kf_imitation.cli.servo_tools import arguments, simulate; import argparse; '
    'p = argparse.ArgumentParser(); arguments.add_simulate(p); simulate.run(p.parse_args())'
)
TIMEOUT_S = 20.0
LED, TORQUE, WATT, HOT, ERRORS, CURRENT = 65, 64, 144, 146, 70, 126


class Simulator:
    """A running `servo simulate --robot sim_face` and a bus on it."""

    def __init__(self, link):
        self.process = subprocess.Popen(
            [sys.executable, '-c', PROGRAM, '--robot', 'sim_face', '--link', str(link)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, 'PYTHONPATH': os.getcwd()},
        )
        self.device = self.process.stdout.readline().strip()
        self.pipe = self.process.stdout.readline().split()[1]
        self.bus = DynamixelBus(self.device, 1_000_000)
        self.bus.open()

    def tell(self, text):
        """What `echo text > pipe` does in another terminal."""
        subprocess.run(['sh', '-c', f"echo '{text}' > {self.pipe}"], check=True)

    def answers(self, id_=1):
        try:
            self.bus.ping(id_, tries=1)
        except NoReplyError:
            return False
        return True

    def wait(self, condition, what):
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline, what
        return True

    def value(self, address, length=1, id_=1):
        """Read one register, as often as a busy machine needs."""
        value = []

        def once():
            try:
                value[:] = [int.from_bytes(self.bus.read(id_, address, length), 'little')]
            except (NoReplyError, DeviceError):
                return False
            return True

        self.wait(once, f'register {address}')
        return value[0]


@pytest.fixture
def simulator(tmp_path):
    made = Simulator(tmp_path / 'servos')
    yield made
    made.bus.close()
    made.process.terminate()
    made.process.wait(TIMEOUT_S)
    made.process.stdout.close()
    made.process.stderr.close()


@pytest.mark.parametrize('fault', ['silence', 'deaf', 'crc 1', 'lose 1', 'slow 0.3', 'supply 0'])
def test_a_line_fault_comes_and_goes_by_command(simulator, fault):
    simulator.wait(simulator.answers, 'answer before the fault')
    simulator.tell(fault)
    simulator.wait(lambda: not simulator.answers(), f'silence after {fault}')
    simulator.tell('normal')
    simulator.wait(simulator.answers, f'answer after {fault}')


def test_noise_is_seen_through(simulator):
    simulator.tell('noise 1')
    simulator.wait(simulator.answers, 'answer in spite of noise')


def test_one_dead_servo_leaves_the_others_alone(simulator):
    simulator.tell('dead 4')
    simulator.wait(lambda: not simulator.answers(4), 'silence of servo 4')
    simulator.wait(lambda: simulator.answers(5), 'answer of servo 5')
    simulator.tell('alive 4')
    simulator.wait(lambda: simulator.answers(4), 'answer of servo 4')


def test_overload_heat_and_voltage_show_in_the_registers(simulator):
    simulator.tell('overload 1')
    simulator.wait(lambda: simulator.value(ERRORS) & 1 << 5, 'overload')
    simulator.tell('heat 2 66')
    simulator.wait(lambda: simulator.value(HOT, id_=2) in (65, 66), 'heat')
    simulator.tell('supply 4.2 3')
    simulator.wait(lambda: simulator.value(WATT, 2, 3) == 42, 'voltage')


def test_a_reboot_by_command_forgets_ram(simulator):
    def lit():
        try:
            simulator.bus.write(1, LED, b'\x01')
        except NoReplyError:
            return False
        return simulator.value(LED) == 1

    simulator.wait(lit, 'LED on')
    simulator.tell('reboot 1')
    simulator.wait(lambda: simulator.value(LED) == 0, 'LED off after the reboot')


def test_the_cable_is_pulled_and_plugged_by_command(simulator):
    simulator.tell('unplug')
    simulator.wait(lambda: not Path(simulator.device).exists(), 'device gone')
    simulator.bus.close()
    simulator.tell('plug')
    simulator.wait(lambda: Path(simulator.device).exists(), 'device back')
    simulator.bus.open()
    simulator.wait(simulator.answers, 'answer after plugging')


def test_an_unknown_command_lists_the_known_ones(simulator):
    simulator.tell('explode 3')
    ready, _, _ = select.select([simulator.process.stderr], [], [], TIMEOUT_S)
    assert ready
    assert "cannot do 'explode 3'" in simulator.process.stderr.readline()
    simulator.wait(simulator.answers, 'answer after nonsense')


def test_the_device_and_the_pipe_go_with_the_process(simulator):
    simulator.process.terminate()
    assert simulator.process.wait(TIMEOUT_S) == 0
    assert not os.path.lexists(simulator.device)
    assert not os.path.lexists(simulator.pipe)
