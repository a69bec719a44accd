"""Where the cockpit listens. Its address is known, and said, long before its server is loaded."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kf_imitation.errors import ConfigError

PORTS_TRIED = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens.

    Attributes:
        address: IP address; one that is not a loopback opens the cockpit to a network.
        port: the first free one from here on; 0 takes any.
        certificate, key: PEM files for https; '' for http.
        rate_hz: most states and pictures per second for each watcher.
    """

    address: str = '127.0.0.1'
    port: int = 0
    certificate: str = ''
    key: str = ''
    rate_hz: float = 30.0

    @property
    def scheme(self) -> str:
        """Http or https."""
        return 'https' if self.certificate else 'http'

    def url(self, listening: socket.socket, token: str) -> str:
        """Return the address of the page, with its secret."""
        host = f'[{self.address}]' if ':' in self.address else self.address
        return f'{self.scheme}://{host}:{listening.getsockname()[1]}/{token}/'


def address_line(robot: str, url: str) -> str:
    """Return how the address of the page of a robot is said, by whoever serves it."""
    return f'cockpit of {robot}: {url}'


def place_from(settings: Mapping[str, Any]) -> Place:
    """Return where the parameters of a cockpit node let it listen."""
    return Place(
        settings['address'],
        settings['port'],
        settings['tls_certificate'],
        settings['tls_key'],
        settings['rate_hz'],
    )


def listen(place: Place) -> socket.socket:
    """Return a socket on the first free port: who connects from now on waits for the server.

    Raises:
        ConfigError: the address cannot be used, or no port is free.
    """
    family = socket.AF_INET6 if ':' in place.address else socket.AF_INET
    ports = range(place.port, min(place.port + PORTS_TRIED, 65536)) if place.port else (0,)
    problem = ''
    for port in ports:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((place.address, port))
            listening.listen(128)
        except OSError as error:
            listening.close()
            problem = problem or f'port = {port}: {error.strerror}'
            continue
        return listening
    raise ConfigError('cockpit', [f'address = {place.address}, {problem}'])
