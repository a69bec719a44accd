"""A pseudo-terminal with simulated servos behind it; any Dynamixel program can open it.

`device` is a link that stays the same when the cable is pulled and plugged again, like the names
in /dev/serial/by-id.
"""

import contextlib
import fcntl
import os
import select
import struct
import tempfile
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from kf_imitation.actuators.dynamixel.host_tuning import prefer_realtime
from kf_imitation.actuators.dynamixel.simulator.bus import BITS_PER_BYTE, SimulatedBus

IDLE_S = 0.005  # longest pause between two physics steps
REST_S = 0.05  # the same while nothing moves
LONGEST_STEP_S = 0.1  # time that passes at once after the process was stopped
_TCGETS2 = 0x802C542A
_TERMIOS2 = struct.Struct('4IB19B2I')


class PseudoTerminal:
    """Owns the terminal and lets the line live in real time.

    Attributes:
        line: the servos.
        device: path to open.
        faults: path next to it for a pipe that takes fault commands, if somebody makes one.
        lock: hold it to look at or change the line from another thread.
    """

    def __init__(self, line: SimulatedBus, clock: Callable[[], float] = time.monotonic) -> None:
        self.line = line
        self.lock = threading.Lock()
        self._clock = clock
        self._folder = tempfile.TemporaryDirectory(prefix='dynamixel_')
        self.device = str(Path(self._folder.name) / 'bus')
        self.faults = str(Path(self._folder.name) / 'faults')
        self._master = self._slave = -1
        self._pending: deque[tuple[float, bytes]] = deque()
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe()
        self._stopping = False
        self._last = clock()
        self.plug()

    def __enter__(self) -> 'PseudoTerminal':
        self._thread = threading.Thread(target=self.run, name='simulated-bus', daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self.close()

    def plug(self) -> None:
        """Make the device appear."""
        with self.lock:
            if self._master >= 0:
                return
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            link = Path(self.device)
            link.unlink(missing_ok=True)
            link.symlink_to(os.ttyname(self._slave))
        self._wake()

    def unplug(self) -> None:
        """Make the device vanish under whoever has it open."""
        with self.lock:
            if self._master < 0:
                return
            Path(self.device).unlink(missing_ok=True)
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1
            self._pending.clear()
        self._wake()

    def run(self, inputs: Mapping[int, Callable[[], bool]] | None = None) -> None:
        """Serve until stop().

        Args:
            inputs: by file descriptor, what is called when it has something to read; false ends.
        """
        inputs = inputs or {}
        prefer_realtime()
        self._last = self._clock()
        while not self._stopping:
            try:
                watched = [self._wake_read, *inputs, *self._ends()]
                ready, _, _ = select.select(watched, [], [], self._pause())
            except (OSError, ValueError):
                continue  # unplugged meanwhile
            if self._wake_read in ready:
                os.read(self._wake_read, 64)
            if any(fd in inputs for fd in ready):
                with self.lock:
                    self._pass_time()  # what an input changes is not true of the time before
            if not all(take() for fd, take in inputs.items() if fd in ready):
                return
            with self.lock:
                self._serve()

    def stop(self) -> None:
        """Let run() return."""
        self._stopping = True
        self._wake()

    def close(self) -> None:
        """Remove the device."""
        self.unplug()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._folder.cleanup()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b'.')

    def _pause(self) -> float:
        longest = REST_S if self.line.at_rest else IDLE_S
        if not self._pending:
            return longest
        return min(longest, max(0.0, self._pending[0][0] - self._clock()))

    def _ends(self) -> list[int]:
        """Return the file descriptors that have something to read when a host speaks."""
        return [self._master] if self._master >= 0 else []

    def _hear(self) -> bytes:
        """Return what a host has sent."""
        try:
            return os.read(self._master, 4096)
        except OSError:
            return b''

    def _baud(self) -> int:
        """Return the speed the host has set [bit/s], odd ones included; 0 if unknown."""
        try:
            raw = fcntl.ioctl(self._slave, _TCGETS2, bytes(_TERMIOS2.size))
        except OSError:
            return 0
        return int(_TERMIOS2.unpack(raw)[-1])

    def _pass_time(self) -> None:
        now = self._clock()
        self.line.step(min(now - self._last, LONGEST_STEP_S))
        self._last = now

    def _serve(self) -> None:
        data = self._hear() if self._ends() else b''
        if data or not self._due():  # a reply that is due was made in its own time
            self._pass_time()
        if data:
            baud = self._baud()
            heard = self._last + len(data) * BITS_PER_BYTE / max(baud, 1)
            if replies := self.line.receive(data, baud):
                # At once, when the last one ends: the host waits for all of them, and each would
                # cost a wake-up.
                delay_s = max(reply.delay_s for reply in replies)
                self._pending.append((heard + delay_s, b''.join(r.data for r in replies)))
        while self._due():
            with contextlib.suppress(BlockingIOError, OSError):  # nobody reads: bytes are lost
                os.write(self._master, self._pending.popleft()[1])

    def _due(self) -> bool:
        return bool(self._pending) and self._pending[0][0] <= self._clock()
