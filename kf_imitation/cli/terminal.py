"""Output to whatever stdout is: a pipe that closes, a full disk, a terminal without Unicode."""

import codecs
import io
import json
import os
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from threading import Thread
from typing import TYPE_CHECKING, Any

from kf_imitation.output_files import new_file

if TYPE_CHECKING:
    from rich.console import Console

NARROW = 60  # columns of a terminal that is too narrow for tables
_NAME = 'kf_imitation'
_PLAIN = {
    '…': '...',
    '–': '-',
    '—': '-',
    '·': '-',
    '•': '*',
    '→': '->',
    '▶': '>',
    '×': 'x',
    '±': '+/-',
    '≤': '<=',
    '≥': '>=',
    '’': "'",
    '“': '"',
    '”': '"',
    'µ': 'u',
    '°': ' deg',
}


class _Descriptor(io.FileIO):
    """A file descriptor that takes everything, whether it arrives or not.

    Attributes:
        fault: why it did not, for the user; '' when it did or nobody reads any more.
    """

    fault = ''

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write, or pass over what cannot be written; the work of the command goes on."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)
        except OSError as error:
            self.fault = error.strerror or str(error)
            return len(data)


@contextmanager
def patient_output() -> Iterator[_Descriptor | None]:
    """Print to stdout inside so that nothing it does ends a command.

    Yields:
        whose `fault` says afterwards that output was lost; None where stdout is no descriptor
        (tests, notebooks).
    """
    _open_what_is_closed()
    outside = sys.stdout
    if outside is not sys.__stdout__ or outside is None:
        yield None
        return
    with suppress(OSError, ValueError):
        outside.flush()
    descriptor = _Descriptor(outside.fileno(), 'w', closefd=False)
    inside = io.TextIOWrapper(
        io.BufferedWriter(descriptor),  # type: ignore[type-var]
        encoding=outside.encoding,
        errors='plain',
        line_buffering=os.isatty(outside.fileno()),
    )
    sys.stdout = inside
    try:
        yield descriptor
    finally:
        inside.flush()
        sys.stdout = outside


def _open_what_is_closed() -> None:
    """Give a program that was started without stdin, stdout or stderr (`>&-`) empty ones.

    Python has None there, and the next file to be opened would get what is printed below Python.
    """
    for name, mode in (('stdin', 'r'), ('stdout', 'w'), ('stderr', 'w')):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, mode, encoding='utf-8')  # noqa: SIM115 - to the end
            os.set_inheritable(nowhere.fileno(), True)
            setattr(sys, name, nowhere)


def console(**options: Any) -> 'Console':
    """Return rich's console; with NO_COLOR neither colours nor bold and italic letters."""
    from rich.console import Console

    plain = bool(os.environ.get('NO_COLOR'))
    return Console(color_system=None if plain else 'auto', **options)


def stop_with_input() -> None:
    """Tell this process to stop when its input ends: who started it wants that, or has gone."""

    def wait() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name='input', daemon=True).start()


def show_tables(*tables: Any, width: int = 100) -> None:
    """Print tables of rich as wide as the terminal is, or `width` columns where there is none.

    On a narrow terminal the cells of a row stand below each other: side by side nobody reads them.
    """
    screen = console(width=None if sys.stdout.isatty() else width)
    if screen.width >= NARROW:
        screen.print(*tables, sep='\n')
        return
    for table in tables:
        screen.print(_in_lines(table), markup=False, highlight=False)


def _in_lines(table: Any) -> str:
    """Return a table of rich as lines: the first cell of each row, the others indented below."""
    lines = [str(table.title)] if table.title else []
    headings = [' '.join(str(column.header).split()) for column in table.columns]
    names = [f'{heading}: ' if table.show_header else '' for heading in headings]
    for first, *others in zip(*(column.cells for column in table.columns), strict=True):
        lines.append(str(first))
        lines += [f'  {name}{cell}' for name, cell in zip(names[1:], others, strict=True) if cell]
    return '\n'.join(lines)


def program() -> str:
    """Return what to type for this program: its name, or the way to it where it is on no path."""
    given = Path(sys.argv[0])
    if which(_NAME):
        return _NAME
    if given.name == '__main__.py':
        return f'{sys.executable} -m {_NAME}'
    return str(given) if given.name == _NAME else _NAME


def takes_stdout(path: Path | None) -> bool:
    """Whether --json has stdout, which then holds nothing else."""
    return str(path) == '-'


def teller(path: Path | None) -> Callable[[str], None]:
    """Return what prints a line at once; to stderr where --json has stdout."""

    def tell(line: str) -> None:
        print(line, file=sys.stderr if takes_stdout(path) else sys.stdout, flush=True)

    return tell


def write_json(document: Any, path: Path | None) -> None:
    """Write what a command measured, for --json.

    Args:
        document: JSON-ready.
        path: of a file, which is replaced; `-` prints it; None does nothing.

    Raises:
        OutputError: it cannot be written.
    """
    if path is None:
        return
    text = json.dumps(document, indent=1, ensure_ascii=False)
    if takes_stdout(path):
        print(text)
        return
    with new_file(path, overwrite=True) as partial:
        partial.write_text(f'{text}\n', encoding='utf-8')


def plain(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks by what it has: a handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return ''.join(_in_ascii(letter) for letter in letters), error.end


def _in_ascii(letter: str) -> str:
    bare = unicodedata.normalize('NFKD', letter).encode('ascii', 'ignore').decode()
    return _PLAIN.get(letter) or bare or '?'


codecs.register_error('plain', plain)
