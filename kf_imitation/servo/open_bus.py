"""From `port` to a bus: a serial device, or the simulated one behind a pseudo-terminal."""

from kf_imitation.robot_config import RobotConfig
from kf_imitation.servo.bus import ServoBus
from kf_imitation.servo.direct_bus import DirectBus
from kf_imitation.servo.dynamixel_bus import DynamixelBus
from kf_imitation.servo.simulated_bus import SimulatorProcess, simulated_servos

SIMULATED = 'simulated'
NONE = 'none'


class SimulatedBus(DynamixelBus):
    """DynamixelBus on the pseudo-terminal of a simulator process, started by the first open().

    Attributes:
        simulator: takes fault commands; None while it does not run.
    """

    def __init__(self, robot: RobotConfig) -> None:
        super().__init__(SIMULATED, robot.baud)
        self._robot = robot
        self.simulator: SimulatorProcess | None = None

    def open(self) -> None:
        """Start the simulator if it does not run, and open its port."""
        if self.simulator is None:
            self.simulator = SimulatorProcess(self._robot.source)
            self.rename(self.simulator.device)
        super().open()

    def shutdown(self) -> None:
        """Close the port and end the simulator."""
        self.close()
        if self.simulator is not None:
            self.simulator.close()
            self.simulator = None


def open_bus(robot: RobotConfig, port: str = '') -> ServoBus:
    """Return the bus of a robot; the controller opens and closes its port.

    Args:
        robot: the head.
        port: device path, `simulated`, or `none` (no line at all: servos are imagined in this
            process, for heads that others drive); '' takes the robot file's.

    Raises:
        PortError: the simulator did not start.
    """
    chosen = port or robot.port
    if chosen == SIMULATED:
        return SimulatedBus(robot)
    if chosen == NONE:
        return DirectBus(simulated_servos(robot))
    return DynamixelBus(chosen, robot.baud)
