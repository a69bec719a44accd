"""From `port` to a bus: a serial device, or the simulated one behind a pseudo-terminal."""

from kf_imitation.actuators.bus import ServoBus
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.errors import PortError
from kf_imitation.head.simulator_process import SimulatorProcess
from kf_imitation.robot import RobotConfig

SIMULATED = 'simulated'
NONE = 'none'


class SimulatorProcessBus(DynamixelBus):
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


def make_bus(robot: RobotConfig, port: str = '') -> ServoBus:
    """Return the bus of a robot; the controller opens and closes its port.

    Args:
        robot: the head.
        port: device path or `simulated`; '' takes the robot file's.

    Raises:
        PortError: `none` has no bus: somebody else drives the head.
    """
    chosen = port or robot.port
    if chosen == SIMULATED:
        return SimulatorProcessBus(robot)
    if chosen == NONE:
        raise PortError(f'{robot.name}: port none has no bus; name a device or simulated')
    return DynamixelBus(chosen, robot.baud)
