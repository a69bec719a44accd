"""The cockpit over https, and opened to a network."""

import ssl
import subprocess
import urllib.request

import pytest

from kf_imitation.errors import ConfigError


@pytest.fixture
def certificate(tmp_path):
    """A certificate for this machine, with its key."""
    files = tmp_path / 'cert.pem', tmp_path / 'key.pem'
    command = ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
    command += ['-nodes', '-days', '2', '-subj', '/CN=localhost']
    command += ['-addext', 'subjectAltName=IP:127.0.0.1', '-out', files[0], '-keyout', files[1]]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip('no openssl to make a certificate')
    return files


def test_with_a_certificate_the_page_is_served_over_https_only(make_server, certificate):
    cert, key = certificate
    server = make_server(certificate=str(cert), key=str(key))
    assert server.url.startswith('https://127.0.0.1:')
    trusting = ssl.create_default_context(cafile=cert)
    with urllib.request.urlopen(server.url, context=trusting, timeout=20) as answer:
        assert answer.status == 200
        assert f'wss://127.0.0.1:{server.port}' in answer.headers['Content-Security-Policy']
    with pytest.raises(OSError):
        urllib.request.urlopen(server.url.replace('https', 'http'), timeout=20)


def test_a_certificate_that_cannot_be_read_is_named(make_server, tmp_path):
    with pytest.raises(ConfigError, match=r'tls_certificate = .*gone\.pem'):
        make_server(certificate=str(tmp_path / 'gone.pem'))


def test_a_port_in_use_gives_the_next_free_one(make_server):
    first = make_server()
    second = make_server(port=first.port)
    assert first.port < second.port <= first.port + 20


def test_an_address_that_is_not_of_this_machine_is_named(make_server):
    with pytest.raises(ConfigError, match=r'address = 192\.0\.2\.1'):
        make_server(address='192.0.2.1')


def test_only_loopback_is_closed_to_a_network(make_server):
    assert not make_server().is_open
    assert make_server(address='0.0.0.0').is_open
