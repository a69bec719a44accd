"""Rate and jitter of the bus loop on the simulated bus, and its byte counts.

    python benchmark/bus.py [--servos 12 25] [--seconds 30] [--soak-minutes 0]

The simulated servos run in a process of their own and keep the timing of a real line at
1 Mbit/s: a reply comes when its last bit would have come. Motion never stops: a new random goal
every 0.25 s. `--soak-minutes 30` prints memory, file descriptors and threads of both processes
every minute and ends with exit code 1 if anything grew after the first third.
"""

import argparse
import itertools
import math
import os
import resource
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from kf_imitation.head.bus_factory import SimulatorProcessBus
from kf_imitation.head.controller import ServoController
from kf_imitation.paths import share_path
from kf_imitation.robot import RobotConfig, load_robot

BITS = 10  # per byte
GOAL_CYCLES = 25
WARM_UP_SHARE = 1 / 3  # of a soak: caches and arenas fill
GROWTH_MB = 2.0  # more than this afterwards is a leak (13 bytes a cycle in 25 minutes)


def robot_with(servos: int, folder: Path) -> RobotConfig:
    """Return the simulated face with more or fewer joints, as a robot file of its own."""
    path = share_path('config/robots/sim_face.yaml')
    document = yaml.safe_load(path.read_text(encoding='utf-8'))
    if servos != len(document['joints']):
        model = document['joints'][0]
        document['joints'] = [
            {**model, 'name': f'joint_{i}', 'id': i, 'channels': {}} for i in range(1, servos + 1)
        ]
        document['coupled_limits'] = []
    document['urdf'] = ''
    file = folder / f'robot_{servos}.yaml'
    file.write_text(yaml.safe_dump(document), encoding='utf-8')
    return load_robot(str(file))


def wire_ms(servos: int, baud: int) -> tuple[float, float, float]:
    """Return time on the wire of one cycle [ms]: goals, fast read, normal read."""
    write = 14 + servos * 5  # header … CRC, then id and four bytes each
    ask = 14 + servos
    fast = 8 + servos * (10 + 4)
    normal = servos * (11 + 10)
    per_byte = 1000.0 * BITS / baud
    return per_byte * write, per_byte * (ask + fast), per_byte * (ask + normal)


@dataclass(frozen=True)
class Footprint:
    """What the processes of a run hold.

    Attributes:
        host_mb, simulator_mb: resident memory.
        host_files, simulator_files: open file descriptors.
        threads: of the host.
    """

    host_mb: float
    simulator_mb: float
    host_files: int
    simulator_files: int
    threads: int

    @classmethod
    def of(cls, simulator: int) -> 'Footprint':
        """Measure this process and the simulator with the given process id."""
        host_files, simulator_files = (
            len(os.listdir(f'/proc/{pid}/fd')) for pid in ('self', simulator)
        )
        host_mb, simulator_mb = memory_mb('self'), memory_mb(simulator)
        threads = threading.active_count()
        return cls(host_mb, simulator_mb, host_files, simulator_files, threads)

    def growth(self, later: 'Footprint') -> list[str]:
        """Return what a later measurement shows to have grown, one phrase each."""
        grown = []
        for name, before in vars(self).items():
            now = getattr(later, name)
            if now - before > (GROWTH_MB if name.endswith('_mb') else 0):
                grown.append(f'{name} grew from {before:.1f} to {now:.1f}')
        return grown


def memory_mb(pid: int | str) -> float:
    """Return the resident memory of a process [MB]."""
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure(servos: int, seconds: float, soak_minutes: float) -> list[str]:
    """Run one head and print its figures; returns what grew during a soak."""
    rng = np.random.default_rng(0)
    seconds = max(seconds, 60.0 * soak_minutes)
    samples: list[Footprint] = []
    with tempfile.TemporaryDirectory() as folder:
        robot = robot_with(servos, Path(folder))
        low, high = np.array([joint.limits_rad for joint in robot.joints]).T
        bus = SimulatorProcessBus(robot)
        controller = ServoController(robot, bus, hold_s=60.0, exit_policy='limp')
        late = Late()
        stamps = itertools.count(1)

        def on_cycle(_: object) -> None:
            late.note()
            stamp = next(stamps)  # goals from the bus thread: nothing else needs the processor
            if stamp % GOAL_CYCLES == 0:
                controller.set_goal(rng.uniform(low, high), stamp)

        controller.on_cycle = on_cycle
        controller.start()
        assert bus.simulator is not None
        write, fast, normal = wire_ms(servos, robot.baud)
        print(
            f'{servos} servos at {robot.baud} bit/s on the wire: goals {write:.2f} ms + '
            f'fast read {fast:.2f} ms = {write + fast:.2f} ms a cycle '
            f'(normal read {normal:.2f} ms)',
            flush=True,
        )
        cpu, begin = time.process_time(), time.monotonic()
        while (left := begin + seconds - time.monotonic()) > 0.0:
            time.sleep(min(left, 60.0))
            if soak_minutes:
                samples.append(Footprint.of(bus.simulator.pid))
                report_minute((time.monotonic() - begin) / 60.0, samples[-1], controller)
        share = (time.process_time() - cpu) / (time.monotonic() - begin)
        figures = controller.statistics()
        controller.close()
    print(
        f'  {figures.rate_hz:.2f} Hz, jitter p99 {figures.jitter_p99_ms:.2f} ms, longest period '
        f'{figures.longest_ms:.1f} ms, {figures.overruns} overruns and {late.count} periods above '
        f'15 ms in {figures.cycles} cycles, {figures.errors} failed exchanges, '
        f'{100 * share:.0f} % of one core, load {os.getloadavg()[0]:.1f}',
        flush=True,
    )
    if not samples:
        return []
    first = samples[int(WARM_UP_SHARE * len(samples))]
    grown = first.growth(samples[-1])
    print(f'  soak of {soak_minutes:g} min: {"; ".join(grown) or "nothing grew"}', flush=True)
    return grown


class Late:
    """Counts cycles that came more than half a period late."""

    def __init__(self) -> None:
        self.count = 0
        self._last = math.inf

    def note(self) -> None:
        """Take the end of a cycle."""
        now = time.monotonic()
        self.count += now - self._last > 0.015
        self._last = now


def report_minute(minutes: float, held: Footprint, controller: ServoController) -> None:
    """Print one line of a soak."""
    figures = controller.statistics()
    print(
        f'  {minutes:4.0f} min: host {held.host_mb:.1f} MB, {held.host_files} descriptors, '
        f'{held.threads} threads; simulator {held.simulator_mb:.1f} MB, '
        f'{held.simulator_files} descriptors; {figures.rate_hz:.2f} Hz, jitter p99 '
        f'{figures.jitter_p99_ms:.2f} ms, {figures.overruns} overruns, {figures.errors} errors',
        flush=True,
    )


def main() -> int:
    """Measure every size asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--servos', type=int, nargs='+', default=[12, 25])
    parser.add_argument('--seconds', type=float, default=30.0)
    parser.add_argument('--soak-minutes', type=float, default=0.0)
    args = parser.parse_args()
    print(f'load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores')
    grown = [measure(n, args.seconds, args.soak_minutes) for n in args.servos]
    return 1 if any(grown) else 0


if __name__ == '__main__':
    sys.exit(main())
