"""What got slower between two files of benchmark.speed, beyond noise.

    python -m benchmark.compare A.json B.json

Noise is half the spread of the samples of either file, 5 % at least. Exit code 1 when a row of B
is slower than in A beyond that.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

LEAST_NOISE = 0.05
SLOWER, FASTER, SAME = 'slower', 'faster', ''


def noise(samples: list[float]) -> float:
    """Return half the spread of samples, as a share of their median; 0 for a single one."""
    middle = median(samples)
    return (max(samples) - min(samples)) / 2 / middle if middle else 0.0


def compare(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[tuple[str, float, float, str]]:
    """Yield name, both medians and a verdict of every row that both files have."""
    for name, row in before['rows'].items():
        if name not in after['rows']:
            continue
        samples = row['samples'], after['rows'][name]['samples']
        old, new = map(median, samples)
        threshold = 1.0 + max(LEAST_NOISE, *map(noise, samples))
        worse, better = (old, new) if row['more_is_better'] else (new, old)
        verdict = SAME
        if worse > better * threshold:
            verdict = SLOWER
        elif better > worse * threshold:
            verdict = FASTER
        yield name, old, new, verdict


def main() -> int:
    """Print the rows; returns 1 when something is slower."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('before', type=Path)
    parser.add_argument('after', type=Path)
    args = parser.parse_args()
    before, after = (json.loads(path.read_text()) for path in (args.before, args.after))
    if before['machine'] != after['machine']:
        print('note: not the same machine, versions or load', file=sys.stderr)
    rows = list(compare(before, after))
    for name, old, new, verdict in rows:
        ratio = f'{new / old:6.2f}' if old else '     -'
        print(f'{name:44s}{old:9.2f} {new:9.2f} {ratio}  {verdict}')
    return int(any(verdict == SLOWER for *_, verdict in rows))


if __name__ == '__main__':
    sys.exit(main())
