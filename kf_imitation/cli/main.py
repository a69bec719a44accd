"""The command line: `kf_imitation COMMAND …`; every command is imported when it is asked for.

PYTHON_ARGCOMPLETE_OK: shells complete commands and options with argcomplete (docs/install.md).
"""

import argparse
import errno
import os
import re
import signal
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

from kf_imitation.cli.terminal import patient_output
from kf_imitation.errors import KfImitationError, missing_packages_named, nearest
from kf_imitation.paths import share_path

# Command -> module with add_arguments(parser) and run(args) -> exit code, and what it does.
COMMANDS = {
    'mimic': ('kf_imitation.cli.mimic', 'let the head mimic the face in a video or camera'),
    'tour': (
        'kf_imitation.cli.tour',
        'be led from the demo to your own camera, face and robot',
    ),
    'cockpit': ('kf_imitation.cli.cockpit', 'serve the page to see, tune and stop a running head'),
    'replay': (
        'kf_imitation.cli.replay',
        'run a video or bag through all stages, write tables and plots',
    ),
    'record': ('kf_imitation.cli.record', 'record what running nodes publish into a bag'),
    'play': ('kf_imitation.cli.play', 'play a bag to ROS topics'),
    'bag': (
        'kf_imitation.cli.bag',
        'show what a bag holds, or repair one whose recorder was killed',
    ),
    'report': (
        'kf_imitation.cli.report',
        'write an HTML page about a bag or replay folder, or compare two',
    ),
    'evaluate': ('kf_imitation.cli.evaluate', 'measure keyframes and imitation on labelled clips'),
    'calibrate': ('kf_imitation.cli.calibrate', "learn one person's neutral and extremes"),
    'doctor': (
        'kf_imitation.cli.doctor',
        'check what a run needs: ROS, models, robot, port, camera',
    ),
    'params': (
        'kf_imitation.cli.params',
        'save the parameters that were changed in running nodes',
    ),
    'robot': (
        'kf_imitation.cli.robot',
        'check a robot file, begin one, list the robots, export one',
    ),
    'servo': ('kf_imitation.cli.servo', 'scan, check and move servos'),
}


class Parser(argparse.ArgumentParser):
    """Words errors as all others are, with what was probably meant; takes whole options only."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{'allow_abbrev': False, **options})

    def error(self, message: str) -> NoReturn:
        """Print usage and message, exit with 2."""
        if found := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            known = [word.strip("'") for word in found[2].split(', ')]
            if hint := nearest(found[1], known):
                message += hint
            elif 'info' in known and os.path.exists(found[1]):
                message += f' (did you mean {self.prog} info {found[1]}?)'
        self.print_usage(sys.stderr)
        self.exit(2, f'kf_imitation: {message}\n')


def version() -> str:
    """Return the version, which package.xml alone states."""
    return ET.parse(share_path('package.xml')).getroot().findtext('version') or 'unknown'


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """Return the parser; only the chosen command's module is imported for its options."""
    parser = Parser(prog='kf_imitation', description='A robot head mimics the face it sees.')
    parser.add_argument('--version', action='version', version=f'%(prog)s {version()}')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, (module_name, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == chosen:
            module = import_module(module_name)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


@contextmanager
def unwound_by_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP unwind the body, so that nothing half-written is left.

    Only the first one does; a second must not interrupt the tidying up. Signals that were ignored
    when the program started (nohup) stay so, and commands that run nodes take over from here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }

    def unwind(number: int, frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    for number in before:
        signal.signal(number, unwind)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        Exit code: 0; 2 for what the user can fix, explained in one message on stderr;
        130 after Ctrl-C, 143 after SIGTERM, before the command took them over.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with patient_output() as output:
        code = _run(given)
    if output is not None and output.fault:
        print(f'kf_imitation: output is lost: {output.fault}', file=sys.stderr)
        return code or 2
    return code


def complete() -> None:
    """Answer a shell that asks argcomplete how a command goes on."""
    import argcomplete

    words = os.environ['COMP_LINE'].split()
    argcomplete.autocomplete(build_parser(words[1] if len(words) > 1 else None))


def _run(given: list[str]) -> int:
    chosen = next((word for word in given if not word.startswith('-')), None)
    try:
        with missing_packages_named():
            if '_ARGCOMPLETE' in os.environ:
                complete()
            args = build_parser(chosen).parse_args(given)
            with unwound_by_signals():
                return int(args.run(args))
    except KfImitationError as error:
        print(f'kf_imitation: {error}', file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print(
            f'kf_imitation: {error.filename!s:.60}…: no file can have a name as long as this',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
