"""The socket of a simulator in place of a serial device, with what _Port asks of one."""

import socket
import stat
import struct
from pathlib import Path

import serial

BAUD = struct.Struct('<I')  # the first that is sent


def is_socket(port: str) -> bool:
    """Whether a path is a socket and not a serial device."""
    try:
        return stat.S_ISSOCK(Path(port).stat().st_mode)
    except OSError:
        return False


class SimulatorSocket:
    """A connection to simulated servos that behaves like pyserial's Serial."""

    def __init__(self, path: str, baud: int) -> None:
        """Connect.

        Raises:
            OSError: nobody serves this path.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
            self._socket.sendall(BAUD.pack(baud))
            self._socket.setblocking(False)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._socket.fileno()

    def write(self, packet: list[int]) -> int:
        """Send a packet; returns how many of its bytes.

        Raises:
            SerialTimeoutException: there is no room.
        """
        try:
            return self._socket.send(bytes(packet))
        except BlockingIOError as error:
            raise serial.SerialTimeoutException from error

    def reset_input_buffer(self) -> None:
        """Drop what has arrived."""
        try:
            while self._socket.recv(4096):
                pass
        except BlockingIOError:
            return
        raise serial.SerialException('the device is gone')

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
