"""A head of simulated servos in the test's own process, on virtual time."""

from dataclasses import replace

import numpy as np

from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.head.controller import ServoController
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.robot import load_robot

PERIOD_S = 0.01


class HeadInProcess:
    """A controller whose cycles the test runs, on servos that the test may touch."""

    def __init__(self, robot=None, joints=(), hold_s=1e9, **changes):
        robot = robot or replace(load_robot('sim_face'), exit='limp')
        if joints:
            chosen = tuple(robot.joints[robot.names.index(name)] for name in joints)
            robot = replace(robot, joints=chosen, coupled_limits=())
        self.robot = replace(robot, **changes)
        self.now_s = 0.0
        self.servos = simulated_servos(self.robot)
        self.bus = InProcessBus(self.servos)
        self.controller = ServoController(
            self.robot, self.bus, clock=lambda: self.now_s, hold_s=hold_s, pause=self._pause
        )
        self.cycles = []
        self._stamp = 0

    def _pause(self, duration_s):
        self.now_s += duration_s
        self.bus.tick(self.now_s)

    def settle(self):
        """Let the servos live for a moment before anybody starts them."""
        self.bus.tick(self.now_s)
        self._pause(0.02)

    def start(self):
        self.controller.start(threaded=False)
        return self

    def run(self, duration_s, until=None):
        """Run cycles, at most so long; returns the time until `until()` became true."""
        start_s = self.now_s
        for _ in range(round(duration_s / PERIOD_S)):
            self.now_s += PERIOD_S
            self.cycles.append(self.controller.step(self.now_s))
            if until is not None and until():
                break
        return self.now_s - start_s

    def go(self, **goals):
        self._stamp += 1
        assert self.controller.set_joint_goals(goals, self._stamp) == ''

    def servo(self, joint):
        return self.servos[self.robot.names.index(joint)]

    def index(self, joint):
        return self.robot.names.index(joint)

    @property
    def sentence(self):
        return self.controller.status().sentence

    @property
    def commanded(self):
        return np.array([cycle.commanded_rad for cycle in self.cycles])

    @property
    def present(self):
        return np.array([cycle.present_rad for cycle in self.cycles])
