"""`kf_imitation tour`: from the demo to one's own camera, face and robot, command by command."""

import argparse
import signal
import subprocess
import sys
from dataclasses import dataclass

from kf_imitation.camera.device_path import cameras
from kf_imitation.cli.options import add_source
from kf_imitation.cli.terminal import program
from kf_imitation.paths import share_path

ROBOT, FACE, RUN = 'my_head.yaml', 'me.yaml', 'tour'


@dataclass(frozen=True, slots=True)
class Step:
    """One command and what it is good for.

    Attributes:
        title: in a few words.
        about: what happens, and what to look at.
        words: of the command, after the program.
        sees: needs a camera.
    """

    title: str
    about: str
    words: tuple[str, ...]
    sees: bool = False


def steps(source: str) -> tuple[Step, ...]:
    """Return the way.

    Args:
        source: the camera.
    """
    from kf_imitation.ros_graph.nodes import DEMO_CLIP

    return (
        Step(
            'the demo',
            'A simulated head mimics a rendered face. Open the address that is printed: the page '
            'shows why each keyframe was chosen, moves joints and stops the head. Ctrl-C ends it.',
            ('mimic', '--loop'),
        ),
        Step(
            'your own face',
            'The same head mimics you. Sit 0.5 to 1 m from the camera, with light from the front.',
            ('mimic', '--source', source),
            sees=True,
        ),
        Step(
            'your own calibration',
            'Half a minute: relax, then show the expressions that you are asked for. The last '
            'line says how a run takes the file.',
            ('calibrate', '--source', source, '--out', FACE),
            sees=True,
        ),
        Step(
            'why these frames',
            'A recording goes through all stages, as fast as the machine can, with the same '
            'result every time.',
            ('replay', str(share_path(DEMO_CLIP)), '--out', RUN, '--learn', '--overwrite'),
        ),
        Step(
            'the report',
            'One page about that run: every keyframe with its reason, the person beside the head, '
            'and what other settings would choose. Open it in a browser.',
            ('report', RUN, '--overwrite'),
        ),
        Step(
            'your own robot',
            'A head is one YAML file. This copies the simulated one for you to change; '
            '`robot check` lists what is wrong with it; docs/your_own_head.md leads to servos.',
            ('robot', 'new', ROBOT),
        ),
        Step(
            'your own robot moves',
            'The demo once more, on the head of your file.',
            ('mimic', '--loop', '--robot', ROBOT),
        ),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_source(parser, 'the first camera of this machine')
    parser.add_argument('--show', action='store_true', help='only print the steps')


def run(args: argparse.Namespace) -> int:
    """Lead through the steps: Enter runs the command of each, s skips it, q ends the tour.

    Where nobody can answer, the steps are printed.

    Returns:
        Exit code 0.
    """
    found = cameras()
    source = args.source or (found[0] if found else '')
    asks = not args.show and sys.stdin.isatty() and sys.stdout.isatty()
    way = steps(source or '0')
    for number, step in enumerate(way, 1):
        print(f'\n{number} of {len(way)}: {step.title}')
        print(step.about)
        print(f'    {program()} {" ".join(step.words)}', flush=True)
        if step.sees and not source:
            print('No camera is connected: skipped. --source names another one.')
        elif asks and not go(step):
            break
    print('\ndocs/tutorials/ goes on from here.')
    return 0


def go(step: Step) -> bool:
    """Ask, and run the command; return whether the tour goes on."""
    try:
        answer = input('[Enter] runs it, s skips it, q ends the tour: ').strip().lower()
    except EOFError:
        return False
    if answer.startswith('q'):
        return False
    if not answer.startswith('s') and (code := run_command(step.words)):
        print(f'It ended with exit code {code}; the tour goes on.')
    return True


def run_command(words: tuple[str, ...]) -> int:
    """Run a command as a process of its own, which alone hears Ctrl-C; return its exit code."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run([sys.executable, '-m', 'kf_imitation.cli.main', *words]).returncode
    finally:
        signal.signal(signal.SIGINT, before)
