"""A pass-through pseudo-terminal between a node and its bus; what passes is heard by a judge."""

import contextlib
import os
import select
import tempfile
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

import serial

from benchmark.judge.wire import Heard, Wire

AGAIN_S = 0.02  # between two looks whether a device that vanished is back


class Tap:
    """Opens a bus and offers it again under another name.

    Attributes:
        device: what the node opens instead of the bus.
    """

    def __init__(self, bus: str, baud: int, hear: Callable[[list[Heard]], None]) -> None:
        """Prepare; `hear` is called in the tap's thread, with times of time.monotonic().

        The node must use the same baud rate: the tap does not follow it.
        """
        self._bus_name, self._baud, self._hear = bus, baud, hear
        self._folder = tempfile.TemporaryDirectory(prefix='tap_')
        self.device = str(Path(self._folder.name) / 'bus')
        self._wire = Wire()
        self._bus: serial.Serial | None = None
        self._master = self._slave = -1
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name='tap', daemon=True)

    def __enter__(self) -> 'Tap':
        self._connect()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._stop_write, b'.')
        self._thread.join()
        self._disconnect()
        os.close(self._stop_read)
        os.close(self._stop_write)
        self._folder.cleanup()

    def _connect(self) -> None:
        try:
            self._bus = serial.Serial(self._bus_name, self._baud, timeout=0)
        except (serial.SerialException, OSError):
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        Path(self.device).symlink_to(os.ttyname(self._slave))

    def _disconnect(self) -> None:
        if self._bus is None:
            return
        Path(self.device).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._bus.close()
        os.close(self._master)
        os.close(self._slave)
        self._bus = None

    def _run(self) -> None:
        while True:
            bus = self._bus
            watched = [self._stop_read] + ([self._master, bus.fileno()] if bus else [])
            ready, _, _ = select.select(watched, [], [], None if bus else AGAIN_S)
            if self._stop_read in ready:
                return
            if bus is None:
                self._connect()
                continue
            try:
                if self._master in ready:
                    data = os.read(self._master, 4096)
                    now = time.monotonic()
                    bus.write(data)
                    self._hear(list(self._wire.from_host(now, data)))
                if bus.fileno() in ready:
                    data = os.read(bus.fileno(), 4096)
                    if not data and not Path(self._bus_name).exists():
                        raise OSError('the bus is gone')
                    now = time.monotonic()
                    os.write(self._master, data)
                    self._hear(list(self._wire.from_servos(now, data)))
            except (OSError, serial.SerialException):
                self._disconnect()
