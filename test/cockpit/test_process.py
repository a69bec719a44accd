import os
import signal
import subprocess
import sys

from kf_imitation.cockpit import process
from kf_imitation.cockpit.process import NICER, CockpitProcess


def test_where_the_processor_is_short_the_cockpit_waits_for_the_head(monkeypatch):
    def waiting(module, arguments, **options):
        return subprocess.Popen([sys.executable, '-c', 'input()'], text=True, **options)

    monkeypatch.setattr(process, 'start_child', waiting)
    with CockpitProcess('sim_face', '', '') as cockpit:
        its_own = os.getpriority(os.PRIO_PROCESS, cockpit.pid)
    assert its_own == min(19, os.nice(0) + NICER)


def test_a_page_that_ends_by_itself_is_named(capsys):
    with CockpitProcess('sim_face', '', '') as cockpit:
        os.kill(cockpit.pid, signal.SIGKILL)
        cockpit._reader.join()
    assert capsys.readouterr().err == (
        'kf_imitation: the cockpit has ended; the head goes on, and kf_imitation cockpit serves '
        'the page again\n'
    )
    assert 'the cockpit ended before the run did' in str(cockpit.fault)


def test_a_page_that_is_closed_is_not(capsys):
    with CockpitProcess('sim_face', '', '') as cockpit:
        pass
    assert capsys.readouterr().err == '' and cockpit.fault is None
