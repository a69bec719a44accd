"""What watchers of the cockpit cost a run: frames, latency, jitter of the bus, processor time.

    python -m benchmark.cockpit [--watchers 0 1 4] [--source media/demo.mp4] [--bag] [--avatar]
        [--params FILE] [--json FILE]

Plays the source at its own pace once per number of watchers, with the real models and simulated
servos, as `kf_imitation mimic` does. Watchers take everything that the page asks for, in a
process of their own; they draw nothing, so a browser comes on top. Needs an idle machine, except
for the processor time of each process, which the system counts. One core stands for a slower
machine: `taskset -c 0 .venv/bin/python -m benchmark.cockpit`.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from benchmark.idle_simulator import processor_s
from benchmark.load import family
from kf_imitation.cli.mimic_progress import bus_figures, collect, watch
from kf_imitation.cli.terminal import write_json
from kf_imitation.cockpit.process import CockpitProcess
from kf_imitation.nodes.composition import Composition
from kf_imitation.ros_graph.environment import apply_defaults, quiet_logging
from kf_imitation.ros_graph.nodes import RunOptions, build_graph

COMMAND = 'capture to command'
# Process of a running head -> the module in its command line.
PARTS = {
    'motor': 'kf_imitation.head.motor_process',
    'servos': 'kf_imitation.head.simulator_process',
}
ROWS = (
    ('frames in', 'frames_in'),
    ('received', 'received'),
    ('scored', 'scored'),
    ('keyframes', 'keyframes'),
    ('capture to command p50 [ms]', 'command_p50_ms'),
    ('capture to command p99 [ms]', 'command_p99_ms'),
    ('bus jitter p99 [ms]', 'jitter_p99_ms'),
    ('the process that sees [% of a core]', 'mimic_percent'),
    ('motor process [% of a core]', 'motor_percent'),
    ('simulated servos [% of a core]', 'servos_percent'),
    ('cockpit [% of a core]', 'cockpit_percent'),
    ('messages per watcher and second', 'messages_hz'),
    ('MB per watcher and second', 'megabytes_s'),
)


def run(options: RunOptions, watchers: int, bag: bool = False) -> dict[str, Any]:
    """Play a source once and return its figures by the names in ROWS, and which model scored.

    Args:
        options: of the run; the page is served in any case.
        watchers: of the page.
        bag: record it.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        record = f'{folder}/bag' if bag else ''
        graph = build_graph(replace(options, cockpit=True, record=record))
        cockpit = stack.enter_context(
            CockpitProcess(graph.node('cockpit').parameters, '', options.params)
        )
        watch_it = ['--watch', cockpit.url, str(watchers)]
        command = [sys.executable, '-m', 'benchmark.cockpit', *watch_it]
        watching = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with Composition(graph) as composition:
            processes = {'mimic': os.getpid(), 'cockpit': cockpit.pid, **parts()}
            before_s, begun_s = spent_s(processes), time.monotonic()
            elapsed_s = watch(composition, Event())
            after_s, lasted_s = spent_s(processes), time.monotonic() - begun_s
            bus = bus_figures(composition)
        taken = json.loads(watching.communicate('end\n')[0])
    figures = collect(composition, elapsed_s, realtime=True, bus=bus)
    command_times = figures.times.get(COMMAND)
    count = max(watchers, 1)
    return {
        'watchers': watchers,
        'frames_in': figures.frames_in,
        'received': figures.received,
        'scored': figures.scored,
        'keyframes': figures.keyframes,
        'models': dict(figures.models),
        'command_p50_ms': command_times.p50_ms if command_times else None,
        'command_p99_ms': command_times.p99_ms if command_times else None,
        'jitter_p99_ms': bus.jitter_p99_ms if bus else None,
        **{
            f'{name}_percent': 100 * (after_s[name] - before_s[name]) / lasted_s
            for name in processes
        },
        'messages_hz': taken['messages'] / count / lasted_s,
        'megabytes_s': taken['bytes'] / count / lasted_s / 1e6,
    }


def parts() -> dict[str, int]:
    """Return the processes of the head that this one runs, by the names in PARTS."""
    found = {}
    for pid in family(os.getpid()):
        line = Path(f'/proc/{pid}/cmdline').read_text(encoding='utf-8').split('\0')
        found.update({name: pid for name, module in PARTS.items() if module in line})
    return found


def spent_s(processes: Mapping[str, int]) -> dict[str, float]:
    """Return the processor time of processes so far [s]."""
    return {name: processor_s(pid) for name, pid in processes.items()}


async def _watch(url: str, count: int) -> dict[str, int]:
    """Watch until a line comes in; return how much came."""
    taken = {'messages': 0, 'bytes': 0}
    place = urlsplit(url)
    headers = {'Origin': f'{place.scheme}://{place.netloc}'}

    async def take(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f'{url}states', headers=headers, max_msg_size=0) as socket:
            async for message in socket:
                taken['messages'] += 1
                taken['bytes'] += len(message.data)

    async with aiohttp.ClientSession() as session:
        tasks = [asyncio.ensure_future(take(session)) for _ in range(count)]
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return taken


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--watchers', type=int, nargs='+', default=[0, 1, 4])
    parser.add_argument('--source', default='')
    parser.add_argument('--bag', action='store_true', help='record one meanwhile')
    parser.add_argument(
        '--avatar', action='store_true', help='with the avatar node, which nobody looks at'
    )
    parser.add_argument('--params', default='', help='parameter file, for example with a model')
    parser.add_argument('--json', type=Path)
    parser.add_argument('--watch', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.watch:
        print(json.dumps(asyncio.run(_watch(args.watch[0], int(args.watch[1])))))
        return
    quiet_logging()
    apply_defaults()
    options = RunOptions(source=args.source, avatar=args.avatar, params=args.params)
    found = [run(options, count, args.bag) for count in args.watchers]
    print('| watchers | ' + ' | '.join(str(row['watchers']) for row in found) + ' |')
    print('|---' * (len(found) + 1) + '|')
    for title, name in ROWS:
        cells = ['–' if row[name] is None else f'{row[name]:.4g}' for row in found]
        print(f'| {title} | ' + ' | '.join(cells) + ' |')
    models = ('; '.join(f'{m} {n}' for m, n in row['models'].items()) for row in found)
    print('| scored by | ' + ' | '.join(models) + ' |')
    write_json(found, args.json)


if __name__ == '__main__':
    main()
