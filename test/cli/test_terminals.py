"""Bars and tables on every kind of terminal, and where there is none."""

import io
import re
import sys

import pytest

from kf_imitation.cli.main import build_parser, main
from kf_imitation.cli.progress import progress
from kf_imitation.cli.terminal import patient_output, show_tables
from kf_imitation.pipeline.run_figures import RunFigures, run_table

COLOUR = re.compile(r'\x1b\[[0-9;]*[34][0-9;]*m')
CONTROL = re.compile(r'\x1b\[[0-9;?]*[a-zA-Z]')


class Screen(io.StringIO):
    def isatty(self):
        return True

    @property
    def lines(self):
        return CONTROL.sub('', self.getvalue()).replace('\r', '\n').splitlines()


@pytest.fixture
def show(monkeypatch):
    """Return what turns stderr and stdout into a terminal of 100 columns that knows colours.

    Called in the test itself: before it, pytest takes both back.
    """
    for name in ('NO_COLOR', 'FORCE_COLOR', 'TTY_COMPATIBLE', 'TTY_INTERACTIVE'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('TERM', 'xterm-256color')
    monkeypatch.setenv('COLUMNS', '100')

    def begin():
        screen = Screen()
        monkeypatch.setattr(sys, 'stderr', screen)
        monkeypatch.setattr(sys, 'stdout', screen)
        return screen

    return begin


def work(**options):
    with progress('replay', 1200, 'frames', **options) as bar:
        for _ in range(600):
            bar.step()


def figures():
    return RunFigures(
        elapsed_s=14.0,
        frames_in=420,
        received=400,
        scored=400,
        keyframes=20,
        poses=20,
        times={},
        realtime=True,
        bus=None,
    )


def test_a_bar_counts_and_says_the_time_left(show):
    screen = show()
    work()
    assert any('replay' in line and '600/1200 frames' in line for line in screen.lines)
    assert COLOUR.search(screen.getvalue())


def test_no_color_has_none(show, monkeypatch):
    screen = show()
    monkeypatch.setenv('NO_COLOR', '1')
    work()
    assert 'replay' in screen.getvalue() and not COLOUR.search(screen.getvalue())


def test_a_narrow_terminal_gets_a_bar_and_a_table_that_fit(show, monkeypatch):
    screen = show()
    monkeypatch.setenv('COLUMNS', '40')
    work()
    show_tables(run_table(figures()))
    assert max(map(len, screen.lines)) <= 40
    assert any('replay' in line for line in screen.lines)
    assert any('400' in line for line in screen.lines)
    assert '│' not in screen.getvalue()  # cells side by side would be two words wide


@pytest.mark.parametrize('what', ['quiet', 'pipe', 'dumb'])
def test_nothing_is_drawn_where_it_is_not_wanted_or_cannot_be(show, monkeypatch, what):
    screen = show()
    if what == 'pipe':
        monkeypatch.setattr(sys, 'stderr', io.StringIO())
    if what == 'dumb':
        monkeypatch.setenv('TERM', 'dumb')
    work(quiet=what == 'quiet')
    assert screen.getvalue().strip() == ''
    assert 'replay' not in sys.stderr.getvalue()


def test_what_goes_to_a_pipe_stays_out_of_the_bar(show, monkeypatch):
    screen = show()
    pipe = io.StringIO()
    monkeypatch.setattr(sys, 'stdout', pipe)
    with progress('selftest', 2, 'joints') as bar:
        bar.step()
        print('jaw: 3.00 rad/s')
    assert pipe.getvalue() == 'jaw: 3.00 rad/s\n'
    assert 'rad/s' not in screen.getvalue()


QUIET = ('mimic', 'replay', 'record', 'play', 'report', 'calibrate', 'evaluate')


@pytest.mark.parametrize('command', QUIET)
def test_quiet_is_one_option_with_one_meaning(command, capsys):
    with pytest.raises(SystemExit):
        build_parser(command).parse_args([command, '--help'])
    words = ' '.join(capsys.readouterr().out.split())
    assert '--quiet no progress and no hints; results and errors only' in words


@pytest.mark.parametrize('words', [['replay'], ['nothing'], ['report', 'no-such-run'], ['bag']])
def test_every_error_has_one_shape(words, capsys):
    code = None
    try:
        code = main(words)
    except SystemExit as error:
        code = error.code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2 and last.startswith('kf_imitation: '), last


def test_no_color_leaves_no_other_letters_either(show, monkeypatch):
    """The title of a table was in italics all the same."""
    screen = show()
    monkeypatch.setenv('NO_COLOR', '1')
    show_tables(run_table(figures()))
    assert 'run' in screen.getvalue() and '\x1b' not in screen.getvalue()


def test_who_closes_the_streams_loses_the_words_and_nothing_else(monkeypatch):
    """`mimic >&-` ended in a traceback; what went to a closed stderr was printed to stdout."""
    for name in ('stdin', 'stdout', 'stderr'):
        monkeypatch.setattr(sys, name, None)
    with patient_output() as output:
        show_tables(run_table(figures()))
        print('gone', file=sys.stderr)
        assert not sys.stdin.isatty() and sys.stdin.read() == ''
        streams = sys.stdin, sys.stdout, sys.stderr
    assert output is None
    for stream in streams:
        stream.close()
