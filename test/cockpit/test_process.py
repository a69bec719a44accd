import os
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from kf_imitation.cockpit import process
from kf_imitation.cockpit.access import load_token, token_file
from kf_imitation.cockpit.process import NICER, CockpitProcess
from kf_imitation.parameters.schema import SCHEMA

SETTINGS = {
    **{parameter.name: parameter.default for parameter in SCHEMA['cockpit']},
    'robot': 'sim_face',
    'port': 0,
}


@pytest.fixture
def unloaded(monkeypatch):
    """Let the cockpit's process wait, as one that is still importing."""

    def waiting(module, arguments, **options):
        return subprocess.Popen([sys.executable, '-c', 'input()'], text=True, **options)

    monkeypatch.setattr(process, 'start_child', waiting)


def test_who_opens_the_address_before_the_server_is_loaded_waits_for_it(unloaded):
    with CockpitProcess(SETTINGS, '', '') as cockpit:
        place = urlsplit(cockpit.url)
        socket.create_connection((place.hostname, place.port), timeout=10).close()
        assert load_token(token_file()) in place.path


def test_where_the_processor_is_short_the_cockpit_waits_for_the_head(unloaded):
    with CockpitProcess(SETTINGS, '', '') as cockpit:
        its_own = os.getpriority(os.PRIO_PROCESS, cockpit.pid)
    assert its_own == min(19, os.nice(0) + NICER)


def test_a_page_that_ends_by_itself_is_named(capsys):
    with CockpitProcess(SETTINGS, '', '') as cockpit:
        os.kill(cockpit.pid, signal.SIGKILL)
        cockpit._reader.join()
    assert capsys.readouterr().err == (
        'kf_imitation: the cockpit has ended; the head goes on, and kf_imitation cockpit serves '
        'the page again\n'
    )
    assert 'the cockpit ended before the run did' in str(cockpit.fault)


def test_a_page_that_is_closed_is_not(capsys):
    with CockpitProcess(SETTINGS, '', '') as cockpit:
        pass
    assert capsys.readouterr().err == '' and cockpit.fault is None
