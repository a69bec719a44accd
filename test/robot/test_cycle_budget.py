"""Bytes of a bus cycle, by the formula and as they really pass."""

from dataclasses import replace

import numpy as np
import pytest

from kf_imitation.actuators.dynamixel import serial_bus
from kf_imitation.head.register_patrol import RAM_BLOCK
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.motion.joint_states import JointMeasurement
from kf_imitation.robot import load_robot, robot_names
from kf_imitation.robot.cycle_budget import budget_text, cycle_budget

RATE_HZ = 100.0


class Counted:
    """Counts what a port sends and receives."""

    def __init__(self, port, monkeypatch):
        self.sent = self.received = 0
        write, read = port.writePort, port.readPort
        monkeypatch.setattr(port, 'writePort', lambda packet: self._send(write, packet))
        monkeypatch.setattr(port, 'readPort', lambda length: self._receive(read, length))

    def _send(self, write, packet):
        self.sent += len(packet)
        return write(packet)

    def _receive(self, read, length):
        data = read(length)
        self.received += len(data)
        return data


@pytest.mark.parametrize('fast', [True, False])
def test_the_budget_is_what_passes_over_the_port(head, monkeypatch, fast):
    if not fast:
        head.fault('nofast')
    monkeypatch.setattr(serial_bus, 'GROUP_MARGIN_S', 2.0)  # a busy machine is no matter here
    bus = head.bus()
    joints = ServoGroup(head.robot, bus)
    everyone, state = range(len(head.robot.joints)), JointMeasurement.zeros(len(head.robot.joints))
    joints.read_state(everyone, state)  # decides between fast and plain reads
    assert bus.fast is fast
    counted = Counted(bus._port, monkeypatch)
    joints.write_goals(everyone, np.zeros(len(head.robot.joints)))
    joints.read_state(everyone, state)
    joints.read_block(0, *RAM_BLOCK)  # the longest of those that take turns
    budget = cycle_budget(len(head.robot.joints), head.robot.baud, fast)
    assert (counted.sent, counted.received) == (budget.sent, budget.received)
    bus.close()


def test_25_servos_with_position_current_and_errors_run_at_100_hz_at_1_mbps():
    fast, plain = cycle_budget(25, 1_000_000), cycle_budget(25, 1_000_000, fast=False)
    assert fast.wire_s == pytest.approx(0.0062, abs=0.0003)
    assert fast.total_s < 0.010 and fast.rate_hz > RATE_HZ
    assert plain.wire_s == pytest.approx(0.0078, abs=0.0003)
    assert plain.rate_hz > RATE_HZ
    factory = cycle_budget(25, 1_000_000, fast=False, return_delay_s=0.0005)
    assert factory.rate_hz < 50  # why the return delay is set to 0


@pytest.mark.parametrize('name', robot_names())
def test_every_robot_that_comes_along_fits_100_hz(name):
    robot = load_robot(name)
    budget = cycle_budget(len(robot.joints), robot.baud, fast=False)
    assert budget.rate_hz > RATE_HZ
    assert budget_text(robot, RATE_HZ).endswith('100 Hz fits')


def test_a_slow_bus_is_reported():
    robot = replace(load_robot('face22'), baud=57600)
    assert budget_text(robot, RATE_HZ).endswith('100 Hz does not fit')
