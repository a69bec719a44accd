"""`servo selftest`: measure how each joint moves and yields, at low current.

With --write the figures go into the robot file, for the pose budget (head/pose_pacer.py) and for
the supervision (motion/following.py).
"""

import argparse
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.cli.progress import progress
from kf_imitation.cli.servo_tools.connection import Head, running_head
from kf_imitation.cli.terminal import teller, write_json
from kf_imitation.errors import BusError, ConfigError, nearest
from kf_imitation.head.reports import ServoCycle
from kf_imitation.robot import Measured, load_robot

Array = NDArray[np.float64]
CURRENT_SHARE = 0.6
LONGEST_DELAY_S = 0.3
ARRIVED_RAD = 0.1  # further away at rest is no backlash: something is in the way
LEAST_LOAD_A = 0.03  # below it friction decides how far a joint stays back
SHARE_OF_RANGE = 0.8  # of the way from neutral to each limit


def run(args: argparse.Namespace) -> int:
    """Move one joint after the other and print what was measured.

    Raises:
        ConfigError: no such joint, or nobody said --yes; before anything moves.
        BusError: a joint does not get there.
    """
    robot = load_robot(args.robot)
    chosen = args.joint or list(robot.names)
    if unknown := [name for name in chosen if name not in robot.names]:
        raise ConfigError(
            'servo selftest',
            [f'{name} is not a joint{nearest(name, robot.names)}' for name in unknown],
        )
    if not args.yes:
        rule = f'moves {", ".join(chosen)} one by one: keep clear and add --yes'
        raise ConfigError('servo selftest', [rule])
    path = Path(robot.source)
    if args.write:  # what keeps the figures from being written is reported before anything moves
        with_measured(path.read_text(encoding='utf-8'), dict.fromkeys(chosen, Measured()))
    results: dict[str, Measured] = {}
    tell = teller(args.json)
    with (
        running_head(args, current_fraction=CURRENT_SHARE) as head,
        progress('selftest', len(chosen), 'joints', args.quiet) as bar,
    ):
        for number, name in enumerate(chosen, 1):
            bar.reach(number - 1, name)
            results[name] = measure(head, name)
            tell(f'{number}/{len(chosen)} {name}: {sentence(results[name])}')
    write_json({name: asdict(measured) for name, measured in results.items()}, args.json)
    if args.write:
        write_measured(path, results)
        print(f'written to {path}')
    return 0


def write_measured(path: Path, results: dict[str, Measured]) -> None:
    """Write figures into a robot file, whole and only if it can be read again."""
    draft = path.with_suffix('.new.yaml')
    try:
        text = with_measured(path.read_text(encoding='utf-8'), results)
        draft.write_text(text, encoding='utf-8')
        load_robot(str(draft))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def measure(head: Head, name: str) -> Measured:
    """Move one joint from end to end and back; returns what its servo did.

    Raises:
        BusError: it does not get there; nothing is written then.
    """
    index = head.robot.names.index(name)
    joint = head.robot.joints[index]
    low, high = (
        joint.neutral_rad + SHARE_OF_RANGE * (limit - joint.neutral_rad)
        for limit in joint.limits_rad
    )

    at_rest: list[ServoCycle] = []

    def go(goal: float) -> float:
        arrived = head.go({name: goal})
        present = _present(head, index)
        if not arrived or abs(present - goal) > ARRIVED_RAD:
            why = head.controller.status().sentence
            raise BusError(f'{name} is at {present:+.3f} rad instead of {goal:+.3f}: {why}')
        at_rest.extend(head.cycles[-5:])
        return present

    at_low = go(low)
    begin = len(head.cycles)
    at_high = go(high)
    from_above = go(joint.neutral_rad)
    go(low)
    from_below = go(joint.neutral_rad)
    moved = [cycle for cycle in head.cycles[begin:] if cycle.fresh]
    return Measured(
        speed_rad_s=round(top_speed(moved, index), 3),
        delay_s=round(tracking_delay(moved, index), 3),
        backlash_rad=round(abs(from_above - from_below), 4),
        range_rad=(round(at_low, 3), round(at_high, 3)),
        yield_rad_a=yielding(at_rest, index),
    )


def yielding(cycles: list[ServoCycle], index: int) -> float | None:
    """Return how far a joint at rest stays back per A that it holds [rad/A]; None without load."""
    held = np.array([cycle.current_a[index] for cycle in cycles])
    back = np.array([cycle.commanded_rad[index] - cycle.present_rad[index] for cycle in cycles])
    loaded = np.abs(held) >= LEAST_LOAD_A
    if not loaded.any():
        return None
    fitted = float(held[loaded] @ back[loaded] / (held[loaded] @ held[loaded]))
    return round(max(0.0, fitted), 3)


def top_speed(cycles: list[ServoCycle], index: int) -> float:
    """Return the speed that was kept for at least a few cycles [rad/s]."""
    speeds = np.sort(np.abs([cycle.velocity_rad_s[index] for cycle in cycles]))
    return float(speeds[-5]) if len(speeds) >= 5 else 0.0


def tracking_delay(cycles: list[ServoCycle], index: int) -> float:
    """Return the delay of present behind commanded that fits best [s]."""
    times = np.array([cycle.stamp_ns for cycle in cycles]) * 1e-9
    commanded = np.array([cycle.commanded_rad[index] for cycle in cycles])
    present = np.array([cycle.present_rad[index] for cycle in cycles])
    delays = np.arange(0.0, LONGEST_DELAY_S, 0.001)
    errors = [
        float(np.mean((present - np.interp(times - delay, times, commanded)) ** 2))
        for delay in delays
    ]
    return float(delays[int(np.argmin(errors))])


def sentence(measured: Measured) -> str:
    """Return the figures for people."""
    low, high = measured.range_rad or (float('nan'), float('nan'))
    load = '' if measured.yield_rad_a is None else f', yields {measured.yield_rad_a:.3f} rad/A'
    return (
        f'{measured.speed_rad_s:.2f} rad/s, delay {measured.delay_s:.3f} s, '
        f'backlash {measured.backlash_rad:.4f} rad, range [{low:+.3f}, {high:+.3f}] rad{load}'
    )


def with_measured(text: str, results: dict[str, Measured]) -> str:
    """Return the text of a robot file with `measured` lines; everything else stays.

    Raises:
        ConfigError: a joint's entry does not begin with `- name: NAME` on a line of its own.
    """
    lines = text.splitlines()
    for name, measured in results.items():
        pattern = re.compile(rf'^(\s*)- name:\s*{re.escape(name)}\s*(#.*)?$')
        start = next((i for i, line in enumerate(lines) if pattern.match(line)), None)
        if start is None:
            raise ConfigError(
                'servo selftest', [f'{name}: write `- name: {name}` on a line of its own']
            )
        indent = ' ' * (len(lines[start]) - len(lines[start].lstrip()) + 2)
        end = start + 1
        while end < len(lines) and lines[end].startswith(indent):
            if lines[end].lstrip().startswith('measured:'):
                del lines[end]
            else:
                end += 1
        low, high = measured.range_rad or (0.0, 0.0)
        load = measured.yield_rad_a
        lines.insert(
            end,
            f'{indent}measured: {{speed_rad_s: {measured.speed_rad_s}, '
            f'delay_s: {measured.delay_s}, backlash_rad: {measured.backlash_rad}, '
            f'range_rad: [{low}, {high}]{"" if load is None else f", yield_rad_a: {load}"}}}',
        )
    return '\n'.join(lines) + '\n'


def _present(head: Head, index: int) -> float:
    return float(np.mean([cycle.present_rad[index] for cycle in head.cycles[-5:]]))
