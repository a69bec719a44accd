"""The secret of the address, and which names this machine has."""

import stat

import pytest

from kf_imitation.cockpit.access import Access, host_name, is_loopback, load_token
from kf_imitation.errors import ConfigError

TOKEN = 'a-secret-that-is-long-enough-for-tests'


def test_the_secret_is_made_once_and_only_this_user_can_read_it(tmp_path):
    path = tmp_path / 'state' / 'token'
    token = load_token(path)
    assert len(token) >= 32
    assert load_token(path) == token  # an open page finds a server that starts again
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_token(tmp_path / 'another') != token


def test_a_secret_that_others_may_read_is_not_used(tmp_path):
    path = tmp_path / 'token'
    load_token(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match='others may read it'):
        load_token(path)


@pytest.mark.parametrize('content', ['', 'short', 'with/slash' * 5, 'ä' * 30])
def test_a_damaged_secret_is_named_with_what_to_do(tmp_path, content):
    path = tmp_path / 'token'
    path.write_text(content, encoding='utf-8')
    path.chmod(0o600)
    with pytest.raises(ConfigError, match='secret of the cockpit'):
        load_token(path)


def test_a_link_in_place_of_the_secret_is_not_followed(tmp_path):
    target = tmp_path / 'target'
    load_token(target)
    (tmp_path / 'token').symlink_to(target)
    with pytest.raises(ConfigError, match='cannot keep the secret'):
        load_token(tmp_path / 'token')


def test_a_state_folder_that_cannot_be_written_is_named_with_the_way_around_it(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match=r'cannot keep the secret.* mimic --no-cockpit'):
        load_token(tmp_path / 'file' / 'token')


def test_on_a_network_the_machine_answers_to_its_addresses_and_names_only(monkeypatch):
    monkeypatch.setattr('socket.gethostname', lambda: 'Robot')
    access = Access(TOKEN, is_open=True, scheme='https')

    def refusal(host, **more):
        return access.refusal(TOKEN, {'Host': host, **more}, '192.168.1.5', False)

    for host in ('192.168.1.5:8043', 'robot:8043', 'robot.local', 'localhost:1', '[::1]:2'):
        assert refusal(host) == '', host
        assert refusal(host, Origin=f'https://{host}') == ''
        assert 'other pages' in refusal(host, Origin=f'http://{host}')  # not over TLS
    for host in ('192.168.1.6:8043', 'evil.example', 'robot.evil.example', ''):
        assert 'is not' in refusal(host), host


def test_host_headers_are_split_at_their_port():
    assert host_name('[::1]:80') == '::1'
    assert host_name('LocalHost:80') == host_name('localhost') == 'localhost'


def test_an_address_that_is_none_is_rejected():
    assert is_loopback('127.0.0.1') and is_loopback('::1')
    assert not is_loopback('0.0.0.0') and not is_loopback('192.168.1.5')
    with pytest.raises(ConfigError, match=r"address = 'robot' must be an IP address"):
        is_loopback('robot')
