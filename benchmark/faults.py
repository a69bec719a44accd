"""The fault matrix: every fault on the simulated bus, what the head did, and what the judge says.

    python -m benchmark.faults [--only WORDS] [--markdown docs/safety.md]

Each row is a fresh head (sim_face, real packets, 100 Hz) that follows random goals when the fault
comes. Most run on virtual time, where a busy machine changes nothing; those that need a process
or a port of the operating system run in real time over a pseudo-terminal, and say so when the
machine itself was late. The judge (benchmark/judge) hears the wire of every row. Figures:

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

from benchmark import judged_rows
from benchmark.fault_bench import LONGEST_S, RealHead
from benchmark.fault_rows import FAULTS, Fault
from benchmark.judge.judge import Verdict
from benchmark.marked_table import replace_table
from benchmark.virtual_head import VirtualHead
from kf_imitation.actuators.dynamixel.simulator.servo import WriteRecord
from kf_imitation.actuators.dynamixel.units import RAD_PER_TICK
from kf_imitation.errors import BusError
from kf_imitation.robot import JointConfig, load_robot

WARM_UP_S = 1.5
PERIOD_S = 0.01
FAR_RAD = 0.25  # a way that takes a joint of sim_face about 0.1 s
# Rows that run in real time as well.
IN_REAL_TIME = ('USB adapter unplugged', 'replies 60 ms late', 'one servo restarts')
REAL = ' (real time)'
# What a late machine alone can make the judge see: it also stamps late what it hears.
OF_TIME = {'rate', 'stop', 'unasked', 'heat', 'lost', 'force', 'following', 'blind', 'hand-over'}
OF_TIME |= {'velocity', 'acceleration', 'jerk'}


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
    verdicts: tuple[Verdict, ...] = ()
    failure: str = ''  # why the head did not start
    late_s: float = 0.0  # by which the machine was too late to judge times

    def faults(self) -> list[str]:
        """Return which promises were broken, and what the judge says."""
        broken = [str(verdict) for verdict in self.verdicts]
        if self.failure:
            return [self.failure]
        if not (self.fault.unheard or self.detected_s <= 0.5):
            broken.append('detected late')
        goes_on = self.fault.tolerated and not self.fault.pushes
        if not (goes_on or self.safe_s <= self.detected_s + 0.2):
            broken.append('safe late')
        if not self.back_s <= self.fault.back_s:
            broken.append('back late')
        if not self.step_deg < 0.5:
            broken.append('step')
        if self.torque_left or self.threads_left:
            broken.append('something left behind')
        return broken


def largest_step_deg(joints: tuple[JointConfig, ...], writes: list[WriteRecord]) -> float:
    """Return the largest step of a goal beyond planned motion, from what the servos received."""
    worst = 0.0
    for joint in joints:
        planned = joint.max_velocity_rad_s * PERIOD_S + RAD_PER_TICK
        goal, torque = 0, False
        for record in writes:
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


def run(fault: Fault, in_real_time: bool = False) -> Row:
    """Let one fault happen to a fresh head."""
    threads = threading.active_count()
    if not in_real_time:
        head = VirtualHead()
        head.goal_cycles = fault.goal_cycles
        return _row(fault, head, threads)
    robot = replace(load_robot('sim_face'), exit='limp')
    with RealHead(robot, fault.goal_cycles) as real:
        fault = replace(fault, name=fault.name + REAL)
        try:
            row = _row(fault, real, threads + 3)
        except BusError as error:  # a busy machine does not get through the setup
            row = Row(fault, math.nan, math.nan, math.nan, 0.0, 0, 0, failure=str(error))
        late_s = real.lateness.worst_s if real.lateness.too_busy else 0.0
    return replace(row, late_s=late_s)


def _row(fault: Fault, head: VirtualHead | RealHead, threads: int) -> Row:
    joints = head.robot.joints
    head.start()
    head.run(WARM_UP_S)
    head.run(LONGEST_S, until=lambda: head.well)  # an alarm from before would pass for its own
    head.run(LONGEST_S, until=lambda: not fault.moving or head.way(fault.moving) > FAR_RAD)
    begin = head.now_s
    sim_begin = head.line.servos[0].time_s
    for command in fault.start:
        head.fault(command)
    head.run(fault.last_s)
    gone = head.now_s
    for command in fault.end:
        head.fault(command)
    if fault.reboot:
        head.controller.reboot(fault.reboot)
    ids = [j.id for j in joints if j.name in fault.affected or not fault.affected]
    head.run(1.0, until=lambda: not math.isnan(head.alarm(begin, fault.alarm)))
    settled = head.run(LONGEST_S, until=lambda: head.now_s > gone + 0.6 and head.well)
    back = head.last_alarm(gone) - gone if settled else math.inf
    head.run(0.5)
    head.close()
    with head.port.lock:
        torque = sum(servo.torque for servo in head.line.servos)
    moves = [
        r.time_s - sim_begin
        for r in head.writes
        if r.register == 'goal_position'
        and r.id in ids
        and 0 < r.time_s - sim_begin < gone - begin
    ]
    detected = head.alarm(begin, fault.alarm)
    safe = max(moves, default=0.0)
    if fault.pushes:
        safe = head.lets_go(fault.pushes, detected) - begin
    return Row(
        fault,
        detected - begin,
        safe,
        back,
        largest_step_deg(joints, head.writes),
        torque,
        threading.active_count() - threads,
        verdicts=tuple(head.judge.end(head.now_s)),
    )


HOST = """
import sys, numpy as np
from kf_imitation.errors import BusError
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


def kill_host(head: RealHead) -> Aftermath:
    """Start a host on the bus, kill it in mid-motion and watch the servos for 2 s."""
    root = str(Path(__file__).resolve().parents[1])
    head.told('start')
    head.told('goal')
    host = subprocess.Popen(
        [sys.executable, '-c', HOST, head.tap.device],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': root},
    )
    assert host.stdout is not None and host.stdin is not None
    host.stdout.readline()
    head.run(0.15)  # in mid-motion
    host.send_signal(signal.SIGKILL)
    host.wait()
    begin = time.monotonic()
    servos = head.line.servos
    tripped, still = math.nan, begin
    last = {s.id: s.physics.angle_rad for s in servos}
    from_rad = dict(last)
    while time.monotonic() < begin + 2.0:
        head.run(0.005)
        with head.port.lock:
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
    fault = Fault('host killed (kill -9)' + REAL, (), (), 0.0, reaction)
    with RealHead(replace(load_robot('sim_face'), exit='limp')) as head:
        after = kill_host(head)
        # A new host takes over without a jump.
        again = time.monotonic()
        head.start()
        head.run(LONGEST_S, until=lambda: head.well)
        back = time.monotonic() - again
        head.run(0.5)
        head.close()
        torque = sum(servo.torque for servo in head.line.servos)
        verdicts = tuple(head.judge.end(time.monotonic()))
    step = max(largest_step_deg(head.robot.joints, head.writes), after.beyond_deg)
    late_s = head.lateness.worst_s if head.lateness.too_busy else 0.0
    row = Row(
        fault,
        after.tripped_s,
        after.still_s,
        back,
        step,
        torque,
        0,
        after.holding,
        verdicts,
        late_s=late_s,
    )
    return row, after


def table(rows: list[Row]) -> str:
    """Return the Markdown table."""

    def figure(value: float) -> str:
        return '–' if math.isnan(value) else f'{value:.2f}'

    lines = [
        '| fault | what the head does | detected [s] | last goal [s] | back [s] | '
        'largest unplanned step [deg] | torque left | judge |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for row in rows:
        calm = row.fault.unheard and math.isnan(row.detected_s)
        goes_on = row.fault.tolerated and not row.fault.pushes
        lines.append(
            f'| {row.fault.name} | {row.fault.reaction} | '
            f'{"no alarm" if calm else figure(row.detected_s)} | '
            f'{"goes on" if goes_on else figure(row.safe_s)} | '
            f'{figure(row.back_s)} | {row.step_deg:.2f} | {_torque(row)} | {_said(row)} |'
        )
    return '\n'.join(lines)


def judged_table(found: dict[str, list[str]]) -> str:
    """Return the Markdown table of the situations."""
    lines = ['| situation | judge |', '|---|---|']
    lines += [f'| {name} | {"; ".join(said) or "good"} |' for name, said in found.items()]
    return '\n'.join(lines)


def _excused(row: Row) -> bool:
    """Whether the machine was late and nothing but times is wrong."""
    return bool(row.late_s) and all(v.kind in OF_TIME for v in row.verdicts)


def _said(row: Row) -> str:
    if row.faults() and _excused(row):
        return f'machine too busy ({1000 * row.late_s:.0f} ms late)'
    kinds = {f'{verdict.joint} {verdict.kind}' for verdict in row.verdicts}
    return ', '.join(sorted(kinds)) or 'good'


def _torque(row: Row) -> str:
    left = str(row.torque_left) if row.torque_left else 'none'
    return f'{row.holding} hold until a host comes; then {left}' if row.holding else left


def main() -> int:
    """Run all rows; exit code 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', default='', help='rows whose name contains this')
    parser.add_argument('--markdown', type=Path, help='file whose marked tables are replaced')
    args = parser.parse_args()
    rows: list[Row] = []
    broken = 0
    for fault in FAULTS:
        for in_real_time in (False, True)[: 1 + (fault.name in IN_REAL_TIME)]:
            if args.only in fault.name + (REAL if in_real_time else ''):
                rows.append(run(fault, in_real_time))
                broken += _report(rows[-1])
    if args.only in 'host killed' + REAL:
        row, after = run_kill()
        rows.append(row)
        broken += _report(row)
        print(f'  {after}', flush=True)
        if (after.off_deg > 0.5 or after.still_s > 0.7) and not row.late_s:
            broken += 1
            print('  BROKEN: the servos did not end at their last goal')
    found: dict[str, list[str]] = {}
    for name, situation in judged_rows.ROWS.items():
        if args.only in name:
            verdicts, failure = judged_rows.judge(situation)
            found[name] = [*map(str, verdicts), *([failure] if failure else [])]
            broken += bool(found[name])
            print(f'{name:50} {"; ".join(found[name]) or "good"}', flush=True)
    if args.markdown and not args.only:
        replace_table(args.markdown, 'fault matrix', table(rows))
        replace_table(args.markdown, 'situations', judged_table(found))
    return 1 if broken else 0


def _report(row: Row) -> bool:
    """Print a row; returns whether a promise is broken that a busy machine does not explain."""
    faults = row.faults()
    verdict = f'  BROKEN: {"; ".join(faults)}' if faults else ''
    if faults and _excused(row):
        verdict = f'  NOT JUDGED, the machine was {1000 * row.late_s:.0f} ms late{verdict.lower()}'
    print(
        f'{row.fault.name:40} detected {row.detected_s:5.2f} s, last goal {row.safe_s:5.2f} s, '
        f'back {row.back_s:5.2f} s, step {row.step_deg:5.2f} deg, torque {row.torque_left} '
        f'{verdict}',
        flush=True,
    )
    return bool(faults) and not _excused(row)


if __name__ == '__main__':
    sys.exit(main())
