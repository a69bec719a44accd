"""The fault matrix: every fault on the simulated bus, what the head did, in numbers.

    python -m benchmark.faults [--only WORDS] [--markdown docs/safety.md]

Each row is a fresh head (sim_face, real packets over a pseudo-terminal, 100 Hz) that follows
random goals when the fault comes. Figures:

- detected: from the fault to the first cycle whose status tells of it [s]
- safe: from the fault to the last goal that moved a joint the fault makes unsafe, or until a
  joint that pushes against something lets go [s]
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
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.fault_bench import LONGEST_S, Bench
from benchmark.fault_rows import FAULTS, Fault
from kf_imitation.actuators.dynamixel.simulator.faults import apply_fault
from kf_imitation.actuators.dynamixel.units import RAD_PER_TICK
from kf_imitation.head.reports import OK
from kf_imitation.robot import load_robot

WARM_UP_S = 1.5
PERIOD_S = 0.01
FAR_RAD = 0.25  # a way that takes a joint of sim_face about 0.1 s
BEGIN, END = '<!-- fault matrix: begin -->', '<!-- fault matrix: end -->'


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
    holding: int = 0  # servos that nobody told to let go, because there was nobody left

    def faults(self) -> list[str]:
        """Return which promises were broken."""
        broken = []
        if not (self.fault.unheard or self.detected_s <= 0.5):
            broken.append('detected late')
        goes_on = self.fault.tolerated and not self.fault.pushes
        if not (goes_on or self.safe_s <= self.detected_s + 0.2):
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
        bench.wait(lambda: bench.well)  # an alarm from before would pass for this fault's
        bench.wait(lambda: not fault.moving or bench.way(fault.moving) > FAR_RAD)
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
        bench.wait(lambda: not math.isnan(bench.alarm(begin, fault.alarm)), 1.0)
        settled = bench.wait(lambda: time.monotonic() > gone + 0.6 and bench.well, LONGEST_S)
        bad = [t for t, _, status in bench.cycles if t > gone and status.level > OK]
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
    detected = bench.alarm(begin, fault.alarm)
    safe = max(moves, default=0.0)
    if fault.pushes:
        safe = bench.lets_go(fault.pushes, detected) - begin
    return Row(
        fault,
        detected - begin,
        safe,
        back,
        largest_step_deg(bench),
        torque,
        threading.active_count() - threads,
    )


HOST = """
import sys, numpy as np
from kf_imitation.robot import load_robot
from kf_imitation.head.controller import ServoController
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
robot = load_robot('sim_face')
controller = ServoController(robot, DynamixelBus(sys.argv[1], robot.baud), hold_s=60)
controller.start()
controller.set_goal(np.array([j.limits_rad[1] for j in robot.joints]) * 0.9, 1)
print('running', flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Aftermath:
    """What the servos do without a host.

    Attributes:
        tripped_s: until all watchdogs have tripped.
        still_s: until nothing moves any more.
        holding: servos that keep torque on.
        off_deg: largest distance between where a joint came to rest and its last goal, for the
            servos whose watchdog does not stop them; the others stop before it.
        beyond_deg: largest way of any joint beyond its last goal.
    """

    tripped_s: float
    still_s: float
    holding: int
    off_deg: float
    beyond_deg: float


def kill_host(bench: Bench) -> Aftermath:
    """Start a host on the bench, kill it in mid-motion and watch the servos for 2 s."""
    root = str(Path(__file__).resolve().parents[1])
    host = subprocess.Popen(
        [sys.executable, '-c', HOST, bench.port.device],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': root},
    )
    assert host.stdout is not None and host.stdin is not None
    host.stdout.readline()
    bench.wait(lambda: False, 0.15)  # in mid-motion
    host.send_signal(signal.SIGKILL)
    host.wait()
    begin = time.monotonic()
    servos = bench.line.servos
    tripped, still = math.nan, begin
    last = {s.id: s.physics.angle_rad for s in servos}
    from_rad = dict(last)
    while time.monotonic() < begin + 2.0:
        bench.wait(lambda: False, 0.005)
        with bench.port.lock:
            values = [s.registers.get('bus_watchdog') for s in servos]
            now = {s.id: s.physics.angle_rad for s in servos}
        if math.isnan(tripped) and all(value == 255 for value in values):
            tripped = time.monotonic()
        if any(abs(now[i] - last[i]) > RAD_PER_TICK for i in now):
            still = time.monotonic()
        last = now
    goals = {s.id: s.registers.get('goal_position') * RAD_PER_TICK for s in servos}
    off = [abs(last[s.id] - goals[s.id]) for s in servos if not s.model.watchdog_stops]
    # Beyond: past the goal, seen from where the joint was when the host died.
    beyond = [(last[i] - goals[i]) * math.copysign(1.0, goals[i] - from_rad[i]) for i in goals]
    return Aftermath(
        tripped - begin,
        still - begin,
        sum(s.torque for s in servos),
        math.degrees(max(off)),
        math.degrees(max(0.0, *beyond)),
    )


def run_kill() -> tuple[Row, Aftermath]:
    """Kill the host with SIGKILL in mid-motion: only the servos' own watchdog is left."""
    reaction = 'watchdogs trip: servos stop, 330-size ones at their last goal; all hold'
    fault = Fault('host killed (kill -9)', (), (), 0.0, reaction)
    bench = Bench(load_robot('sim_face'))
    with bench.port:
        after = kill_host(bench)
        # A new host takes over without a jump.
        again = time.monotonic()
        bench.controller.start()
        bench.wait(lambda: bench.well)
        back = time.monotonic() - again
        bench.wait(lambda: False, 0.5)
        bench.controller.cycle.exit_policy = 'limp'
        bench.controller.close()
        torque = sum(servo.torque for servo in bench.line.servos)
    step = max(largest_step_deg(bench), after.beyond_deg)
    row = Row(fault, after.tripped_s, after.still_s, back, step, torque, 0, after.holding)
    return row, after


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
        calm = row.fault.unheard and math.isnan(row.detected_s)
        goes_on = row.fault.tolerated and not row.fault.pushes
        lines.append(
            f'| {row.fault.name} | {row.fault.reaction} | '
            f'{"no alarm" if calm else figure(row.detected_s)} | '
            f'{"goes on" if goes_on else figure(row.safe_s)} | '
            f'{figure(row.back_s)} | {row.step_deg:.2f} | {_torque(row)} |'
        )
    return '\n'.join(lines)


def _torque(row: Row) -> str:
    left = str(row.torque_left) if row.torque_left else 'none'
    return f'{row.holding} hold until a host comes; then {left}' if row.holding else left


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
        row, after = run_kill()
        rows.append(row)
        broken += _report(row)
        print(f'  {after}', flush=True)
        if after.off_deg > 0.5 or after.still_s > 0.7:
            broken += 1
            print('  BROKEN: the servos did not end at their last goal')
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
