"""What children and C code write to stderr while `mimic` shows its line of progress."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from types import SimpleNamespace

from kf_imitation.cli.mimic_progress import progress_line
from kf_imitation.pipeline.statistics import Ledger

PROGRAM = """
import os, subprocess, sys
from kf_imitation.cli.mimic_progress import lines_above
with lines_above() as line:
    line.show('1 frames')
    os.write(2, b'past Python\\n')
    print('by Python', file=sys.stderr, flush=True)
    line.show('2 frames ' + 30 * 'and more ')
    subprocess.run(['sh', '-c', 'echo from a child >&2'])
    line.show('3 frames')
os.write(2, b'after it\\n')
"""


def screen(data):
    """What a terminal shows after the few commands that the line uses."""
    rows = ['']
    for part in re.findall(r'\x1b\[\d*[AK]|.|\n', data, re.DOTALL):
        if part == '\n':
            rows.append('')
        elif part == '\x1b[1A':
            rows.pop()
        elif part == '\x1b[2K':
            rows[-1] = ''
        elif part != '\r':
            assert '\x1b' not in part
            rows[-1] += part
    return [row for row in rows if row]


def test_each_line_stands_alone_above_the_line_of_progress():
    """They were glued to it: `3 frameskf_imitation: the cockpit has ended`."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack('4H', 24, 80, 0, 0))
    environment = {**os.environ, 'TERM': 'xterm', 'NO_COLOR': '1'}
    command = [sys.executable, '-c', PROGRAM]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment) as process:
        os.close(its)
        shown = b''
        try:
            while data := os.read(ours, 4096):
                shown += data
        except OSError:  # of Linux, when the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0, shown.decode()
    assert screen(shown.decode()) == ['past Python', 'by Python', 'from a child', 'after it']


def test_the_line_says_who_follows_what():
    """It said: following a face of 363 px · following."""
    said = {'camera': 'sending 0', 'keyframe': 'following a face of 363 px', 'servo': 'following'}
    nodes = {
        name: SimpleNamespace(status=lambda words=words: (b'', words, {}))
        for name, words in said.items()
    }
    composition = SimpleNamespace(nodes=nodes, ledger=lambda name: Ledger())
    assert progress_line(composition).endswith(
        'camera: sending 0 · face: following a face of 363 px · head: following'
    )
