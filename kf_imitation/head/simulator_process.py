"""The simulated bus as a process of its own, so that no other thread can slow its 100 Hz down.

`python -m kf_imitation.head.simulator_process --robot sim_face` prints the device path and serves
until its input closes: it dies with whoever started it. Lines on its input are fault commands
(faults.py).
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.faults import FaultCommandError, apply_fault
from kf_imitation.actuators.dynamixel.simulator.local_socket import LocalSocket
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo, WriteRecord
from kf_imitation.actuators.dynamixel.units import ticks
from kf_imitation.child_process import end_child, start_child
from kf_imitation.errors import ConfigError, PortError
from kf_imitation.head.servo_inspection import settled_registers
from kf_imitation.robot import RobotConfig, load_robot

START_TIMEOUT_S = 20.0
END_S = 2.0


def simulated_servos(
    robot: RobotConfig, log: list[WriteRecord] | None = None
) -> list[SimulatedServo]:
    """Return one simulated servo per joint, at rest in the neutral pose and commissioned."""
    servos = []
    bauds = {line.name: line.baud for line in robot.lines}
    for joint in robot.joints:
        tick = ticks(joint.neutral_rad, joint.zero_tick, joint.direction)
        servo = SimulatedServo(joint.servo, joint.id, tick, bauds[joint.bus])
        for name, value in settled_registers(joint).items():
            servo.write(joint.servo.registers[name].address, bytes([value]))
        servo.log = log
        servos.append(servo)
    return servos


class SimulatorProcess:
    """A child process with one simulated bus of a robot.

    Attributes:
        device: path of the socket to it.
    """

    def __init__(self, robot: str, line: str = '') -> None:
        """Start it and wait for the device.

        Args:
            robot: name or path, as for load_robot().
            line: name of the bus, where the robot has several.

        Raises:
            PortError: the process did not come up.
        """
        # Ctrl-C must not end the bus before torque is off.
        self._process = start_child(
            'kf_imitation.head.simulator_process',
            ['--robot', robot, '--bus', line],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.device = self._process.stdout.readline().strip()
        if not self.device:
            code = self._process.wait(START_TIMEOUT_S)
            raise PortError(f'the simulated bus did not start (exit code {code})')

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    @property
    def end(self) -> str:
        """How it ended by itself, for people; '' while it runs."""
        code = self._process.poll()
        if code is None:
            return ''
        by = f'was killed by signal {-code}' if code < 0 else f'ended ({code})'
        return f"the simulated servos' process {by}"

    def command(self, text: str) -> None:
        """Send a fault command."""
        assert self._process.stdin is not None
        self._process.stdin.write(text + '\n')
        self._process.stdin.flush()

    def close(self) -> None:
        """End it; may be called twice."""
        assert self._process.stdin is not None and self._process.stdout is not None
        if not self._process.stdin.closed:
            self._process.stdin.close()
        end_child(self._process, END_S)
        self._process.stdout.close()
        shutil.rmtree(Path(self.device).parent, ignore_errors=True)  # of one that was killed


class _Lines:
    """Fault commands from a file descriptor."""

    def __init__(self, fd: int, port: SimulatedPort) -> None:
        self._fd, self._port = fd, port
        self._unread = b''

    def take(self) -> bool:
        """Carry out what arrived; false at the end of the input."""
        data = os.read(self._fd, 4096)
        *lines, self._unread = (self._unread + data).split(b'\n')
        for line in lines:
            try:
                apply_fault(line.decode(errors='replace'), self._port)
            except FaultCommandError as error:
                sys.stderr.write(f'{error}\n')
        return bool(data)


def serve(robot: RobotConfig, until_input_ends: bool = True, link: str = '') -> None:
    """Print the device path, then serve until standard input closes or Ctrl-C comes.

    Args:
        robot: whose servos to simulate.
        until_input_ends: behind a socket, for the bus of this package; false serves any program,
            goes on without input, for `servo simulate < /dev/null &`, and takes fault commands
            from a pipe, too, that it prints after the device.
        link: another path under which the device appears, for programs with a fixed one.

    Raises:
        PortError: the link cannot be made.
    """
    connection = LocalSocket() if until_input_ends else PseudoTerminal()
    port = SimulatedPort(SimulatedBus(simulated_servos(robot)), connection)
    try:
        if link:
            if os.path.islink(link) and not os.path.exists(link):
                os.unlink(link)  # left behind by a simulator that was killed
            os.symlink(port.device, link)
    except OSError as error:
        port.close()
        exists = isinstance(error, FileExistsError)
        why = 'exists; remove it where no simulator serves it' if exists else error.strerror
        raise PortError(f'{link}: {why}') from error
    # Whoever reads the path may end this process at once.
    signal.signal(signal.SIGTERM, lambda *_: port.stop())
    sys.stdout.write((link or port.device) + '\n')
    inputs = {0: _Lines(0, port).take}
    pipe = -1
    if not until_input_ends:
        os.mkfifo(port.faults, 0o600)
        pipe = os.open(port.faults, os.O_RDWR | os.O_NONBLOCK)  # own writer: it never ends
        inputs[pipe] = _Lines(pipe, port).take
        sys.stdout.write(f'faults: {port.faults}\n')
    sys.stdout.flush()
    try:
        port.run(inputs)
        if not until_input_ends:
            del inputs[0]
            port.run(inputs)
    except KeyboardInterrupt:
        pass
    finally:
        if pipe >= 0:
            os.close(pipe)
        if link:
            os.unlink(link)
        port.close()


def part_of(robot: RobotConfig, bus: str) -> RobotConfig:
    """Return the head as far as it is on one bus; '' is the only one.

    Raises:
        ConfigError: there is no such bus, or there are several.
    """
    if not bus and not robot.buses:
        return robot
    if not bus:
        choices = ' or '.join(f'--bus {line.name}' for line in robot.buses)
        raise ConfigError(robot.name, [f'has {len(robot.buses)} buses: choose {choices}'])
    line = next((line for line in robot.lines if line.name == bus), None)
    if line is None:
        names = ', '.join(line.name for line in robot.buses) or 'none'
        raise ConfigError(robot.name, [f'bus = {bus!r} must be one of buses: {names}'])
    return robot.part_on(line)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description='Simulated Dynamixel bus behind a socket.')
    parser.add_argument('--robot', required=True, help='name in config/robots, or a file')
    parser.add_argument('--bus', default='', help='one of its buses')
    args = parser.parse_args(arguments)
    serve(part_of(load_robot(args.robot), args.bus))


if __name__ == '__main__':
    main()
