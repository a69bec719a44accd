"""A head in real time on a pseudo-terminal, heard by the judge through a tap."""

import threading
import time
from collections.abc import Callable

import numpy as np

from benchmark.busy import Lateness
from benchmark.judge.head_file import read_head
from benchmark.judge.judge import Judge
from benchmark.judge.tap import Tap
from benchmark.judge.wire import Heard
from benchmark.observed import Observed
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.faults import apply_fault
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.actuators.dynamixel.simulator.servo import WriteRecord
from kf_imitation.head.controller import ServoController
from kf_imitation.head.reports import ServoCycle
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.paths import share_path
from kf_imitation.robot import RobotConfig

LONGEST_S = 20.0
HOLD_S = 60.0


class RealHead(Observed):
    """Controller, tap and simulator, each in a thread; use as a context.

    Attributes:
        line, port: the simulated servos.
        tap: between them and the controller.
        controller: not started.
        judge: hears the tap; its exit policy is limp.
        lateness: of this machine, all the while.
        writes: what the servos took, and when.
    """

    def __init__(self, robot: RobotConfig, goal_cycles: int = 25) -> None:
        """Build the simulated face; `robot` is that of its file, maybe with another exit."""
        super().__init__(robot)
        self.writes: list[WriteRecord] = []
        self.line = SimulatedBus(simulated_servos(robot, self.writes))
        self.port = SimulatedPort(self.line, PseudoTerminal())
        head = read_head(share_path('config/robots/sim_face.yaml'))
        self.judge = Judge(head, hold_s=HOLD_S, exit_policy=robot.exit)
        self.tap = Tap(self.port.device, robot.baud, self._hear)
        self.controller = ServoController(
            robot, DynamixelBus(self.tap.device, robot.baud), hold_s=HOLD_S
        )
        self.controller.on_cycle = self._note
        self.lateness = Lateness()
        self._rng = np.random.default_rng(0)
        self._low = np.array([j.limits_rad[0] for j in robot.joints])
        self._high = np.array([j.limits_rad[1] for j in robot.joints])
        self._count = 0
        self._goal_cycles = goal_cycles
        self._judging = threading.Lock()
        self._moved = threading.Condition()

    def __enter__(self) -> 'RealHead':
        self.port.__enter__()
        self.tap.__enter__()
        self.lateness.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for part in (self.lateness, self.tap, self.port):
            part.__exit__(*error)

    def _hear(self, heard: list[Heard]) -> None:
        with self._judging:
            self.judge.hear(heard)

    def told(self, what: str) -> None:
        """Tell the judge what the head is asked for."""
        with self._judging:
            self.judge.told(time.monotonic(), what)

    def _note(self, cycle: ServoCycle) -> None:
        self._count += 1
        if self._count % self._goal_cycles == 0:
            self.told('goal')
            self.controller.set_goal(self._rng.uniform(self._low, self._high), self._count)
        with self._moved:
            self.cycles.append((time.monotonic(), cycle, self.controller.status()))
            self._moved.notify_all()

    @property
    def now_s(self) -> float:
        """Time of the cycles' notes."""
        return time.monotonic()

    def start(self) -> None:
        """Switch the head on."""
        self.told('start')
        self.controller.start()

    def close(self) -> None:
        """Switch the head off by its exit policy."""
        self.told('close')
        self.controller.close()

    def fault(self, command: str) -> None:
        """Carry out a fault command."""
        apply_fault(command, self.port)

    def run(self, seconds: float = LONGEST_S, until: Callable[[], bool] | None = None) -> bool:
        """Wait for some time or until until(); returns whether that ended it."""
        end = time.monotonic() + seconds
        with self._moved:
            while until is None or not until():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._moved.wait(left)
        return True
