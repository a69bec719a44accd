"""The port of simulated servos: a place in the file system that programs open to reach them."""

import contextlib
import os
import select
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from kf_imitation.actuators.dynamixel.control_tables import BITS_PER_BYTE
from kf_imitation.actuators.dynamixel.host_tuning import prefer_realtime
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus

IDLE_S = 0.005  # longest pause between two physics steps
REST_S = 0.05  # the same while nothing moves
LONGEST_STEP_S = 0.1  # time that passes at once after the process was stopped


class Connection(Protocol):
    """The kind of a port: a pseudo-terminal or a socket. One program at a time is heard."""

    def plug(self, device: str) -> None:
        """Make the device appear; nothing where it is there."""

    def unplug(self) -> None:
        """Take it away from whoever has it open; the path is removed by the port."""

    @property
    def ends(self) -> list[int]:
        """File descriptors that have something to read when a program speaks."""

    @property
    def connected(self) -> bool:
        """Whether there is somebody to answer."""

    def baud(self) -> int:
        """Return the speed that the program has set [bit/s]; 0 if unknown."""

    def hear(self) -> bytes:
        """Return what it has sent; does not wait."""

    def say(self, data: bytes) -> None:
        """Send it something.

        Raises:
            OSError: nobody reads.
        """


class SimulatedPort:
    """Owns the device and lets the line live in real time.

    Attributes:
        line: the servos.
        device: path to open.
        faults: path next to it for a pipe that takes fault commands, if somebody makes one.
        lock: hold it to look at or change the line from another thread.
    """

    def __init__(
        self,
        line: SimulatedBus,
        connection: Connection,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.line = line
        self._connection = connection
        self.lock = threading.Lock()
        self._clock = clock
        self._folder = tempfile.TemporaryDirectory(prefix='dynamixel_')
        self.device = str(Path(self._folder.name) / 'bus')
        self.faults = str(Path(self._folder.name) / 'faults')
        self._pending: deque[tuple[float, bytes]] = deque()
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe()
        self._stopping = False
        self._last = clock()
        self.plug()

    def __enter__(self) -> 'SimulatedPort':
        self._thread = threading.Thread(target=self.run, name='simulated-bus', daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self.close()

    def plug(self) -> None:
        """Make the device appear."""
        with self.lock:
            self._connection.plug(self.device)
        self._wake()

    def unplug(self) -> None:
        """Make the device vanish under whoever has it open."""
        with self.lock:
            Path(self.device).unlink(missing_ok=True)
            self._connection.unplug()
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
                watched = [self._wake_read, *inputs, *self._connection.ends]
                ready, _, _ = select.select(watched, [], [], self.pause_s())
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

    def pause_s(self) -> float:
        """Return how long to wait for a program at most."""
        longest = REST_S if self.line.at_rest else IDLE_S
        if not self._pending:
            return longest
        return min(longest, max(0.0, self._pending[0][0] - self._clock()))

    def _pass_time(self) -> None:
        now = self._clock()
        self.line.step(min(now - self._last, LONGEST_STEP_S))
        self._last = now

    def _serve(self) -> None:
        data = self._connection.hear() if self._connection.ends else b''
        if not self._connection.connected:
            self._pending.clear()
        if data or not self._due():  # a reply that is due was made in its own time
            self._pass_time()
        if data:
            baud = self._connection.baud()
            heard = self._last + len(data) * BITS_PER_BYTE / max(baud, 1)
            if replies := self.line.receive(data, baud):
                # At once, when the last one ends: the host waits for all of them, and each would
                # cost a wake-up.
                delay_s = max(reply.delay_s for reply in replies)
                self._pending.append((heard + delay_s, b''.join(r.data for r in replies)))
        while self._due():
            with contextlib.suppress(BlockingIOError, OSError):  # nobody reads: bytes are lost
                self._connection.say(self._pending.popleft()[1])

    def _due(self) -> bool:
        return bool(self._pending) and self._pending[0][0] <= self._clock()
