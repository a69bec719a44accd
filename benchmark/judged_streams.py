"""Random streams of commands and faults through the whole motor loop, judged from its wire.

    python -m benchmark.judged_streams [--streams 1000000] [--progress FILE] [--until HH:MM]
                                       [--jobs 2]
    python -m benchmark.judged_streams --seed N     # one head again, with what was done to it

A head is a random part of sim_face with random speeds, exit and stop, on virtual time, with real
packets to simulated servos. It is given STREAMS_OF_A_HEAD streams in a row: poses, reflexes and
trajectories, valid and not, stops, resets, services, parameters, gaps of the host, faults of line
and servos, writes of another program, hands. After each stream with a fault everything is well
again, and the head must run again. benchmark/judge hears every byte; a finding is a verdict of
it, an exception, a fault in a cycle, or a head that does not come back.

Progress is kept in a file after every 50 heads, and a run goes on where the file ends (--fresh
begins anew). The small run of the tests is test/benchmark/test_judged_streams.py.
"""

import argparse
import dataclasses
import json
import logging
import math
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.judged_rows import turn
from benchmark.trajectories import random_trajectory
from benchmark.virtual_head import VirtualHead, sim_face
from kf_imitation.cli.terminal import write_json
from kf_imitation.errors import KfImitationError
from kf_imitation.head.reports import OFF
from kf_imitation.head.servo_inspection import settled_registers

STREAMS_OF_A_HEAD = 20
BLOCK = 50  # heads between two notes of the progress
EVENTS = 4  # of a stream, at most
MEAN_CYCLES = 8.0  # between two of them
LONGEST_CYCLES = 80
BACK_S = 12.0  # for a head to run again once everything is well
HOLDS_S = (0.4, 3.0, 60.0)
RATES = ('max_velocity_rad_s', 'max_acceleration_rad_s2', 'max_jerk_rad_s3')
FOREIGN = {  # what another program may write, and values
    'operating_mode': (0, 1, 3, 16),
    'position_p_gain': (0, 5, 60, 5000),
    'position_d_gain': (0, 3000),
    'profile_velocity': (3, 200),
    'profile_acceleration': (2, 300),
    'goal_current': (1, 700),
    'goal_position': (0, 1900, 2048, 2200, 4095),
    'goal_velocity': (50,),
    'bus_watchdog': (0, 1, 127),
    'torque_enable': (0,),
    'homing_offset': (200, -900),
    'min_position_limit': (2000,),
    'current_limit': (50,),
}


def random_document(rng: np.random.Generator) -> dict[str, Any]:
    """Return a robot file: some joints of sim_face, faster or slower ones."""
    document = sim_face()
    joints = document['joints']
    first = int(rng.integers(len(joints)))  # neighbours, as these are coupled
    count = int(rng.integers(1, 4))
    names = {joints[(first + k) % len(joints)]['name'] for k in range(count)}
    if rng.random() < 0.3:
        names |= {'jaw', 'mouth_corner_left'}
    document['joints'] = [joint for joint in joints if joint['name'] in names]
    document['coupled_limits'] = [
        limit for limit in document['coupled_limits'] if set(limit['terms']) <= names
    ]
    for key, low in zip(RATES, (-0.7, -0.5, -0.3), strict=True):
        document['joint_defaults'][key] *= float(10.0 ** rng.uniform(low, 0.1))
    document['exit'] = str(rng.choice(['limp', 'hold', 'neutral_limp']))
    document['stop'] = str(rng.choice(['limp', 'limp', 'hold']))
    return document


class Streams:
    """One head and what happens to it.

    Attributes:
        head: on virtual time.
        found: what should not have been, one sentence each.
        commands, refused, cycles: counts.
        story: every event with its time.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.head = VirtualHead(random_document(self._rng), hold_s=60.0, seed=seed)
        self.head.watched = False
        self.found: list[str] = []
        self.story: list[str] = []
        self.commands = self.refused = self.cycles = self.trajectories = 0
        self._stop_told = self._well = False
        self._asked_until_s = 0.0
        self._changed: set[tuple[str, str]] = set()  # EEPROM of a joint's servo

    def run(self, count: int) -> list[str]:
        """Go through some streams; returns what was found."""
        head = self.head
        try:
            self._start()
            for number in range(count):
                self._tell(f'stream {number}')
                self._stream()
                if self.found:
                    break
            else:
                self._close()
        except (KfImitationError, ArithmeticError, LookupError, ValueError, TypeError) as error:
            self.found.append(f'{type(error).__name__}: {error}')
        self.found += map(str, head.judge.end(head.now_s))
        return self.found

    def _stream(self) -> None:
        rng = self._rng
        self._well = True
        names = list(ACTIONS)
        weights = np.array([ACTIONS[name][0] for name in names])
        for _ in range(int(rng.integers(1, EVENTS + 1))):
            name = str(rng.choice(names, p=weights / weights.sum()))
            ACTIONS[name][1](self)
            self._cycles(min(LONGEST_CYCLES, 1 + int(rng.exponential(MEAN_CYCLES))))
        if not self._well:
            self._heal()
        if fault := self.head.controller.cycle.fault:
            self.found.append(f'a fault in a cycle: {fault}')
        self.found += map(str, self.head.judge.verdicts)
        self.head.judge.verdicts.clear()

    def _heal(self) -> None:
        """Mend everything; the head must run again."""
        head = self.head
        self._tell('all is well again')
        self._plug()
        head.fault('normal')
        for index, joint in enumerate(head.robot.joints):
            servo = head.line.servos[index]
            servo.physics.temperature_c = 30.0
            for name in [name for one, name in self._changed if one == joint.name]:
                start = joint.servo.registers[name].initial
                servo.registers.set(name, settled_registers(joint).get(name, start))
        self._changed.clear()
        self._cycles(20)
        head.controller.recover(careful=False)
        self._reset()
        if not head.run(BACK_S, until=lambda: self._is_back()):
            self.found.append(f'does not run again: {head.controller.status().sentence}')

    def _plug(self) -> None:
        self.head.port.plug()
        self.head.judge.told(self.head.now_s, 'plugged')

    def _is_back(self) -> bool:
        self.cycles += 1
        return self.head.controller.cycle.all_running

    def _cycles(self, count: int) -> None:
        head = self.head
        for _ in range(count):
            if head.now_s <= self._asked_until_s:
                head.judge.told(head.now_s, 'goal')
            if head.controller.state == OFF:
                head.sleep(0.01)
            else:
                head.run(0.009)
        self.cycles += count

    def _tell(self, what: str) -> None:
        self.story.append(f'{self.head.now_s:9.3f} s {what}')

    def _start(self) -> None:
        for joint in self.head.robot.joints:
            if not self.story and self._rng.random() < 0.3:
                low, high = joint.limits_rad
                turn(self.head, joint.name, self._rng.uniform(low - 0.2, high + 0.2))
        self._tell('start')
        self.head.start()

    def _close(self) -> None:
        self._tell('close')
        self.head.close()
        self.head.judge.end(self.head.now_s)

    # --- events --------------------------------------------------------------------------------

    def _ask(self, what: str, refused: str, until_s: float = 0.0) -> None:
        """Count a command; what was taken is news for the judge, until it is over."""
        self.commands += 1
        self.refused += bool(refused)
        self._tell(f'{what}: {refused or "taken"}')
        if not refused:
            self.head.judge.told(self.head.now_s, 'goal')
            self._asked_until_s = max(self._asked_until_s, until_s)

    def pose(self) -> None:
        """A pose inside the limits, many at them."""
        rng, joints = self._rng, self.head.robot.joints
        low, high = np.array([joint.limits_rad for joint in joints]).T
        pose = rng.uniform(low, high)
        if rng.random() < 0.5:
            pose = np.where(rng.random(len(pose)) < 0.5, low, high)
        self._ask(f'pose {np.round(pose, 3)}', self.head.pose(pose))

    def nonsense(self) -> None:
        """A pose that no head can take."""
        rng, controller = self._rng, self.head.controller
        pose = rng.normal(0.0, 3.0, len(self.head.robot.joints))
        if rng.random() < 0.5:
            pose[rng.integers(len(pose))] = rng.choice([np.nan, np.inf, -np.inf, 1e300])
        if rng.random() < 0.2:
            pose = np.append(pose, 0.0)
        stamp = int(rng.choice([0, -(10**18), 2**62, 1]))
        self._ask(f'pose {pose} of {stamp}', controller.set_goal(pose, stamp))

    def reflex(self) -> None:
        """Some joints at once, also beyond their limits."""
        rng, joints = self._rng, self.head.robot.joints
        chosen = np.flatnonzero(rng.random(len(joints)) < 0.6)
        low, high = np.array([joint.limits_rad for joint in joints]).T
        pose = rng.uniform(1.1 * low, 1.1 * high)[chosen]
        self._ask('reflex', self.head.controller.set_reflex(chosen, pose, time.time_ns()))

    def trajectory(self) -> None:
        """Poses in time, of every scale, valid and not."""
        names, points, delay_s = random_trajectory(self._rng, self.head.robot)
        refused = self.head.controller.set_trajectory(names, points, delay_s)
        self.trajectories += 1
        until_s = self.head.now_s + delay_s + points[-1].time_s
        self._ask(f'trajectory of {len(points)} points', refused, 0.0 if refused else until_s)

    def stop(self) -> None:
        """A stop, or torque off."""
        limp = self._rng.random() < 0.3
        self._tell('torque off' if limp else 'stop')
        self.head.judge.told(self.head.now_s, 'stop')
        self._stop_told, self._asked_until_s = True, 0.0
        if limp:
            self.head.controller.torque(False)
        else:
            self.head.controller.stop()

    def reset(self) -> None:
        """The end of a stop, or torque on."""
        self._reset()

    def _reset(self) -> None:
        self._tell('reset')
        if self._stop_told:
            self.head.judge.told(self.head.now_s, 'reset')
        self._stop_told = False
        self.head.controller.reset()

    def service(self) -> None:
        """Something else that may be asked for."""
        rng, controller = self._rng, self.head.controller
        name = str(rng.choice(['relax', 'keep_alive', 'reboot', 'recover', 'status', 'order']))
        self._tell(name)
        if name == 'reboot':
            controller.reboot(str(rng.choice(self.head.robot.names)))
        elif name == 'recover':
            controller.recover(bool(rng.random() < 0.5))
        elif name == 'order':
            controller.forget_order()
        else:
            getattr(controller, name)()

    def parameter(self) -> None:
        """A parameter that may change while the node runs."""
        controller = self.head.controller
        self.head.judge.hold_s = controller.hold_s = float(self._rng.choice(HOLDS_S))
        controller.trajectory_most_s = float(self._rng.choice([1.0, 60.0, 600.0]))
        self._tell(f'hold_s {controller.hold_s}, trajectories {controller.trajectory_most_s} s')
        self.head.judge.told(self.head.now_s, 'goal')

    def again(self) -> None:
        """Off and on again, unless a fault is to be told from what follows.

        A joint that was carried beyond a turn would rightly get no torque.
        """
        present = [servo.registers.get('present_position') for servo in self.head.line.servos]
        in_turn = all(0 <= tick <= 4095 for tick in present)
        if self._well and in_turn and self.head.controller.cycle.all_running:
            self._close()
            self._start()

    def gap(self) -> None:
        """The host stands still."""
        seconds = float(10.0 ** self._rng.uniform(-1.7, 0.5))
        self._tell(f'gap of {seconds:.3f} s')
        self._asked_until_s = 0.0
        self.head.sleep(seconds)
        self.head.judge.told(self.head.now_s, 'goal')

    def line_fault(self) -> None:
        """A fault of the line, for some cycles or until the end of the stream."""
        rng, head = self._rng, self.head
        self._well = False
        ratio = f'{10.0 ** rng.uniform(-2, 0):.3f}'
        command = str(
            rng.choice(
                [
                    'silence',
                    'deaf',
                    'nofast',
                    f'noise {ratio}',
                    f'crc {ratio}',
                    f'lose {ratio}',
                    f'slow {rng.choice([0.002, 0.01, 0.04, 0.2])}',
                    'supply 0',
                    f'supply {rng.uniform(2, 14):.1f}',
                    'unplug',
                ]
            )
        )
        self._tell(command)
        head.fault(command)
        if rng.random() < 0.6:
            self._cycles(1 + int(rng.exponential(MEAN_CYCLES)))
            self._tell('line is good again')
            self._plug()
            head.fault('normal')

    def servo_fault(self) -> None:
        """A fault of one servo or what it moves."""
        rng, head = self._rng, self.head
        self._well = False
        id_ = int(rng.choice(head.robot.ids))
        words = str(
            rng.choice(
                [
                    f'dead {id_}',
                    f'block {id_}',
                    f'overload {id_}',
                    f'heat {id_} {rng.uniform(40, 80):.0f}',
                    f'load {id_} {rng.uniform(-0.6, 0.6):.2f}',
                    f'reboot {id_}',
                    f'supply {rng.uniform(2, 14):.1f} {id_}',
                ]
            )
        )
        self._tell(words)
        head.fault(words)

    def foreign(self) -> None:
        """Another program writes to a servo, past the wire that is heard."""
        rng, head = self._rng, self.head
        self._well = False
        index = int(rng.integers(len(head.robot.joints)))
        joint, servo = head.robot.joints[index], head.line.servos[index]
        name = str(rng.choice(list(FOREIGN)))
        value = int(rng.choice(FOREIGN[name]))
        self._tell(f'{joint.name}: {name} = {value} by another program')
        if joint.servo.registers[name].address < joint.servo.registers['torque_enable'].address:
            self._changed.add((joint.name, name))
            servo.registers.set(name, value)
        else:
            register = joint.servo.registers[name]
            servo.write(register.address, value.to_bytes(register.size, 'little', signed=True))

    def hand(self) -> None:
        """Somebody turns a limp joint."""
        index = int(self._rng.integers(len(self.head.robot.joints)))
        joint, servo = self.head.robot.joints[index], self.head.line.servos[index]
        if not servo.registers.get('torque_enable'):
            low, high = joint.limits_rad
            turn(self.head, joint.name, self._rng.uniform(-0.5, 0.5) * (high - low))
            self._tell(f'{joint.name} turned by hand')


ACTIONS: dict[str, tuple[float, Callable[[Streams], None]]] = {
    'pose': (10.0, Streams.pose),
    'nonsense': (2.0, Streams.nonsense),
    'reflex': (3.0, Streams.reflex),
    'trajectory': (6.0, Streams.trajectory),
    'stop': (1.5, Streams.stop),
    'reset': (2.5, Streams.reset),
    'service': (1.5, Streams.service),
    'parameter': (1.0, Streams.parameter),
    'again': (0.3, Streams.again),
    'gap': (1.0, Streams.gap),
    'line fault': (0.7, Streams.line_fault),
    'servo fault': (0.5, Streams.servo_fault),
    'foreign': (0.4, Streams.foreign),
    'hand': (1.0, Streams.hand),
}


@dataclasses.dataclass
class Progress:
    """What was done so far; a later run goes on with it.

    Attributes:
        heads: seeds 0 to heads - 1 are done.
        streams, cycles, commands, refused, trajectories: counts.
        processor_s: time spent.
        found: seed and what was found there.
    """

    heads: int = 0
    streams: int = 0
    cycles: int = 0
    commands: int = 0
    refused: int = 0
    trajectories: int = 0
    processor_s: float = 0.0
    found: list[tuple[int, str]] = dataclasses.field(default_factory=list)

    @classmethod
    def of_head(cls, seed: int) -> 'Progress':
        """Run one head."""
        begin, one = time.process_time(), Streams(seed)
        logging.getLogger('kf_imitation').setLevel(logging.CRITICAL)
        found = [(seed, sentence) for sentence in one.run(STREAMS_OF_A_HEAD)]
        counts = one.cycles, one.commands, one.refused, one.trajectories
        return cls(1, STREAMS_OF_A_HEAD, *counts, time.process_time() - begin, found)

    def add(self, more: 'Progress') -> None:
        """Add what was done elsewhere."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(more, field.name))

    def __str__(self) -> str:
        return (
            f'{self.streams} streams on {self.heads} heads, {self.commands} commands '
            f'({self.refused} refused, {self.trajectories} trajectories), {self.cycles} cycles, '
            f'{len(self.found)} findings, {self.streams / max(self.processor_s, 1e-9):.1f} '
            'streams per processor second'
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the streams; exit code 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--streams', type=int, default=1_000_000, help='in all')
    parser.add_argument('--progress', type=Path, default=Path('judged_streams.json'))
    parser.add_argument('--fresh', action='store_true', help='begin anew')
    parser.add_argument('--until', default='', help='time of the day to end at, HH:MM')
    parser.add_argument('--jobs', type=int, default=1, help='heads at the same time')
    parser.add_argument('--seed', type=int, help='one head alone, with what was done to it')
    args = parser.parse_args(arguments)
    if args.seed is not None:
        one = Streams(args.seed)
        found = one.run(STREAMS_OF_A_HEAD)
        print('\n'.join([*one.story, *found]))
        return 1 if found else 0
    progress = Progress()
    if args.progress.is_file() and not args.fresh:
        progress = Progress(**json.loads(args.progress.read_text(encoding='utf-8')))
    with ProcessPoolExecutor(args.jobs) as pool:
        while progress.streams < args.streams:
            most = min(BLOCK, math.ceil((args.streams - progress.streams) / STREAMS_OF_A_HEAD))
            seeds = range(progress.heads, progress.heads + most)
            for head in pool.map(Progress.of_head, seeds):
                for seed, sentence in head.found:
                    print(f'seed {seed}: {sentence}', flush=True)
                progress.add(head)
            write_json(dataclasses.asdict(progress), args.progress)
            print(progress, flush=True)
            if args.until and f'{datetime.now():%H:%M}' >= args.until:
                break
    return 1 if progress.found else 0


if __name__ == '__main__':
    sys.exit(main())
