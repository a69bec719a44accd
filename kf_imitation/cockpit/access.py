"""Who may open the cockpit: a secret in the address, and requests of its own page only.

The secret keeps out other users and programs of the machine. Host and Origin keep out other web
pages, which a browser on this machine would otherwise let in: a name that is made to point here
(DNS rebinding), and forms or scripts that send requests here (CSRF). There is no cookie to abuse.
"""

import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kf_imitation.errors import ConfigError
from kf_imitation.paths import state_directory

_TOKEN_BYTES = 24
_LOOPBACK = frozenset({'127.0.0.1', 'localhost', '::1'})


def token_file() -> Path:
    """Return where the secret is kept, so that an open page finds a server that starts again."""
    return state_directory() / 'cockpit_token'


def load_token(path: Path) -> str:
    """Return this user's secret; the first call makes it. Delete the file for a new one.

    Args:
        path: of the file, which only this user may read.

    Raises:
        ConfigError: the file cannot be read or written, or others may read it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            pass
        else:
            with open(handle, 'w', encoding='ascii') as file:
                file.write(secrets.token_urlsafe(_TOKEN_BYTES))
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding='ascii') as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigError(
                    str(path), ['others may read it: delete it, and a new one is made']
                )
            token = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(path),
            [
                f'cannot keep the secret of the cockpit: {error} (XDG_STATE_HOME names another '
                'folder; mimic --no-cockpit goes without the page)'
            ],
        ) from error
    if len(token) < _TOKEN_BYTES or not token.replace('-', '').replace('_', '').isalnum():
        raise ConfigError(str(path), ['is not a secret of the cockpit: delete it'])
    return token


@dataclass(frozen=True, slots=True)
class Access:
    """Judges a request by what it says of itself.

    Attributes:
        token: the secret.
        is_open: reachable from a network.
        scheme: http or https.
    """

    token: str
    is_open: bool
    scheme: str

    def refusal(
        self, token: str, headers: Mapping[str, str], arrived_at: str, needs_origin: bool
    ) -> str:
        """Return why a request is rejected; '' lets it in.

        Args:
            token: first part of its path.
            headers: of the request.
            arrived_at: the address of this machine that it came to.
            needs_origin: it opens a WebSocket or changes something, so a browser names the page
                that it comes from.
        """
        host = headers.get('Host', '')
        if host_name(host) not in self._names(arrived_at):
            return f'this server is not {host!r}; open the address that was printed'
        origin = headers.get('Origin')
        if origin is None and needs_origin:
            return 'requests that change something come from the page of the cockpit'
        if origin is not None and origin.lower() != f'{self.scheme}://{host}'.lower():
            return f'requests of other pages ({origin}) are rejected'
        if headers.get('Sec-Fetch-Site', 'none') not in ('same-origin', 'none'):
            return 'requests of other pages are rejected'
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return 'the address is not complete; open the one that was printed'
        return ''

    def _names(self, arrived_at: str) -> frozenset[str]:
        if not self.is_open:
            return _LOOPBACK
        name = socket.gethostname().lower()
        return _LOOPBACK | {name, f'{name}.local', arrived_at.removeprefix('::ffff:')}


def host_name(host: str) -> str:
    """Return the name in a Host header; any port is right, so that a tunnel may change it."""
    if host.startswith('['):
        return host[1:].partition(']')[0].lower()
    return host.partition(':')[0].lower()


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address.

    Raises:
        ConfigError: it is not an IP address.
    """
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError as error:
        raise ConfigError(
            'cockpit', [f'address = {address!r} must be an IP address; 127.0.0.1: this machine']
        ) from error
