"""From `port` to a bus: a serial device, or the simulated one behind a socket."""

import logging

from kf_imitation.actuators.bus import ServoBus
from kf_imitation.actuators.bus_group import BusGroup
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.errors import PortError
from kf_imitation.head.simulator_process import SimulatorProcess
from kf_imitation.robot import BusConfig, RobotConfig
from kf_imitation.robot.model import NO_PORT, SIMULATED_PORT

SIMULATED = SIMULATED_PORT
NONE = NO_PORT


_log = logging.getLogger('kf_imitation.head')


class SimulatorProcessBus(DynamixelBus):
    """DynamixelBus on the socket of a simulator process, started by the first open().

    Attributes:
        simulator: takes fault commands; None while it does not run.
    """

    def __init__(self, robot: RobotConfig, line: BusConfig) -> None:
        super().__init__(SIMULATED, line.baud)
        self._source, self._line = robot.source, line.name
        self.simulator: SimulatorProcess | None = None

    def open(self) -> None:
        """Start the simulator if it does not run, anew if it has ended, and open its port."""
        if self.simulator is not None and (end := self.simulator.end):
            _log.error('%s and is started again, with servos in neutral', end)
            self.simulator.close()
            self.simulator = None
        if self.simulator is None:
            self.simulator = SimulatorProcess(self._source, self._line)
            self.rename(self.simulator.device)
        super().open()

    def trouble(self, error: BaseException) -> str:
        """Return what is wrong: that the simulator has ended, if it has."""
        return (self.simulator and self.simulator.end) or super().trouble(error)

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
        PortError: `none` has no bus: somebody else drives the head; or one device is named for a
            head with several buses.
    """
    if (port or robot.port) == NONE:
        raise PortError(f'{robot.name}: port none has no bus; name a device or simulated')
    used = {joint.bus for joint in robot.joints}  # a part of a head may need one bus only
    lines = [line for line in robot.lines if line.name in used]
    if len(lines) > 1 and port not in ('', SIMULATED, robot.port):
        raise PortError(
            f'{robot.name} has {len(lines)} buses, so {port} is not all of it: name their ports '
            'in the robot file'
        )
    buses = {line.name: _bus_on(robot, line, port) for line in lines}
    if len(buses) == 1:
        return next(iter(buses.values()))
    return BusGroup(buses, {joint.id: joint.bus for joint in robot.joints})


def _bus_on(robot: RobotConfig, line: BusConfig, port: str) -> ServoBus:
    chosen = line.port if port in ('', robot.port) else port
    return (
        SimulatorProcessBus(robot, line)
        if chosen == SIMULATED
        else DynamixelBus(chosen, line.baud)
    )
