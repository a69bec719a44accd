"""A simulated head in this process, on virtual time."""

from dataclasses import replace

import numpy as np

from benchmark.trajectories import PERIOD_S, exceeded
from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.head.controller import ServoController
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.robot import load_robot

ROBOT = replace(load_robot('sim_face'), exit='limp')
JAW, YAW = ROBOT.names.index('jaw'), ROBOT.names.index('neck_yaw')


class VirtualHead:
    """A controller whose time passes in run() alone."""

    def __init__(self, robot=ROBOT, hold_s=1e9, **options):
        self.now_s = 100.0
        self.servos = simulated_servos(robot)
        self.controller = ServoController(
            robot,
            InProcessBus(self.servos),
            clock=lambda: self.now_s,
            hold_s=hold_s,
            pause=lambda _: None,
            **options,
        )
        self.controller.start(threaded=False)
        self.commanded = []

    def run(self, duration_s):
        for _ in range(round(duration_s / PERIOD_S)):
            self.now_s += PERIOD_S
            self.cycle = self.controller.step(self.now_s)
            self.commanded.append(self.cycle.commanded_rad)
        return self.cycle

    def go(self, **angles):
        goal = np.array([angles.get(name, 0.0) for name in ROBOT.names])
        return self.controller.set_goal(goal, round(self.now_s * 1e9))

    def index(self, joint):
        return ROBOT.names.index(joint)

    def torques(self):
        return {servo.torque for servo in self.servos}

    def exceeded(self):
        return exceeded(ROBOT, self.commanded)
