import os
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
