"""Mutation run: our own code is broken on purpose, and the judge outside must notice.

    python -m benchmark.mutants [WORDS] [--check] [--resume] [--markdown docs/safety.md]

Every break of mutant_table.py is made in a copy of the package, and the situations of
judged_rows.py run on it on virtual time, each in a process of its own. A break counts as caught
when the judge finds in a row what it does not find there on unbroken code. What was done is kept
in a file; --resume goes on with it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmark.marked_table import replace_table
from benchmark.mutant_table import MUTANTS, Edit, Mutant
from kf_imitation.cli.terminal import write_json

ROOT = Path(__file__).resolve().parents[1]
PARTS = ('kf_imitation', 'benchmark', 'config', 'package.xml', 'setup.py')
LONGEST_S = 900.0
MARK = 'mutants'


class AnchorError(Exception):
    """A text that a mutant replaces is not in the code as often as it says."""


def sources(root: Path) -> dict[Path, str]:
    """Return the package's modules and their text."""
    files = sorted((root / 'kf_imitation').rglob('*.py'))
    return {file: file.read_text(encoding='utf-8') for file in files}


def broken(texts: dict[Path, str], edits: Sequence[Edit]) -> dict[Path, str]:
    """Return the modules that edits change, with their new text.

    Raises:
        AnchorError: a text is not there, or not as often as it should be.
    """
    changed: dict[Path, str] = {}
    for edit in edits:
        places = {
            file: changed.get(file, text)
            for file, text in texts.items()
            if edit.old in changed.get(file, text)
        }
        count = sum(text.count(edit.old) for text in places.values())
        if count != edit.count:
            raise AnchorError(f'{count} times instead of {edit.count}: {edit.old!r}')
        for file, text in places.items():
            changed[file] = text.replace(edit.old, edit.new)
    return changed


def faults() -> list[str]:
    """Return the mutants whose texts are no longer there."""
    texts, found = sources(ROOT), []
    for mutant in MUTANTS:
        try:
            broken(texts, mutant.edits)
        except AnchorError as error:
            found.append(f'{mutant.name}: {error}')
    return found


def kinds(root: Path, row: str) -> dict[str, str]:
    """Run one situation with the code in a folder; returns what the judge found, by kind.

    Raises:
        RuntimeError: it could not be run at all.
    """
    done = subprocess.run(
        [sys.executable, '-m', 'benchmark.judged_rows', '--json', row],
        cwd=root,
        env={**os.environ, 'PYTHONPATH': str(root)},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    if not done.stdout:  # neither good nor caught: the row was not run
        raise RuntimeError(f'{row}: {done.stderr.strip() or "no output"}')
    result: dict[str, str] = json.loads(done.stdout)[row]
    return result


def copy_of(root: Path, folder: Path) -> None:
    """Copy what the situations need; what no break changes and is large stays where it is."""
    (folder / 'models').symlink_to((root / 'models').resolve())
    for part in PARTS:
        source, target = root / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(source, target)


def catch(mutant: Mutant, usual: dict[str, dict[str, str]], root: Path) -> tuple[str, str]:
    """Return the row that shows a break and what was seen in it; ('', '') for none.

    Args:
        mutant: the break.
        usual: by row, what is found on unbroken code; grows.
        root: the unbroken code.
    """
    with tempfile.TemporaryDirectory(prefix='mutant_') as name:
        folder = Path(name)
        copy_of(root, folder)
        for file, text in broken(sources(folder), mutant.edits).items():
            file.write_text(text, encoding='utf-8')
        for row in mutant.rows:
            if row not in usual:
                usual[row] = kinds(root, row)
            found = kinds(folder, row)
            new = [seen for kind, seen in found.items() if kind not in usual[row]]
            if new:
                return row, new[0]
    return '', ''


def table(results: dict[str, list[str]]) -> str:
    """Return the Markdown table."""
    lines = ['| break | caught in | what the judge saw |', '|---|---|---|']
    for mutant in MUTANTS:
        if mutant.name in results:
            row, seen = results[mutant.name]
            lines.append(f'| {mutant.name} | {row or "**not caught**"} | {seen} |')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the mutants; exit code 1 when one gets through."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('only', nargs='?', default='', help='mutants whose name contains this')
    parser.add_argument(
        '--check', action='store_true', help='only look whether all texts are there'
    )
    parser.add_argument('--resume', action='store_true', help='leave out what was caught before')
    parser.add_argument('--progress', type=Path, default=Path('mutants.json'), help='the file')
    parser.add_argument('--markdown', type=Path, help='file whose marked table is replaced')
    args = parser.parse_args(arguments)
    if missing := faults():
        print('\n'.join(missing), file=sys.stderr)
        return 2
    if args.check:
        print(f'{len(MUTANTS)} mutants, all texts are there')
        return 0
    results: dict[str, list[str]] = {}
    if args.resume and args.progress.is_file():
        before = json.loads(args.progress.read_text(encoding='utf-8'))
        results = {name: found for name, found in before.items() if found[0]}
    usual: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory(prefix='unbroken_') as name:
        root = Path(name)  # a copy, as the run is long and the code may change meanwhile
        copy_of(ROOT, root)
        for mutant in MUTANTS:
            if args.only not in mutant.name or mutant.name in results:
                continue
            row, seen = catch(mutant, usual, root)
            results[mutant.name] = [row, seen]
            write_json(results, args.progress)
            print(f'{mutant.name:50} {f"{row}: {seen}" if row else "NOT CAUGHT"}', flush=True)
    caught = sum(bool(row) for row, _ in results.values())
    print(f'{caught} of {len(results)} caught')
    if args.markdown:
        replace_table(args.markdown, MARK, table(results))
    return 0 if caught == len(results) else 1


if __name__ == '__main__':
    sys.exit(main())
