"""How far a long command is: one bar with the time left, the same for all of them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from kf_imitation.cli.terminal import console

_BAR = 40  # letters; in a narrow terminal what is left beside the words
_NARROW = 80


class Bar:
    """What the work is told to move on."""

    def __init__(self, progress: Progress, what: str, total: float | None) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total)

    def step(self, said: str = '') -> None:
        """One more is done; `said` replaces the words in front."""
        self._progress.update(self._task, advance=1, description=said or None)

    def reach(self, share: float, said: str = '') -> None:
        """So much of the total is done."""
        self._progress.update(self._task, completed=share, description=said or None)


@contextmanager
def progress(
    what: str, total: float | None = 1.0, unit: str = '', quiet: bool = False
) -> Iterator[Bar]:
    """Show a bar on stderr until the work inside is over.

    Only on a terminal that can draw it, so logs and pipes stay clean.

    Args:
        what: stands in front of it.
        total: when the work is done; None where nobody knows.
        unit: of what is counted; '' shows no count.
        quiet: show nothing.
    """
    screen = console(stderr=True)
    narrow = screen.width < _NARROW
    counted = [MofNCompleteColumn(), TextColumn(unit)] if unit and not narrow else []
    columns: list[ProgressColumn] = [
        TextColumn('{task.description}', markup=False),
        BarColumn(None if narrow else _BAR),
        *counted,
        TimeRemainingColumn(compact=narrow),
    ]
    able = screen.is_terminal and not screen.is_dumb_terminal
    with Progress(
        *columns,
        console=screen,
        transient=True,
        disable=quiet or not able,
        expand=narrow,
        redirect_stdout=sys.stdout.isatty(),  # what goes to a file or pipe is not the bar's
    ) as shown:
        yield Bar(shown, what, total)
