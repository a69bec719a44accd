"""Simulated servos behind a Unix socket, for DynamixelBus (simulator_socket.py) alone.

A pseudo-terminal hands every byte to a kernel thread of normal priority, which waits for its turn
on a busy machine: beside vision a reply was up to 6 ms late where it took 0.3 ms over a socket.
Whoever connects first says the baud rate, which a terminal would know.
"""

import os
import socket
from pathlib import Path

from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.actuators.dynamixel.simulator_socket import BAUD


class LocalSocket(PseudoTerminal):
    """As PseudoTerminal, with a socket at `device`; a second program waits for the first."""

    _listener: socket.socket | None = None
    _speed = 0  # [bit/s] that the other end is set to; 0 before it has said so

    def plug(self) -> None:
        """Make the socket appear."""
        with self.lock:
            if self._listener is None:
                self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._listener.setblocking(False)
                self._listener.bind(self.device)
                self._listener.listen()
        self._wake()

    def unplug(self) -> None:
        """Make the socket vanish under whoever is connected."""
        with self.lock:
            if self._listener is None:
                return
            Path(self.device).unlink(missing_ok=True)
            self._listener.close()
            self._listener = None
            self._hang_up()
        self._wake()

    def _hang_up(self) -> None:
        if self._master >= 0:
            os.close(self._master)
        self._master, self._speed = -1, 0
        self._pending.clear()

    def _ends(self) -> list[int]:
        if self._master >= 0 or self._listener is None:
            return super()._ends()
        return [self._listener.fileno()]

    def _baud(self) -> int:
        return self._speed

    def _hear(self) -> bytes:
        try:
            if self._master < 0:
                assert self._listener is not None
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._master = connection.detach()
            data = os.read(self._master, 4096 if self._speed else BAUD.size)
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
