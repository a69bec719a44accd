"""The fault matrix: every fault on the simulated bus, what the head did, in numbers.

    python benchmark/faults.py [--only WORDS] [--markdown docs/safety.md]

Each row is a fresh head (sim_face, real packets over a pseudo-terminal, 100 Hz) that follows
random goals when the fault comes. Figures:

- detected: from the fault to the first cycle whose status is not OK [s]
- safe: from the fault to the last goal that moved a joint the fault makes unsafe [s]
- back: from the cause being gone (or the reboot being asked for) to status OK [s]
- step: largest step that a goal on the wire asked of a servo beyond what the speed limit allows
  in one cycle, and largest |goal - present| when torque went on [degrees]
"""

import argparse
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kf_imitation.robot_config import RobotConfig, load_robot
from kf_imitation.servo.controller import ServoController
from kf_imitation.servo.cycle import ServoCycle
from kf_imitation.servo.dynamixel_bus import DynamixelBus
from kf_imitation.servo.simulated_bus import simulated_servos
from kf_imitation.servo.simulated_faults import apply_fault
from kf_imitation.servo.simulated_line import SimulatedLine
from kf_imitation.servo.simulated_port import SimulatedPort
from kf_imitation.servo.simulated_servo import WriteRecord
from kf_imitation.servo.units import RAD_PER_TICK

WARM_UP_S = 1.5
LONGEST_S = 20.0
PERIOD_S = 0.01
BEGIN, END = '<!-- fault matrix: begin -->', '<!-- fault matrix: end -->'


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        name: for people.
        start: fault commands.
        end: fault commands that take the cause away.
        last_s: how long the cause lasts.
        reaction: what the head should do, for the table.
        reboot: joint to reboot once the cause is gone, '' for none.
        affected: joints that must not be moved; all of them when empty.
        tolerated: the head may go on without complaint.
        goal_cycles: cycles between two goals.
    """

    name: str
    start: tuple[str, ...]
    end: tuple[str, ...]
    last_s: float
    reaction: str
    reboot: str = ''
    affected: tuple[str, ...] = ()
    tolerated: bool = False
    goal_cycles: int = 25


FAULTS = (
    Fault('USB adapter unplugged', ('unplug',), ('plug',), 1.0, 'stops commanding, reopens'),
    Fault('bus cable cut (no replies)', ('silence', 'deaf'), ('normal',), 1.0, 'as above'),
    Fault('replies lost, commands arrive', ('silence',), ('normal',), 1.0, 'as above'),
    Fault('every checksum wrong', ('crc 1',), ('normal',), 1.0, 'as above'),
    Fault('5 % of the replies lost', ('lose 0.05',), ('normal',), 2.0, 'pauses', tolerated=True),
    Fault('5 % wrong checksums', ('crc 0.05',), ('normal',), 2.0, 'pauses', tolerated=True),
    Fault('noise before every reply', ('noise 1',), ('normal',), 2.0, 'goes on', tolerated=True),
    Fault('replies 5 ms late', ('slow 0.005',), ('normal',), 2.0, 'slows down', tolerated=True),
    Fault('replies 60 ms late', ('slow 0.06',), ('normal',), 1.0, 'stops commanding, reopens'),
    Fault(
        'one servo dead',
        ('dead 10',),
        ('alive 10',),
        1.5,
        'goes on without the joint',
        affected=('neck_yaw',),
    ),
    Fault(
        'one servo restarts',
        ('reboot 10',),
        (),
        0.0,
        'takes it in again from where it is',
        affected=('neck_yaw',),
    ),
    Fault(
        'overload shutdown',
        ('overload 1',),
        (),
        1.0,
        'goes on without the joint until its reboot is asked for',
        'jaw',
        ('jaw',),
    ),
    Fault(
        'overheating shutdown',
        ('heat 1 75',),
        ('heat 1 30',),
        1.0,
        'as above',
        'jaw',
        ('jaw',),
    ),
    Fault(
        'servo at 60 °C',
        ('heat 1 60',),
        ('heat 1 30',),
        2.0,
        'moves the joint half as far',
        affected=(),
        tolerated=True,
    ),
    Fault(
        'jaw stuck',
        ('block 1',),
        ('free 1',),
        2.0,
        'lets the joint rest',
        tolerated=True,
        goal_cycles=100,
    ),
    Fault(
        'brown-out of all servos', ('supply 2',), ('normal',), 1.0, 'stops, starts from present'
    ),
    Fault(
        'voltage of one servo too low',
        ('supply 9 10',),
        ('normal',),
        1.0,
        'goes on and says so',
        'neck_yaw',
        tolerated=True,
    ),
)


class Bench:
    """A head with a fault."""

    def __init__(self, robot: RobotConfig, goal_cycles: int = 25) -> None:
        self.robot = robot
        self.log: list[WriteRecord] = []
        self.line = SimulatedLine(simulated_servos(robot, self.log))
        self.port = SimulatedPort(self.line)
        self.cycles: list[tuple[float, ServoCycle, int]] = []
        self.controller = ServoController(
            robot, DynamixelBus(self.port.device, robot.baud), hold_s=60.0
        )
        self.controller.on_cycle = self._note
        self._rng = np.random.default_rng(0)
        self._low = np.array([j.limits_rad[0] for j in robot.joints])
        self._high = np.array([j.limits_rad[1] for j in robot.joints])
        self._count = 0
        self._goal_cycles = goal_cycles
        self.moved = threading.Condition()

    def _note(self, cycle: ServoCycle) -> None:
        self._count += 1
        if self._count % self._goal_cycles == 0:
            self.controller.set_goal(self._rng.uniform(self._low, self._high), self._count)
        with self.moved:
            self.cycles.append((time.monotonic(), cycle, self.controller.status().level))
            self.moved.notify_all()

    def wait(self, done: Callable[[], bool], seconds: float = LONGEST_S) -> bool:
        """Wait until done() or until time is up; returns whether it was done."""
        end = time.monotonic() + seconds
        with self.moved:
            while not done():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self.moved.wait(left)
        return True

    def first(self, since: float, good: Callable[[int], bool]) -> float:
        """Return the time of the first cycle since then whose level is `good`; NaN for none."""
        return next((t for t, _, level in self.cycles if t >= since and good(level)), math.nan)


@dataclass(frozen=True)
class Row:
    """Result of one fault."""

    fault: Fault
    detected_s: float
    safe_s: float
    back_s: float
    step_deg: float
    torque_left: int
    threads_left: int

    def faults(self) -> list[str]:
        """Return which promises were broken."""
        broken = []
        if not self.fault.tolerated:
            if not self.detected_s <= 0.5:
                broken.append('detected late')
            if not self.safe_s <= self.detected_s + 0.2:
                broken.append('safe late')
        if not self.back_s <= 2.0:
            broken.append('back late')
        if not self.step_deg < 0.5:
            broken.append('step')
        if self.torque_left or self.threads_left:
            broken.append('something left behind')
        return broken


def largest_step_deg(bench: Bench) -> float:
    """Return the largest step of a goal beyond planned motion, from what the servos received."""
    worst = 0.0
    for joint in bench.robot.joints:
        planned = joint.max_velocity_rad_s * PERIOD_S + RAD_PER_TICK
        goal, torque = 0, False
        for record in bench.log:
            if record.id != joint.id:
                continue
            if record.register == 'torque_enable':
                if record.value and not torque:
                    worst = max(worst, abs(record.present - goal) * RAD_PER_TICK)
                torque = bool(record.value)
            elif record.register == 'goal_position':
                if torque:  # a goal that comes nearer to the present position moves nothing
                    asked = min(abs(record.value - goal), abs(record.value - record.present))
                    worst = max(worst, asked * RAD_PER_TICK - planned)
                goal = record.value
    return math.degrees(max(0.0, worst))


def run(fault: Fault) -> Row:
    """Let one fault happen to a fresh head."""
    robot = replace(load_robot('sim_face'), exit='limp')
    threads = threading.active_count()
    bench = Bench(robot, fault.goal_cycles)
    with bench.port:
        bench.controller.start()
        bench.wait(lambda: False, WARM_UP_S)
        begin = time.monotonic()
        sim_begin = bench.line.servos[0].time_s
        for command in fault.start:
            apply_fault(command, bench.port)
        bench.wait(lambda: False, fault.last_s)
        gone = time.monotonic()
        for command in fault.end:
            apply_fault(command, bench.port)
        if fault.reboot:
            bench.controller.reboot(fault.reboot)
        ids = [j.id for j in robot.joints if j.name in fault.affected or not fault.affected]
        bench.wait(lambda: not math.isnan(bench.first(begin, lambda level: level > 0)), 1.0)
        settled = bench.wait(
            lambda: time.monotonic() > gone + 0.6 and bench.cycles[-1][2] == 0, LONGEST_S
        )
        bad = [t for t, _, level in bench.cycles if t > gone and level > 0]
        back = (max(bad) - gone if bad else 0.0) if settled else math.inf
        bench.wait(lambda: False, 0.5)
        bench.controller.close()
        with bench.port.lock:
            torque = sum(servo.torque for servo in bench.line.servos)
    moves = [
        r.time_s - sim_begin
        for r in bench.log
        if r.register == 'goal_position'
        and r.id in ids
        and 0 < r.time_s - sim_begin < gone - begin
    ]
    return Row(
        fault,
        bench.first(begin, lambda level: level > 0) - begin,
        max(moves, default=0.0),
        back,
        largest_step_deg(bench),
        torque,
        threading.active_count() - threads,
    )


HOST = """
import sys, numpy as np
from kf_imitation.robot_config import load_robot
from kf_imitation.servo.controller import ServoController
from kf_imitation.servo.dynamixel_bus import DynamixelBus
robot = load_robot('sim_face')
controller = ServoController(robot, DynamixelBus(sys.argv[1], robot.baud), hold_s=60)
controller.start()
controller.set_goal(np.array([j.limits_rad[1] for j in robot.joints]) * 0.9, 1)
print('running', flush=True)
sys.stdin.read()
"""


def run_kill() -> Row:
    """Kill the host with SIGKILL in mid-motion: only the servos' own watchdog is left."""
    reaction = 'watchdogs trip: servos stop, 330-size ones at their last goal'
    fault = Fault('host killed (kill -9)', (), (), 0.0, reaction)
    robot = load_robot('sim_face')
    bench = Bench(robot)
    root = str(Path(__file__).resolve().parents[1])
    with bench.port:
        host = subprocess.Popen(
            [sys.executable, '-c', HOST, bench.port.device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, 'PYTHONPATH': root},
        )
        assert host.stdout is not None and host.stdin is not None
        host.stdout.readline()
        host.send_signal(signal.SIGKILL)
        host.wait()
        begin = time.monotonic()
        tripped = math.nan
        last = {s.id: s.physics.angle_rad for s in bench.line.servos}
        still = begin
        while time.monotonic() < begin + 2.0:
            bench.wait(lambda: False, 0.005)
            with bench.port.lock:
                values = [s.registers.get('bus_watchdog') for s in bench.line.servos]
                now = {s.id: s.physics.angle_rad for s in bench.line.servos}
            if math.isnan(tripped) and all(value == 255 for value in values):
                tripped = time.monotonic()
            if any(abs(now[i] - last[i]) > RAD_PER_TICK for i in now):
                still = time.monotonic()
            last = now
        # A new host takes over without a jump.
        again = time.monotonic()
        bench.controller.start()
        bench.wait(lambda: bool(bench.cycles) and bench.cycles[-1][2] == 0)
        back = time.monotonic() - again
        bench.wait(lambda: False, 0.5)
        bench.controller.exit_policy = 'limp'
        bench.controller.close()
        torque = sum(servo.torque for servo in bench.line.servos)
    return Row(fault, tripped - begin, still - begin, back, largest_step_deg(bench), torque, 0)


def table(rows: list[Row]) -> str:
    """Return the Markdown table."""

    def figure(value: float) -> str:
        return '–' if math.isnan(value) else f'{value:.2f}'

    lines = [
        '| fault | what the head does | detected [s] | last goal [s] | back [s] | '
        'largest unplanned step [deg] | torque left |',
        '|---|---|---|---|---|---|---|',
    ]
    for row in rows:
        calm = row.fault.tolerated and math.isnan(row.detected_s)
        lines.append(
            f'| {row.fault.name} | {row.fault.reaction} | '
            f'{"no alarm" if calm else figure(row.detected_s)} | '
            f'{"goes on" if row.fault.tolerated else figure(row.safe_s)} | '
            f'{figure(row.back_s)} | {row.step_deg:.2f} | {row.torque_left or "none"} |'
        )
    return '\n'.join(lines)


def main() -> int:
    """Run all rows; exit code 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', default='', help='rows whose name contains this')
    parser.add_argument('--markdown', type=Path, help='file whose marked table is replaced')
    args = parser.parse_args()
    rows, broken = [], 0
    for fault in FAULTS:
        if args.only in fault.name:
            rows.append(run(fault))
            broken += _report(rows[-1])
    if args.only in 'host killed':
        rows.append(run_kill())
        broken += _report(rows[-1])
    text = table(rows)
    if args.markdown:
        page = args.markdown.read_text(encoding='utf-8')
        head, rest = page.split(BEGIN)
        args.markdown.write_text(
            f'{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}', encoding='utf-8'
        )
    print(text)
    return 1 if broken else 0


def _report(row: Row) -> bool:
    faults = row.faults()
    print(
        f'{row.fault.name:34} detected {row.detected_s:5.2f} s, last goal {row.safe_s:5.2f} s, '
        f'back {row.back_s:5.2f} s, step {row.step_deg:5.2f} deg, torque {row.torque_left} '
        f'{"  BROKEN: " + ", ".join(faults) if faults else ""}',
        flush=True,
    )
    return bool(faults)


if __name__ == '__main__':
    sys.exit(main())
