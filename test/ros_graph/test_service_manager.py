import socket

import pytest

from kf_imitation.ros_graph.service_manager import tell_service_manager


@pytest.mark.parametrize('hidden', [False, True])
def test_a_service_reports_its_state(tmp_path, monkeypatch, hidden):
    address = f'@kf-imitation-{tmp_path.name}' if hidden else str(tmp_path / 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind('\0' + address[1:] if hidden else address)
        monkeypatch.setenv('NOTIFY_SOCKET', address)
        tell_service_manager('WATCHDOG=1')
        manager.settimeout(5.0)
        assert manager.recv(100) == b'WATCHDOG=1'


def test_outside_of_a_service_nothing_happens(tmp_path, monkeypatch):
    monkeypatch.delenv('NOTIFY_SOCKET', raising=False)
    tell_service_manager('READY=1')
    monkeypatch.setenv('NOTIFY_SOCKET', str(tmp_path / 'gone'))
    tell_service_manager('READY=1')
