"""A head on virtual time whose wire is heard by the judge: real packets, simulated servos.

Nothing here waits: time passes by what the bytes take on the wire and by the pauses of the motor
loop. So runs are the same every time, whatever else the machine does.
"""

import copy
import functools
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import serial
import yaml

from benchmark.judge.head_file import head_of
from benchmark.judge.judge import Judge
from benchmark.judge.wire import Wire
from benchmark.observed import Observed
from kf_imitation.actuators.bus import ServoBus
from kf_imitation.actuators.bus_group import BusGroup
from kf_imitation.actuators.dynamixel.control_tables import BITS_PER_BYTE
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.faults import apply_fault
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo, WriteRecord
from kf_imitation.head.controller import ServoController
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot

PERIOD_S = 0.01


@functools.cache
def _read_once(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding='utf-8'))
    return document


def sim_face() -> dict[str, Any]:
    """Return the robot file of sim_face, to be changed at will."""
    return copy.deepcopy(_read_once(share_path('config/robots/sim_face.yaml')))


class VirtualTime:
    """The time of all lines of a head.

    Attributes:
        now_s: since the start.
        lines: whose servos live in it.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self.lines: list[SimulatedBus] = []

    def advance(self, to_s: float) -> None:
        """Let the servos live until then."""
        if to_s > self.now_s:
            for line in self.lines:
                line.step(to_s - self.now_s)
            self.now_s = to_s


class VirtualPort:
    """What dynamixel_sdk and DynamixelBus ask of a serial port, on virtual time.

    Attributes:
        line: the servos.
        time: shared by all ports of a head.
        wire: hears every byte; what it heard goes to `hear`.
        lock: for fault commands, which expect a port that lives in a thread.
    """

    margin_s = 0.08
    packet_start_time = packet_timeout = 0.0

    def __init__(self, line: SimulatedBus, judge: Judge, time: VirtualTime) -> None:
        self.line = line
        self.time = time
        time.lines.append(line)
        self.lock = threading.RLock()
        self.is_open = self.is_using = False
        self.baudrate = 1_000_000
        self.tx_time_per_byte = 10_000.0 / self.baudrate  # ms
        self._wire, self._judge = Wire(), judge
        self._plugged = True
        self._pending: deque[tuple[float, bytes]] = deque()

    # --- time and faults -----------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Virtual time."""
        return self.time.now_s

    def advance(self, to_s: float) -> None:
        """Let the servos of all lines live until then."""
        self.time.advance(to_s)

    def unplug(self) -> None:
        """Make the device vanish."""
        self._plugged = False
        self._pending.clear()

    def plug(self) -> None:
        """Bring it back."""
        self._plugged = True

    # --- the port ------------------------------------------------------------------------------

    def setPortName(self, name: str) -> None:  # noqa: N802
        """Take a name."""

    def setBaudRate(self, baud: int) -> bool:  # noqa: N802
        """Open the port."""
        self._present()
        self.baudrate, self.is_open = baud, True
        self._pending.clear()
        return True

    def getBaudRate(self) -> int:  # noqa: N802
        """Return bit/s."""
        return self.baudrate

    def closePort(self) -> None:  # noqa: N802
        """Close it."""
        self.is_open = False

    def clearPort(self) -> None:  # noqa: N802
        """Drop what has arrived."""
        self._present()
        while self._pending and self._pending[0][0] <= self.now_s:
            self._pending.popleft()

    def writePort(self, packet: bytes) -> int:  # noqa: N802
        """Send: it takes its time on the wire, replies come when their last bit would."""
        self._present()
        data = bytes(packet)
        self.advance(self.now_s + len(data) * BITS_PER_BYTE / self.baudrate)
        self._judge.hear(self._wire.from_host(self.now_s, data))
        for reply in self.line.receive(data, self.baudrate):
            self._pending.append((self.now_s + reply.delay_s, reply.data))
        return len(data)

    def readPort(self, length: int) -> bytes:  # noqa: N802
        """Wait for bytes until the packet timeout."""
        self._present()
        until = self.packet_start_time + self.packet_timeout / 1000.0
        if not self._pending or self._pending[0][0] > until:
            self.advance(until + 1e-6)
            return b''
        arrives, data = self._pending.popleft()
        self.advance(arrives)
        if len(data) > length:
            self._pending.appendleft((arrives, data[length:]))
            data = data[:length]
        self._judge.hear(self._wire.from_servos(self.now_s, data))
        return data

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        """Start waiting for a packet."""
        self.setPacketTimeoutMillis(self.tx_time_per_byte * packet_length + self.margin_s * 1e3)

    def setPacketTimeoutMillis(self, milliseconds: float) -> None:  # noqa: N802
        """Start waiting for so long."""
        self.packet_start_time, self.packet_timeout = self.now_s, milliseconds

    def isPacketTimeout(self) -> bool:  # noqa: N802
        """Whether the wait is over."""
        return (self.now_s - self.packet_start_time) * 1e3 > self.packet_timeout

    def _present(self) -> None:
        if not self._plugged:
            raise serial.SerialException('the device is gone')


class VirtualHead(Observed):
    """A robot, its motor loop and its judge.

    Attributes:
        document: content of the robot file.
        ports: by the name of the bus; port and line are those of the first or only one.
        controller, judge: the other parts.
        writes: what the servos took, and when.
        goal_cycles: cycles between two random poses while it runs; 0 for none.
        watched: notes are taken of every cycle, which costs time.
    """

    def __init__(
        self,
        changes: Mapping[str, Any] | None = None,
        joints: tuple[str, ...] = (),
        hold_s: float = 60.0,
        seed: int = 0,
        prepare: Callable[['VirtualHead'], None] | None = None,
    ) -> None:
        """Build a sim_face, not started.

        Args:
            changes: keys of the robot file to replace.
            joints: those to keep, with the coupled limits between them; () for all.
            hold_s: parameter of the motor loop.
            seed: of the goals.
            prepare: changes the servos before anything is sent.
        """
        self.document = sim_face()
        self.document |= {'urdf': '', 'exit': 'limp', **(changes or {})}
        if 'buses' in self.document:
            del self.document['port'], self.document['baud']
        if joints:
            _keep(self.document, joints)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / 'robot.yaml'
            file.write_text(yaml.safe_dump(self.document), encoding='utf-8')
            super().__init__(load_robot(str(file)))
        self.judge = Judge(head_of(self.document), hold_s=hold_s)
        self.writes: list[WriteRecord] = []
        time = VirtualTime()
        self.ports: dict[str, VirtualPort] = {}
        buses: dict[str, ServoBus] = {}
        for line in self.robot.lines:
            servos = simulated_servos(self.robot.part_on(line), self.writes)
            port = self.ports[line.name] = VirtualPort(SimulatedBus(servos), self.judge, time)
            buses[line.name] = one = DynamixelBus('virtual', line.baud)
            one._port = port
        self.port = next(iter(self.ports.values()))
        self.line = self.port.line
        places = {joint.id: joint.bus for joint in self.robot.joints}
        bus = BusGroup(buses, places) if self.robot.buses else buses['']
        self.controller = ServoController(
            self.robot, bus, clock=lambda: self.port.now_s, pause=self._pause, hold_s=hold_s
        )
        self._rng = np.random.default_rng(seed)
        self._low = np.array([joint.limits_rad[0] for joint in self.robot.joints])
        self._high = np.array([joint.limits_rad[1] for joint in self.robot.joints])
        self.goal_cycles = 0
        self.watched = True
        self._stamp = self._count = 0
        if prepare is not None:
            prepare(self)

    def _pause(self, seconds: float) -> None:
        self.port.advance(self.port.now_s + seconds)

    @property
    def now_s(self) -> float:
        """Virtual time."""
        return self.port.now_s

    def servo(self, joint: str) -> SimulatedServo:
        """Return a joint's servo."""
        one = self.robot.joints[self.robot.names.index(joint)]
        return self.ports[one.bus].line.servo(one.id)

    def fault(self, command: str, bus: str = '') -> None:
        """Carry out a fault command (docs/simulator.md), on the first bus or another."""
        apply_fault(command, self.ports[bus] if bus else self.port)

    # --- what the head is told, and the judge with it -----------------------------------------

    def start(self) -> None:
        """Switch the head on."""
        self.judge.told(self.now_s, 'start')
        self.controller.start(threaded=False)

    def goal(self, **joints: float) -> str:
        """Ask for angles of some joints, the others keep their goal; '' or why not."""
        self._stamp += 1
        rejected = self.controller.set_joint_goals(joints, self._stamp)
        if not rejected:
            self.judge.told(self.now_s, 'goal')
        return rejected

    def pose(self, position_rad: np.ndarray) -> str:
        """Ask for a pose (J,); '' or why not."""
        return self.goal(**dict(zip(self.robot.names, position_rad.tolist(), strict=True)))

    def any_pose(self, extreme: float = 0.0) -> str:
        """Ask for a random pose; a share of them with every joint at one of its limits."""
        pose = self._rng.uniform(self._low, self._high)
        if self._rng.random() < extreme:
            pose = np.where(self._rng.random(len(pose)) < 0.5, self._low, self._high)
        return self.pose(pose)

    def stop(self) -> None:
        """Ask for a stop."""
        self.judge.told(self.now_s, 'stop')
        self.controller.stop()

    def reset(self) -> None:
        """End the stop."""
        self.judge.told(self.now_s, 'reset')
        self.controller.reset()

    def close(self) -> None:
        """Switch the head off by its exit policy."""
        self.judge.told(self.now_s, 'close')
        self.controller.close()

    # --- time ----------------------------------------------------------------------------------

    def run(
        self,
        seconds: float,
        goal_cycles: int = 0,
        extreme: float = 0.0,
        until: Callable[[], bool] | None = None,
    ) -> bool:
        """Let the motor loop run at its deadlines.

        Args:
            seconds: how long at most.
            goal_cycles: cycles between two random poses; 0 for the attribute of that name.
            extreme: share of them with every joint at a limit.
            until: asked before every cycle; true ends it.

        Returns:
            Whether `until` ended it.
        """
        end = self.now_s + seconds
        deadline = self.now_s
        while self.now_s < end:
            if until is not None and until():
                return True
            self._count += 1
            cycles = goal_cycles or self.goal_cycles
            if cycles and self._count % cycles == 0:
                self.any_pose(extreme)
            now = self.now_s
            cycle = self.controller.step(now)
            if self.watched:
                self.cycles.append((now, cycle, self.controller.status()))
            deadline += PERIOD_S
            late = self.now_s - deadline
            if late < 0.0:
                self.port.advance(deadline)
            else:
                deadline += PERIOD_S * int(late / PERIOD_S)
        return False

    def sleep(self, seconds: float) -> None:
        """Let time pass while the motor loop is stopped."""
        self.port.advance(self.now_s + seconds)


def _keep(document: dict[str, Any], joints: tuple[str, ...]) -> None:
    """Leave only some joints in a robot file."""
    document['joints'] = [one for one in document['joints'] if one['name'] in joints]
    document['coupled_limits'] = [
        one for one in document['coupled_limits'] if set(one['terms']) <= set(joints)
    ]
