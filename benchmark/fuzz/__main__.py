"""Fuzz one kind of input for a time: no crash, no hang, no file lost.

    python -m benchmark.fuzz --target {sources,bags,parameters,robot,packets,messages}
                             [--minutes 30] [--seed 0]

hypothesis makes the inputs and shrinks what fails. An input has 5 s of processor time and 8 GB of
memory. A failure ends the run with exit code 1 and the smallest input found; where the process
itself dies, the input is left in the newest folder of the temporary ones. docs/fuzzing.md has the
counts. The small run of the tests is test/benchmark/test_fuzz.py.
"""

import argparse
import faulthandler
import logging
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from importlib import import_module

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmark.fuzz.bounds import no_hang

TARGETS = ('sources', 'bags', 'parameters', 'robot', 'packets', 'messages')
MEMORY_BYTES = 8_000_000_000
ROUND = 200  # inputs that hypothesis makes of one seed


def fuzz(
    run: Callable[[st.DataObject], Counter[str]],
    seconds: float = 0.0,
    first: int = 0,
    inputs: int = ROUND,
    phases: Collection[Phase] = tuple(Phase),
) -> Counter[str]:
    """Give inputs to a target for a time, at least one round.

    Args:
        run: takes one input and returns what was counted.
        seconds: after which no further round begins.
        first: seed of the first round; each has the next.
        inputs: of a round.
        phases: of hypothesis; shrinking what fails takes a while.

    Raises:
        Exception: what the smallest input found raises that fails.
    """
    total: Counter[str] = Counter()

    def one(data: st.DataObject) -> None:
        with no_hang():
            total.update(run(data))
        total['inputs'] += 1

    end_s = time.monotonic() + seconds
    rounds = 0
    while not rounds or time.monotonic() < end_s:
        limits = settings(
            max_examples=inputs,
            phases=phases,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        seed(first + rounds)(limits(given(st.data())(one)))()
        rounds += 1
    return total


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--target', choices=TARGETS, required=True)
    parser.add_argument('--minutes', type=float, default=30.0)
    parser.add_argument('--seed', type=int, default=0, help='of the first round')
    args = parser.parse_args(arguments)
    target = import_module(f'benchmark.fuzz.{args.target}')
    print(f'{args.target}: {args.minutes:g} min from seed {args.seed}', flush=True)
    total = fuzz(target.run, 60 * args.minutes, args.seed)
    counts = ', '.join(f'{count:,} {name}' for name, count in sorted(total.items()))
    used_s = time.process_time()
    print(f'{counts} in {args.minutes:g} min ({used_s:.0f} s of processor time): no failure')
    return 0


def bound_process() -> None:
    """Bound the memory of this process, which does nothing else, and keep libraries quiet."""
    faulthandler.enable()
    logging.disable()
    os.environ['OPENCV_LOG_LEVEL'] = 'SILENT'
    os.environ['OPENCV_FFMPEG_LOGLEVEL'] = '-8'
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == '__main__':
    bound_process()
    sys.exit(main())
