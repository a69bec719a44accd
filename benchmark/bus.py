"""Rate and jitter of the bus loop on the simulated bus, and its byte counts.

    python benchmark/bus.py [--servos 12 25] [--seconds 30] [--soak-minutes 0]

The simulated servos run in a process of their own and keep the timing of a real line at
1 Mbit/s: a reply comes when its last bit would have come. Motion never stops: a new random goal
every 0.25 s. `--soak-minutes 30` prints memory and file descriptors every minute.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from kf_imitation.paths import share_path
from kf_imitation.robot_config import RobotConfig, load_robot
from kf_imitation.servo.controller import ServoController
from kf_imitation.servo.open_bus import open_bus

BITS = 10  # per byte


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
    return tuple(1000.0 * BITS * n / baud for n in (write, ask + fast, ask + normal))


def descriptors() -> int:
    """Return open file descriptors of this process."""
    return len(os.listdir('/proc/self/fd'))


def memory_mb() -> float:
    """Return resident memory of this process [MB]."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure(servos: int, seconds: float, soak_minutes: float) -> None:
    """Run one head and print its figures."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        robot = robot_with(servos, Path(folder))
        low, high = np.array([joint.limits_rad for joint in robot.joints]).T
        controller = ServoController(robot, open_bus(robot), hold_s=60.0, exit_policy='limp')
        work: list[float] = []
        last = [time.monotonic()]

        def note(_: object) -> None:
            now = time.monotonic()
            work.append(now - last[0])
            last[0] = now

        controller.on_cycle = note
        controller.start()
        write, fast, normal = wire_ms(servos, robot.baud)
        print(
            f'{servos} servos at {robot.baud} bit/s on the wire: goals {write:.2f} ms + '
            f'fast read {fast:.2f} ms = {write + fast:.2f} ms a cycle '
            f'(normal read {normal:.2f} ms)'
        )
        cpu, begin = time.process_time(), time.monotonic()
        end = begin + max(seconds, 60.0 * soak_minutes)
        stamp, minute = 0, begin + 60.0
        while time.monotonic() < end:
            stamp += 1
            if refusal := controller.set_goal(rng.uniform(low, high), stamp):
                print(refusal)
            time.sleep(0.25)
            if soak_minutes and time.monotonic() > minute:
                minute += 60.0
                figures = controller.statistics()
                print(
                    f'  {(time.monotonic() - begin) / 60:4.0f} min: {memory_mb():.1f} MB, '
                    f'{descriptors()} descriptors, {figures.rate_hz:.2f} Hz, jitter p99 '
                    f'{figures.jitter_p99_ms:.2f} ms, {figures.errors} errors',
                    flush=True,
                )
        share = (time.process_time() - cpu) / (time.monotonic() - begin)
        figures = controller.statistics()
        controller.close()
    late = sum(1 for period in work[1:] if period > 0.015)
    print(
        f'  {figures.rate_hz:.2f} Hz, jitter p99 {figures.jitter_p99_ms:.2f} ms, longest period '
        f'{figures.longest_ms:.1f} ms, {figures.overruns} overruns and {late} periods above '
        f'15 ms in {figures.cycles} cycles, {figures.errors} failed exchanges, '
        f'{100 * share:.0f} % of one core'
    )


def main() -> int:
    """Measure every size asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--servos', type=int, nargs='+', default=[12, 25])
    parser.add_argument('--seconds', type=float, default=30.0)
    parser.add_argument('--soak-minutes', type=float, default=0.0)
    args = parser.parse_args()
    print(f'load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores')
    for servos in args.servos:
        measure(servos, args.seconds, args.soak_minutes)
    return 0


if __name__ == '__main__':
    sys.exit(main())
