"""Processor time of the simulated servos while the head is at rest.

    python -m benchmark.idle_simulator [--seconds 5] [--robot sim_face] [--limp]

The bus loop runs at 100 Hz with torque on and a constant goal. Prints how much of one core the
simulator's process took, by the system's own count, so that other programs do not matter.
"""

import argparse
import os
import time
from pathlib import Path

from kf_imitation.head.bus_factory import SimulatorProcessBus
from kf_imitation.head.controller import ServoController
from kf_imitation.robot import load_robot

SETTLE_S = 2.0
RATE_HZ = 100.0


def processor_s(pid: int) -> float:
    """Return user and system time that a process has taken [s]."""
    fields = Path(f'/proc/{pid}/stat').read_text(encoding='utf-8').rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def measure(robot_name: str, seconds: float, limp: bool = False) -> float:
    """Return the share of a core that the simulator takes at rest."""
    robot = load_robot(robot_name)
    bus = SimulatorProcessBus(robot, robot.lines[0])
    controller = ServoController(robot, bus, RATE_HZ, hold_s=1e9)
    controller.start()
    try:
        if limp:
            controller.torque(False)
        time.sleep(SETTLE_S)
        assert bus.simulator is not None
        pid = bus.simulator.pid
        before, started = processor_s(pid), time.monotonic()
        time.sleep(seconds)
        return (processor_s(pid) - before) / (time.monotonic() - started)
    finally:
        controller.close()


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=5.0)
    parser.add_argument('--robot', default='sim_face')
    parser.add_argument('--limp', action='store_true', help='with the torque off')
    args = parser.parse_args()
    share = measure(args.robot, args.seconds, args.limp)
    print(f'simulated servos at rest: {share:.1%} of a core ({args.robot})')


if __name__ == '__main__':
    main()
