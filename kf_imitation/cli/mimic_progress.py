"""What `mimic` shows while it runs, and the figures it gathers at the end."""

import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from kf_imitation.pipeline.run_figures import BusFigures, RunFigures
from kf_imitation.pipeline.statistics import FAR_APART
from kf_imitation.ros_graph.service_manager import tell_service_manager

if TYPE_CHECKING:
    from kf_imitation.nodes.composition import Composition

# Between two lines of progress where there is no terminal to draw in.
_LOG_INTERVAL_S = 5.0
LAST_WORDS_S = 1.0
# Node -> whose state it says.
_SAID = (('camera', 'camera'), ('keyframe', 'face'), ('servo', 'head'))


class ProgressLine:
    """A text at the lower edge of a terminal; other lines appear above it."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._lock = Lock()
        self._text = ''
        self._erase = '\r\x1b[2K'

    def show(self, text: str) -> None:
        """Show another text in its place; '' for none."""
        with self._lock:
            rows = textwrap.wrap(text, os.get_terminal_size(self._terminal.fileno()).columns - 1)
            self._text = '\n'.join(rows)
            self._write(self._text)
            self._erase = '\r\x1b[2K' + '\x1b[1A\x1b[2K' * (len(rows) - 1)

    def print(self, line: str) -> None:
        """Print a line above it."""
        with self._lock:
            self._write(f'{line}\n{self._text}')

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal has gone: the head goes on
            self._terminal.write(self._erase + text)
            self._terminal.flush()


@contextmanager
def lines_above(quiet: bool = False) -> Iterator[ProgressLine | None]:
    """Let all that goes to stderr stand above the line of progress, not behind it.

    Children and the log of ROS write past Python. On a terminal a pipe takes its place.

    Args:
        quiet: no progress is shown.

    Yields:
        The line; None where there is no terminal to draw in.
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal or console.is_dumb_terminal:
        yield None
        return
    os.environ.setdefault('RCUTILS_COLORIZED_OUTPUT', '0' if console.no_color else '1')
    terminal = os.dup(2)
    out, into = os.pipe()
    os.dup2(into, 2)
    os.close(into)
    line = ProgressLine(os.fdopen(terminal, 'w', errors='replace'))

    def pass_on() -> None:
        with os.fdopen(out, errors='replace') as said:
            for words in said:
                line.print(words.rstrip('\r\n'))

    thread = Thread(target=pass_on, name='stderr', daemon=True)
    thread.start()
    try:
        yield line
    finally:
        line.show('')
        os.dup2(terminal, 2)
        thread.join(LAST_WORDS_S)  # of children; all have ended by then


def watch(
    composition: 'Composition',
    stop: Event,
    line: ProgressLine | None = None,
    quiet: bool = False,
) -> float:
    """Show progress until the run ends or is told to stop.

    Args:
        composition: that runs.
        stop: is set to end it.
        line: of lines_above().
        quiet: show no progress.

    Returns:
        Time from the first frame to the last [s].
    """
    first_s = last_s = logged_s = monotonic()
    frames = 0
    while not stop.wait(0.2) and not composition.finished:
        tell_service_manager('READY=1\nWATCHDOG=1')
        now_s, count = monotonic(), composition.ledger('keyframe').count('frames')
        if count != frames:
            first_s, last_s = first_s if frames else now_s, now_s
            frames = count
        if line is not None:
            line.show(progress_line(composition))
        elif not quiet and now_s - logged_s > _LOG_INTERVAL_S:
            logged_s = now_s
            print(progress_line(composition), file=sys.stderr, flush=True)
    if line is not None:
        line.show('')
    return last_s - first_s


def _source_of(composition: 'Composition') -> str:
    """Name the node that counts the frames: without a camera of ours, who receives them."""
    return 'camera' if 'camera' in composition.nodes else 'keyframe'


def progress_line(composition: 'Composition') -> str:
    """Return frames, keyframes and the states of camera, face and servos in one line."""
    keyframe = composition.ledger('keyframe')
    parts = [
        f'{composition.ledger(_source_of(composition)).count("frames")} frames',
        f'{keyframe.count("scored")} scored',
        f'{keyframe.count("keyframes")} keyframes',
    ]
    nodes = composition.nodes
    parts += [f'{label}: {nodes[name].status()[1]}' for name, label in _SAID if name in nodes]
    return ' · '.join(parts)


def collect(
    composition: 'Composition', elapsed_s: float, realtime: bool, bus: BusFigures | None
) -> RunFigures:
    """Gather the figures of a run from the nodes' ledgers."""
    counts: dict[str, Mapping[str, int]] = {
        name: composition.ledger(name).counts()
        for name in ('camera', 'keyframe', 'landmarks', 'servo')
    }
    skipped: dict[str, int] = {}
    for name in counts:
        skipped |= composition.ledger(name).counts('skipped at ')
    times = {
        stage: value
        for name in ('camera', 'keyframe', 'landmarks', 'servo', 'recorder')
        for stage, value in composition.ledger(name).times().items()
    }
    return RunFigures(
        elapsed_s=elapsed_s,
        frames_in=counts[_source_of(composition)].get('frames', 0),
        received=counts['keyframe'].get('frames', 0),
        scored=counts['keyframe'].get('scored', 0),
        keyframes=counts['keyframe'].get('keyframes', 0),
        poses=counts['landmarks'].get('read', 0),
        times=times,
        realtime=realtime,
        bus=bus,
        skipped=skipped,
        models=composition.ledger('keyframe').counts('scored by '),
        far_apart=counts['keyframe'].get(FAR_APART, 0),
    )


def bus_figures(composition: 'Composition') -> BusFigures | None:
    """Return the bus's figures while it still runs; None without a bus."""
    servo = composition.nodes.get('servo')
    figures = servo.bus_figures() if servo is not None else None
    return figures if isinstance(figures, BusFigures) else None


def absence(composition: 'Composition') -> str:
    """Return why the head took no part in the run, and what to do; '' if it did."""
    servo = composition.nodes.get('servo')
    return str(servo.absence()) if servo is not None else ''
