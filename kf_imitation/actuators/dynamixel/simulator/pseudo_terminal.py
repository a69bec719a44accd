"""A pseudo-terminal before simulated servos; any Dynamixel program can open it.

The device is a link that stays the same when the cable is pulled and plugged again, like the names
in /dev/serial/by-id.
"""

import fcntl
import os
import struct
import tty
from pathlib import Path

_TCGETS2 = 0x802C542A
_TERMIOS2 = struct.Struct('4IB19B2I')


class PseudoTerminal:
    """A Connection (port.py); the terminal knows its speed, odd ones included."""

    def __init__(self) -> None:
        self._master = self._slave = -1

    def plug(self, device: str) -> None:
        """Make the terminal and the link to it, where they are not there."""
        if self._master >= 0:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        link = Path(device)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        """Close the terminal."""
        if self._master >= 0:
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1

    @property
    def ends(self) -> list[int]:
        """The end of the servos."""
        return [self._master] if self._master >= 0 else []

    @property
    def connected(self) -> bool:
        """Whether the cable is plugged; who has the other end open is not known."""
        return self._master >= 0

    def baud(self) -> int:
        """Return the speed the host has set [bit/s]; 0 if unknown."""
        try:
            raw = fcntl.ioctl(self._slave, _TCGETS2, bytes(_TERMIOS2.size))
        except OSError:
            return 0
        return int(_TERMIOS2.unpack(raw)[-1])

    def hear(self) -> bytes:
        """Return what a host has sent."""
        try:
            return os.read(self._master, 4096)
        except OSError:
            return b''

    def say(self, data: bytes) -> None:
        """Send to the host; what it does not read is lost."""
        os.write(self._master, data)
