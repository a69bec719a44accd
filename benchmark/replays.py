"""Replay one bag or video many times: every run must give the same bytes.

    python -m benchmark.replays BAG_OR_VIDEO --times 100 [--processes 5] [--topic /cam/image]

Compares scores.csv, expression.csv, joints.csv and the bag of `kf_imitation replay` by their
SHA-256, within a process and between processes. Exit code 1 where they differ.
"""

import argparse
import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

FILES = ('scores.csv', 'expression.csv', 'joints.csv', 'bag/bag.mcap')
# Run in each process: N replays of one source into DIR/0, DIR/1, …
PROGRAM = """
import sys
from contextlib import redirect_stdout
from io import StringIO
from kf_imitation.cli.main import main
source, folder, times, *options = sys.argv[1:]
for number in range(int(times)):
    with redirect_stdout(StringIO()):
        code = main(['replay', source, '--out', f'{folder}/{number}', *options])
    if code:
        sys.exit(code)
"""


def digest(folder: Path) -> str:
    """Hash of all results of one replay that must not differ."""
    total = hashlib.sha256()
    for name in FILES:
        total.update((folder / name).read_bytes())
    return total.hexdigest()


def main() -> int:
    """Run them and print one line per hash."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', type=Path, metavar='BAG_OR_VIDEO')
    parser.add_argument('--times', type=int, default=100, help='replays')
    parser.add_argument('--processes', type=int, default=5, help='fresh processes to share them')
    parser.add_argument('--topic', default='', help='image topic of a bag with several')
    args = parser.parse_args()
    options = ['--topic', args.topic] if args.topic else []
    hashes: Counter[str] = Counter()
    started_s = perf_counter()
    with TemporaryDirectory() as folder:
        for process in range(args.processes):
            share = len(range(process, args.times, args.processes))
            place = Path(folder) / str(process)
            command = [sys.executable, '-c', PROGRAM, str(args.source), str(place), str(share)]
            done = subprocess.run([*command, *options], check=False)
            if done.returncode:
                return done.returncode
            hashes.update(digest(run) for run in sorted(place.iterdir()))
    for value, count in hashes.most_common():
        print(f'{count} replays: {value}')
    elapsed_s = perf_counter() - started_s
    print(f'{len(hashes)} hash(es) of {sum(hashes.values())} replays, {elapsed_s:.0f} s')
    return 0 if len(hashes) == 1 else 1


if __name__ == '__main__':
    sys.exit(main())
