"""What the servo tools share: opened buses, running heads."""

import argparse
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from kf_imitation.actuators.bus import ServoBus
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.errors import BusError, ConfigError, KfImitationError
from kf_imitation.head.bus_factory import NONE, SIMULATED, make_bus
from kf_imitation.head.controller import ServoController
from kf_imitation.head.reports import ServoCycle
from kf_imitation.head.stop_record import StopRecord
from kf_imitation.robot import RobotConfig, load_robot


def at_baud(robot: RobotConfig, baud: int) -> RobotConfig:
    """Return a robot whose buses all run at a speed; 0 leaves them."""
    if not baud:
        return robot
    buses = tuple(replace(line, baud=baud) for line in robot.buses)
    return replace(robot, baud=baud, buses=buses)


@contextlib.contextmanager
def opened_bus(args: argparse.Namespace, baud: int = 0) -> Iterator[ServoBus]:
    """Open the bus of the arguments and release it at the end.

    Raises:
        ConfigError, PortError: it cannot be opened.
    """
    robot = load_robot(args.robot)
    port = args.port or robot.port
    if port == NONE:
        raise ConfigError(robot.name, ["port = 'none' has no bus; give --port"])
    rate = baud or args.baud
    if port != SIMULATED and args.port:
        line = next((one for one in robot.lines if one.port == port), robot.lines[0])
        bus: ServoBus = DynamixelBus(port, rate or line.baud)
    else:
        bus = make_bus(at_baud(robot, rate))
    bus.open()
    try:
        yield bus
    finally:
        bus.shutdown()


class Head:
    """A running controller whose cycles the tool can wait for.

    Attributes:
        robot: with the limits that the tool wants.
        controller: running.
        cycles: all cycles so far.
    """

    def __init__(self, robot: RobotConfig, controller: ServoController) -> None:
        self.robot = robot
        self.controller = controller
        self.cycles: list[ServoCycle] = []
        self._changed = threading.Condition()
        self._stamp = 0
        controller.on_cycle = self._note

    def _note(self, cycle: ServoCycle) -> None:
        with self._changed:
            self.cycles.append(cycle)
            self._changed.notify_all()

    def wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait, cycle by cycle; returns whether done() became true in time."""
        with self._changed:
            return self._changed.wait_for(done, timeout_s)

    def go(self, goals: dict[str, float], timeout_s: float = 20.0) -> bool:
        """Move joints and wait until they are commanded to rest there and had 0.3 s to arrive.

        Raises:
            ConfigError: the goal is rejected.
        """
        self._stamp += 1
        if rejection := self.controller.set_joint_goals(goals, self._stamp):
            raise ConfigError('goal', [rejection])
        at = {self.robot.names.index(name): value for name, value in goals.items()}
        settled_since: list[int] = []

        def arrived() -> bool:
            cycle = self.cycles[-1] if self.cycles else None
            near = cycle is not None and all(
                abs(cycle.commanded_rad[i] - value) < 1e-4 for i, value in at.items()
            )
            if not near:
                settled_since.clear()
                return False
            settled_since.append(1)
            return len(settled_since) > 30

        return self.wait(arrived, timeout_s)


@contextlib.contextmanager
def running_head(
    args: argparse.Namespace,
    speed_rad_s: float = 0.0,
    current_fraction: float = 1.0,
    robot: RobotConfig | None = None,
) -> Iterator[Head]:
    """Run the controller of the arguments' robot, slower and weaker if asked; limp at the end.

    Args:
        args: robot and port.
        speed_rad_s: upper bound of all joints' speeds; 0 leaves them.
        current_fraction: fraction of the joints' current limits.
        robot: instead of the arguments'.

    Raises:
        KfImitationError: the head was stopped and not reset yet.
    """
    robot = robot or load_robot(args.robot)
    record = StopRecord(robot)
    if (args.port or robot.port) != SIMULATED and (reason := record.read()):
        raise KfImitationError(
            f'{robot.name} was stopped before ({reason}) and not reset yet: while its servo node '
            f'runs, kf_imitation servo reset; otherwise remove {record.path}'
        )
    joints = tuple(
        replace(
            joint,
            max_velocity_rad_s=min(joint.max_velocity_rad_s, speed_rad_s or 1e9),
            max_current_a=joint.max_current_a * current_fraction,
        )
        for joint in robot.joints
    )
    slowed = replace(robot, joints=joints)
    controller = ServoController(slowed, make_bus(slowed, args.port), hold_s=1e9)
    head = Head(slowed, controller)
    controller.start()
    try:
        yield head
    finally:
        controller.close()
    if controller.cycle.exit_problem:
        raise BusError(controller.cycle.exit_problem)
