"""Rate and jitter of the motor process on the simulated bus, alone and beside vision.

    python -m benchmark.bus [--servos 13 25 25x2] [--seconds 25] [--alone] [--cycles-hz 0]
        [--soak-minutes 0]

25x2 are 25 servos on two buses. The simulated servos of each bus run in a process of their own and
keep the timing of a real line at 1 Mbit/s: a reply comes when its last bit would have come.

Alone, motion never stops: a new random goal every 0.25 s. Beside vision, the whole graph of
`kf_imitation mimic` runs with its default model on the demo clip, in a loop, and moves the head
(needs ROS). `--soak-minutes 30` prints memory, file descriptors and threads of motor process and
simulator every minute and ends with exit code 1 if anything grew after the first third.
"""

import argparse
import math
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from kf_imitation.head.bus_factory import SIMULATED
from kf_imitation.head.remote_head import RemoteHead
from kf_imitation.head.reports import BusStatistics, ServoCycle
from kf_imitation.head.wanted_cycles import EVERY_HZ
from kf_imitation.paths import share_path
from kf_imitation.robot import RobotConfig, load_robot
from kf_imitation.ros_graph.environment import apply_defaults, quiet_logging, ros_needed
from kf_imitation.ros_graph.nodes import RunOptions, build_graph

BITS = 10  # per byte
GOAL_S = 0.25
START_S = 60.0  # for the graph to score its first frames
SETTLE_S = 5.0  # from there to the first figure
TICKS_PER_S = os.sysconf('SC_CLK_TCK')
WARM_UP_SHARE = 1 / 3  # of a soak: caches and arenas fill
GROWTH_MB = 2.0  # more than this afterwards is a leak (13 bytes a cycle in 25 minutes)


def size(text: str) -> tuple[int, int]:
    """Return servos and buses of 25 or 25x2."""
    servos, _, buses = text.partition('x')
    return int(servos), int(buses or 1)


def robot_with(servos: int, buses: int, folder: Path) -> RobotConfig:
    """Return the simulated face with fewer joints, or more that no channel moves, as a file."""
    path = share_path('config/robots/sim_face.yaml')
    document = yaml.safe_load(path.read_text(encoding='utf-8'))
    joints = document['joints']
    ids = set(range(1, 253)) - {joint['id'] for joint in joints}
    more = [
        {**joints[0], 'name': f'joint_{i}', 'id': i, 'channels': {}}
        for i in sorted(ids)[: max(0, servos - len(joints))]
    ]
    if servos < len(joints):
        document['coupled_limits'] = []
    document['joints'] = [*joints[:servos], *more]
    document['urdf'] = ''
    if buses > 1:
        line = {'port': document.pop('port'), 'baud': document.pop('baud')}
        document['buses'] = {f'bus_{k}': line for k in range(buses)}
        for index, joint in enumerate(document['joints']):
            joint['bus'] = f'bus_{index * buses // servos}'
    file = folder / f'robot_{servos}x{buses}.yaml'
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
        motor_mb, simulator_mb: resident memory; of all simulators together.
        motor_files, simulator_files: open file descriptors.
        threads: of the motor process.
    """

    motor_mb: float
    simulator_mb: float
    motor_files: int
    simulator_files: int
    threads: int

    @classmethod
    def of(cls, motor: int) -> 'Footprint':
        """Measure a motor process and its simulators."""
        tasks = Path(f'/proc/{motor}/task')
        simulators = [
            int(pid) for task in tasks.iterdir() for pid in (task / 'children').read_text().split()
        ]
        return cls(
            memory_mb(motor),
            sum(map(memory_mb, simulators)),
            len(os.listdir(f'/proc/{motor}/fd')),
            sum(len(os.listdir(f'/proc/{pid}/fd')) for pid in simulators),
            len(list(tasks.iterdir())),
        )

    def growth(self, later: 'Footprint') -> list[str]:
        """Return what a later measurement shows to have grown, one phrase each."""
        grown = []
        for name, before in vars(self).items():
            now = getattr(later, name)
            if now - before > (GROWTH_MB if name.endswith('_mb') else 0):
                grown.append(f'{name} grew from {before:.1f} to {now:.1f}')
        return grown


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process [MB]."""
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def processor_s(pid: int) -> float:
    """Return the processor time of a process so far [s]."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def alone(robot: RobotConfig, seconds: float, soak_minutes: float, cycles_hz: float) -> list[str]:
    """Run one head and print its figures; returns what grew during a soak."""
    rng = np.random.default_rng(0)
    seconds = max(seconds, 60.0 * soak_minutes)
    samples: list[Footprint] = []
    low, high = np.array([joint.limits_rad for joint in robot.joints]).T
    head = RemoteHead(robot, SIMULATED, hold_s=60.0, exit_policy='limp')
    late = Late(cycles_hz == EVERY_HZ)
    head.on_cycle, head.cycles_hz = late.note, lambda: cycles_hz
    head.open()
    head.start()
    begin = minute = time.monotonic()
    cpu_s, own_s = processor_s(head.pid), processor_s(os.getpid())
    while (now := time.monotonic()) < begin + seconds:
        head.set_goal(rng.uniform(low, high), time.time_ns())
        time.sleep(GOAL_S)
        if soak_minutes and now - minute >= 60.0:
            minute += 60.0
            samples.append(Footprint.of(head.pid))
            report_minute((now - begin) / 60.0, samples[-1], head.statistics())
    share = (processor_s(head.pid) - cpu_s) / (time.monotonic() - begin)
    own = (processor_s(os.getpid()) - own_s) / (time.monotonic() - begin)
    figures = head.statistics()
    head.close()
    assert figures is not None
    print(
        f'  alone: {figures.rate_hz:.2f} Hz, jitter p99 {figures.jitter_p99_ms:.2f} ms, '
        f'longest period {figures.longest_ms:.1f} ms, {figures.overruns} overruns and '
        f'{late.periods} in {figures.cycles} cycles, {figures.errors} failed exchanges, motor '
        f'process {100 * share:.1f} % of one core, this one, which hears {late.heard} cycles, '
        f'{100 * own:.1f}, load {os.getloadavg()[0]:.1f}',
        flush=True,
    )
    if not samples:
        return []
    first = samples[int(WARM_UP_SHARE * len(samples))]
    grown = first.growth(samples[-1])
    print(f'  soak of {soak_minutes:g} min: {"; ".join(grown) or "nothing grew"}', flush=True)
    return grown


def beside_vision(robot: RobotConfig, seconds: float, folder: Path) -> None:
    """Run the graph of `mimic` with a head and print the figures of its bus."""
    with ros_needed():
        from kf_imitation.nodes.composition import Composition
    params = folder / 'params.yaml'
    sections = {'camera': {'loop': True}}
    document = {node: {'ros__parameters': values} for node, values in sections.items()}
    params.write_text(yaml.safe_dump(document), encoding='utf-8')
    graph = build_graph(RunOptions(robot=robot.source, port=SIMULATED, params=str(params)))
    with Composition(graph) as run:
        frames = run.ledger('keyframe')
        deadline = time.monotonic() + START_S
        while frames.count('frames') < 1 and time.monotonic() < deadline and not run.finished:
            time.sleep(0.1)
        time.sleep(SETTLE_S)
        servo = run.nodes['servo']
        first, scored, begin = servo.bus_figures(), frames.count('frames'), time.monotonic()
        time.sleep(seconds)
        last = servo.bus_figures()
        rate = (frames.count('frames') - scored) / (time.monotonic() - begin)
    assert first is not None and last is not None
    print(
        f'  beside vision ({rate:.1f} frames/s): {last.rate_hz:.2f} Hz, jitter p99 of the last '
        f'30 s {last.jitter_p99_ms:.2f} ms, {last.overruns - first.overruns} overruns and '
        f'{last.errors - first.errors} failed exchanges in {seconds:g} s, load '
        f'{os.getloadavg()[0]:.1f}',
        flush=True,
    )


class Late:
    """Counts cycles, and those that came more than half a period late.

    Attributes:
        heard: cycles so far.
    """

    def __init__(self, hears_all: bool) -> None:
        self.heard = self._count = 0
        self._hears_all = hears_all
        self._last_ns = math.inf

    @property
    def periods(self) -> str:
        """How many came late, in words."""
        return f'{self._count if self._hears_all else "unknown"} periods above 15 ms'

    def note(self, cycle: ServoCycle) -> None:
        """Take a cycle."""
        self.heard += 1
        self._count += cycle.stamp_ns - self._last_ns > 15e6
        self._last_ns = cycle.stamp_ns


def report_minute(minutes: float, held: Footprint, figures: BusStatistics | None) -> None:
    """Print one line of a soak."""
    assert figures is not None
    print(
        f'  {minutes:4.0f} min: motor process {held.motor_mb:.1f} MB, {held.motor_files} '
        f'descriptors, {held.threads} threads; simulator {held.simulator_mb:.1f} MB, '
        f'{held.simulator_files} descriptors; {figures.rate_hz:.2f} Hz, jitter p99 '
        f'{figures.jitter_p99_ms:.2f} ms, {figures.overruns} overruns, {figures.errors} errors',
        flush=True,
    )


def measure(servos: int, buses: int, args: argparse.Namespace) -> list[str]:
    """Measure one size, alone and beside vision; returns what grew during a soak."""
    with tempfile.TemporaryDirectory() as name:
        robot = robot_with(servos, buses, Path(name))
        write, fast, normal = wire_ms(-(-servos // buses), robot.baud)
        where = 'one bus' if buses == 1 else f'{buses} buses at the same time'
        print(
            f'{servos} servos on {where} at {robot.baud} bit/s on the wire: goals '
            f'{write:.2f} ms + fast read {fast:.2f} ms = {write + fast:.2f} ms a cycle '
            f'(normal read {normal:.2f} ms)',
            flush=True,
        )
        grown = alone(robot, args.seconds, args.soak_minutes, args.cycles_hz)
        if not args.alone and not args.soak_minutes:
            beside_vision(robot, args.seconds, Path(name))
    return grown


def main() -> int:
    """Measure every size asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--servos', type=size, nargs='+', default=[(13, 1), (25, 1), (25, 2)], metavar='N[xBUSES]'
    )
    parser.add_argument('--seconds', type=float, default=25.0)
    parser.add_argument('--alone', action='store_true', help='without vision')
    parser.add_argument(
        '--cycles-hz', type=float, default=EVERY_HZ, help='cycles a second to hear of alone'
    )
    parser.add_argument('--soak-minutes', type=float, default=0.0)
    args = parser.parse_args()
    print(f'load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores')
    apply_defaults()
    quiet_logging()
    grown = [measure(servos, buses, args) for servos, buses in args.servos]
    return 1 if any(grown) else 0


if __name__ == '__main__':
    sys.exit(main())
