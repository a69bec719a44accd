"""The whole head under load: drift of latency, growth of memory, overruns; is a frame ever late.

    python -m benchmark.load [--minutes 10] [--servos 25] [--params FILE] [--json FILE]
    python -m benchmark.load --bound [--seconds 20] [--params FILE] [--json FILE]

The first plays the demo clip at 30 frames a second in a loop through `kf_imitation mimic`, with a
page open (all that it asks for is taken, nothing is drawn), a bag recorded and many simulated
servos on one bus. The second plays sources that a machine may be too slow for, beside programs
that keep the cores busy, and shows that lateness stays bounded. Latency is from the capture of a
keyframe to the arrival of its channels at the recorder. The first needs an idle machine.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from benchmark.bus import memory_mb, robot_with
from benchmark.runs import COMMAND, machine, short_clip
from kf_imitation.bags.reader import header_stamp_ns, read_topic, topics
from kf_imitation.cli.terminal import write_json
from kf_imitation.paths import share_path

LATENCY, EVERY_FRAME = 'face/expression', 'face/region'
SAMPLE_S = 2.0  # between two looks at the memory
START_S = 120.0  # for the head to send its first frames, on one core too
END_S = 240.0  # for the head to come to rest and the bag to be closed
# Source and company of a row of --bound: frame rate, width [px], words before the command,
# programs that do nothing but calculate.
BOUND_ROWS: dict[str, tuple[float, int, tuple[str, ...], int]] = {
    '30 fps': (30.0, 0, (), 0),
    '60 fps': (60.0, 0, (), 0),
    '4K, 30 fps': (30.0, 3840, (), 0),
    'one core': (30.0, 0, ('taskset', '-c', '0'), 0),
    'all cores busy': (30.0, 0, (), os.cpu_count() or 1),
}


@dataclass(frozen=True)
class Load:
    """What a run did.

    Attributes:
        frames_per_s: that were scored, or looked at for a face.
        p50_ms, p99_ms, worst_ms: capture to channels.
        drift_ms: median of the last third less that of the first.
        growth_mb: memory of all processes, median of the last third less that of the middle one.
        overruns: of the bus.
        skipped: frames and keyframes that were too old, by stage.
        models: frames by score model.
    """

    frames_per_s: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    drift_ms: float
    growth_mb: float
    overruns: int
    skipped: dict[str, int]
    models: dict[str, int]


def thirds(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the medians of the first, the middle and the last third; NaN of nothing."""
    parts = np.array_split(np.asarray(values, np.float64), 3)
    first, middle, last = (float(np.median(part)) if part.size else np.nan for part in parts)
    return first, middle, last


def arrivals(bag: Path, topic: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when the messages of a topic arrived, and their stamps [ns]; none without topic."""
    found = list(read_topic(bag, topic)) if f'/{topic}' in topics(bag) else []
    at_ns = np.array([at for at, _ in found], np.int64)
    return at_ns, np.array([header_stamp_ns(message) for _, message in found], np.int64)


def read_table(table: str) -> tuple[int, dict[str, int], dict[str, int]]:
    """Return overruns, skipped and models of what `mimic` prints at its end."""
    overruns = re.search(r'(\d+) overruns', table)
    skipped = re.findall(r'skipped at (\w+)\W+(\d+) frame', table)
    models = re.findall(r' by (\w+)\W+(\d+)', table)
    return (
        int(overruns[1]) if overruns else 0,
        {stage: int(count) for stage, count in skipped},
        {model: int(count) for model, count in models},
    )


def family(pid: int) -> list[int]:
    """Return a process and all that it started, directly or not."""
    found = [pid]
    for parent in found:
        for task in Path(f'/proc/{parent}/task').glob('*/children'):
            found += map(int, task.read_text().split())
    return found


def run(
    clip: Path,
    seconds: float,
    options: Sequence[str] = (),
    before: Sequence[str] = (),
    page: bool = False,
) -> Load:
    """Play a clip in a loop through `mimic` for a while.

    Args:
        clip: to play.
        seconds: how long, from the first frame on.
        options: of `mimic`.
        before: words before the command.
        page: open the cockpit's page.

    Raises:
        SystemExit: the head did not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = stack.enter_context((folder / 'log').open('w+'))
        words = ['mimic', '--source', str(clip), '--port', 'simulated', *options]
        words += ['--record', str(folder / 'bag'), *([] if page else ['--no-cockpit'])]
        head = stack.enter_context(
            subprocess.Popen(
                [*before, *COMMAND, *words], stdout=subprocess.PIPE, stderr=log, text=True
            )
        )

        def wait_for(pattern: str) -> str:
            """Return what the head said, once it did."""
            end = monotonic() + START_S
            while monotonic() < end and head.poll() is None:
                if found := re.search(pattern, (folder / 'log').read_text()):
                    return found[0]
                head_waits()
            head.kill()
            raise SystemExit((folder / 'log').read_text())

        def head_waits() -> bool:
            try:
                head.wait(SAMPLE_S)
            except subprocess.TimeoutExpired:
                return True
            return False

        watcher = None
        if page:
            command = [sys.executable, '-m', 'benchmark.cockpit', '--watch']
            watcher = stack.enter_context(
                subprocess.Popen(
                    [*command, wait_for(r'http://\S+'), '1'],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    text=True,
                )
            )
        wait_for(r'[1-9]\d* frames · ')
        memory: list[float] = []
        end = monotonic() + seconds
        while monotonic() < end and head_waits():
            memory.append(sum(memory_mb(pid) for pid in family(head.pid)))
        head.send_signal(signal.SIGINT)
        table, _ = head.communicate(timeout=END_S)
        if watcher is not None:
            watcher.communicate('end\n')
        at_ns, stamps_ns = arrivals(folder / 'bag', LATENCY)
        late = (at_ns - stamps_ns) * 1e-6
        frames, _ = arrivals(folder / 'bag', EVERY_FRAME)
        overruns, skipped, models = read_table(table)
        first, _, last = thirds(list(late))
        _, middle_mb, last_mb = thirds(memory)
        p50, p99, worst = np.percentile(late, (50, 99, 100)) if late.size else [np.nan] * 3
        return Load(
            len(frames) / seconds,
            float(p50),
            float(p99),
            float(worst),
            last - first,
            last_mb - middle_mb,
            overruns,
            skipped,
            models,
        )


def long_run(minutes: float, servos: int, params: str, folder: Path) -> dict[str, Load]:
    """The load test: page, bag, many servos."""
    options = ['--robot', robot_with(servos, 1, folder).source, '--params', params]
    clip = share_path('media/demo.mp4')
    return {f'{minutes:g} minutes, {servos} servos': run(clip, 60 * minutes, options, page=True)}


def bound(seconds: float, params: str, folder: Path) -> dict[str, Load]:
    """Sources and company that a machine may be too slow for."""
    found = {}
    for name, (fps, width, before, burners) in BOUND_ROWS.items():
        with ExitStack() as stack:
            for _ in range(burners):
                burner = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
                stack.callback(burner.wait)
                stack.callback(burner.kill)
            clip = short_clip(folder, fps, width)
            found[name] = run(clip, seconds, ['--params', params], before)
    return found


def parameter_file(folder: Path, given: Path | None) -> str:
    """Write the user's parameters with a source that goes on; return the file."""
    text = given.read_text(encoding='utf-8') if given else ''
    path = folder / 'params.yaml'
    path.write_text(f'{text}\n/**/camera: {{ros__parameters: {{loop: true}}}}\n')
    return str(path)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=10.0)
    parser.add_argument('--servos', type=int, default=25)
    parser.add_argument('--bound', action='store_true', help='the rows of the bound instead')
    parser.add_argument('--seconds', type=float, default=20.0, help='of each row of --bound')
    parser.add_argument('--params', type=Path, help='parameter file, for example with a model')
    parser.add_argument('--json', type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        params = parameter_file(folder, args.params)
        if args.bound:
            found = bound(args.seconds, params, folder)
        else:
            found = long_run(args.minutes, args.servos, params, folder)
    about = machine()
    print(' · '.join(f'{key} {value}' for key, value in about.items()))
    print('| | frames/s | p50 / p99 / most [ms] | drift [ms] | growth [MB] | overruns | skipped |')
    print('|---|---|---|---|---|---|---|')
    for name, load in found.items():
        times = f'{load.p50_ms:.0f} / {load.p99_ms:.0f} / {load.worst_ms:.0f}'
        skipped = ', '.join(f'{count} at {stage}' for stage, count in load.skipped.items()) or '0'
        print(
            f'| {name} | {load.frames_per_s:.1f} | {times} | {load.drift_ms:+.0f} '
            f'| {load.growth_mb:+.1f} | {load.overruns} | {skipped} |'
        )
    document = {'machine': about, 'rows': {name: asdict(load) for name, load in found.items()}}
    write_json(document, args.json)


if __name__ == '__main__':
    main()
