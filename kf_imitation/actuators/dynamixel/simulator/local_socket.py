"""A Unix socket before simulated servos, for DynamixelBus (simulator_socket.py) alone.

A pseudo-terminal hands every byte to a kernel thread of normal priority, which waits for its turn
on a busy machine: beside vision a reply was up to 6 ms late where it took 0.3 ms over a socket.
Whoever connects first says the baud rate, which a terminal would know.
"""

import socket

from kf_imitation.actuators.dynamixel.simulator_socket import BAUD


class LocalSocket:
    """A Connection (port.py); a second program waits for the first."""

    def __init__(self) -> None:
        self._listener: socket.socket | None = None
        self._host: socket.socket | None = None
        self._speed = 0  # [bit/s] that the host is set to; 0 before it has said so

    def plug(self, device: str) -> None:
        """Listen at the device, where nobody does."""
        if self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.setblocking(False)
            self._listener.bind(device)
            self._listener.listen()

    def unplug(self) -> None:
        """Hang up and listen no more."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._hang_up()

    def _hang_up(self) -> None:
        if self._host is not None:
            self._host.close()
        self._host, self._speed = None, 0

    @property
    def ends(self) -> list[int]:
        """The host, or where one can connect."""
        return [end.fileno() for end in (self._host or self._listener,) if end is not None]

    @property
    def connected(self) -> bool:
        """Whether there is a host."""
        return self._host is not None

    def baud(self) -> int:
        """Return the speed that the host has said [bit/s]."""
        return self._speed

    def hear(self) -> bytes:
        """Return what the host has sent after its speed; takes a host that has connected."""
        try:
            if self._host is None:
                assert self._listener is not None
                self._host, _ = self._listener.accept()
                self._host.setblocking(False)
            data = self._host.recv(4096 if self._speed else BAUD.size)
        except BlockingIOError:
            return b''
        except ConnectionError:
            data = b''
        if not data:
            self._hang_up()
        elif not self._speed:
            (self._speed,) = BAUD.unpack(data)
            return b''
        return data

    def say(self, data: bytes) -> None:
        """Send to the host; what it does not read is lost."""
        assert self._host is not None
        self._host.send(data)
