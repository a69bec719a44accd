"""A robot on a simulated bus: real packets over a pseudo-terminal, servers in a thread."""

import contextlib
import itertools
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.faults import apply_fault
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.head.controller import ServoController
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.robot import load_robot

TIMEOUT_S = 15.0


class Rig:
    """A simulated head on a pseudo-terminal, with everything a test wants to look at."""

    def __init__(self, robot):
        self.robot = robot
        self.log = []
        self.line = SimulatedBus(simulated_servos(robot, self.log))
        self.port = SimulatedPort(self.line, PseudoTerminal())
        self.controllers = []
        self.timeout_s = TIMEOUT_S
        self._changed = threading.Condition()

    def bus(self, opened=True):
        bus = DynamixelBus(self.port.device, self.robot.baud)
        if opened:
            bus.open()
        return bus

    def controller(self, robot=None, **options):
        """A started controller whose cycles can be waited for."""
        controller = ServoController(robot or self.robot, self.bus(opened=False), **options)
        controller.cycles = []
        controller.on_cycle = lambda cycle: self._note(controller, cycle)
        self.controllers.append(controller)
        controller.start()
        self.wait(lambda: controller.cycles, 'first cycle')
        return controller

    def _note(self, controller, cycle):
        with self._changed:
            controller.cycles.append(cycle)
            self._changed.notify_all()

    def wait(self, condition, what, timeout_s=None, send=lambda: None):
        """Wait, cycle by cycle, until condition() holds.

        Meanwhile send() once a second: where the machine stood still for a moment, goals of before
        are void.
        """
        timeout_s = timeout_s or self.timeout_s
        send_at = time.monotonic()
        deadline = send_at + timeout_s
        with self._changed:
            while not condition():
                now = time.monotonic()
                assert now < deadline, f'no {what} within {timeout_s} s'
                if now >= send_at:
                    send()
                    send_at = now + 1.0
                self._changed.wait(0.05)

    def fault(self, command):
        apply_fault(command, self.port)

    def servo(self, joint):
        index = self.robot.names.index(joint)
        return self.line.servos[index]

    def torques(self):
        with self.port.lock:
            return [servo.torque for servo in self.line.servos]

    def writes(self, register):
        with self.port.lock:
            return [record for record in self.log if record.register == register]


def asking(controller, position, stamp=1):
    """Return what asks for a pose, each time with a younger stamp."""
    goal, stamps = np.array(position), itertools.count(stamp)

    def ask():
        assert controller.set_goal(goal, next(stamps)) == ''

    return ask


@pytest.fixture(scope='session')
def robot():
    return load_robot('sim_face')


@pytest.fixture
def small_robot(robot):
    """Jaw (330-size, current-based) and neck yaw (430-size): quick to set up."""
    joints = (robot.joints[0], robot.joints[9])
    return replace(robot, joints=joints, coupled_limits=(), exit='limp')


@pytest.fixture
def rig_of():
    """Make a running rig of any robot."""
    with contextlib.ExitStack() as stack:
        yield lambda robot: stack.enter_context(_running(Rig(robot)))


@pytest.fixture
def rig(small_robot, rig_of):
    return rig_of(small_robot)


@pytest.fixture
def head(robot, rig_of):
    return rig_of(replace(robot, exit='limp'))


@contextlib.contextmanager
def _running(rig):
    with rig.port:
        yield rig
        for controller in rig.controllers:
            controller.close()
