"""What a head and its motor process say to each other: one small, versioned, bounded interface.

Messages are packets of a Unix socket pair (SOCK_SEQPACKET): whole or not at all, in order, and
the end of either process shows at once. A message has a kind, a number, the time when it was sent
(CLOCK_BOOTTIME, one clock for both processes), a few values as JSON and one array of float64.
Nothing in it can run code. The motor side never waits: what does not fit is dropped and counted.
"""

import contextlib
import json
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.errors import KfImitationError
from kf_imitation.head.clock import boottime_ns

Array = NDArray[np.float64]
VERSION = 2
PACKET = 32 * 1024  # bytes of a message in one packet
MOST_BYTES = 16 * 1024 * 1024  # of one message: twice the longest trajectory
PULSE_S = 0.1  # between two signs of life
NOTHING = np.empty(0)
# Version, kind, number, sent [ns], where this packet's part begins, length of the whole [bytes].
_HEAD = struct.Struct('<BBIqII')
_LENGTH = struct.Struct('<I')


class MotorError(KfImitationError):
    """The motor process is gone, does not answer, or says something else than expected."""


class Kind(IntEnum):
    """Of a message."""

    CALL = 1  # to the motor process; number 0 where no answer is wanted
    ANSWER = 2  # to the call of that number
    REPORT = 3  # state of the head, also a sign of life
    CYCLE = 4  # one cycle of the bus, where it is wanted (wanted_cycles.py)


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        kind: what it is.
        number: of the call that it is, or answers.
        sent_ns: boottime_ns() of the sender.
        values: small things by name.
        array: (N,) what there is many of.
    """

    kind: Kind
    number: int
    sent_ns: int
    values: Mapping[str, Any]
    array: Array

    @property
    def age_s(self) -> float:
        """How long ago it was sent."""
        return (boottime_ns() - self.sent_ns) * 1e-9


class MotorLink:
    """One end of the connection; either process has one.

    send() of one thread at a time, except for messages of a single packet; receive() likewise.

    Attributes:
        closed: nobody takes what is sent any more.
    """

    def __init__(self, end: socket.socket, patience_s: float = 0.0) -> None:
        """Take an end of socket_pair().

        Args:
            end: of the pair.
            patience_s: how long send() waits for room; 0 never waits.
        """
        end.setblocking(False)
        self.closed = False
        self._socket = end
        self._patience_s = patience_s
        self._unfinished = bytearray()
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(end, select.POLLIN)
        self._writable.register(end, select.POLLOUT)

    def send(
        self,
        kind: Kind,
        values: Mapping[str, Any] | None = None,
        array: Array = NOTHING,
        number: int = 0,
    ) -> bool:
        """Send a message; returns whether there was room and somebody to take it.

        Raises:
            ValueError: it is longer than MOST_BYTES.
        """
        text = json.dumps(values or {}, separators=(',', ':')).encode()
        body = b''.join((_LENGTH.pack(len(text)), text, np.ascontiguousarray(array).tobytes()))
        if len(body) > MOST_BYTES:
            raise ValueError(f'{len(body)} bytes, at most {MOST_BYTES}')
        now_ns = boottime_ns()
        for begin in range(0, len(body), PACKET):
            head = _HEAD.pack(VERSION, kind, number, now_ns, begin, len(body))
            if not self._send_packet(head + body[begin : begin + PACKET]):
                return False
        return True

    def _send_packet(self, packet: bytes) -> bool:
        deadline_s = time.monotonic() + self._patience_s
        while True:
            try:
                self._socket.send(packet)
                return True
            except BlockingIOError:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0.0:
                    return False
                self._writable.poll(1000.0 * left_s)
            except OSError:  # receive() tells, too
                self.closed = True
                return False

    def wait(self, timeout_s: float) -> None:
        """Wait until there is something to receive, or the other end is closed."""
        self._readable.poll(1000.0 * timeout_s)

    def receive(self) -> Iterator[Message]:
        """Yield the messages that have arrived.

        Raises:
            EOFError: the other end is closed.
            MotorError: it speaks another version, or not this language at all.
        """
        while True:
            try:
                packet = self._socket.recv(_HEAD.size + PACKET)
            except BlockingIOError:
                return
            except OSError as error:
                raise EOFError from error
            if not packet:
                raise EOFError
            try:
                message = self._take(packet)
            except (ValueError, struct.error) as error:
                raise MotorError(f'the motor link carried what is no message: {error}') from error
            if message is not None:
                yield message

    def _take(self, packet: bytes) -> Message | None:
        """Return the message that a packet completes."""
        version, kind, number, sent_ns, begin, length = _HEAD.unpack_from(packet)
        if version != VERSION:
            raise MotorError(
                f'the other process speaks version {version} of the motor link, this one '
                f'{VERSION}: start the servo node again'
            )
        part = packet[_HEAD.size :]
        if len(part) == length:
            return _unpacked(Kind(kind), number, sent_ns, part)
        if begin == 0:
            self._unfinished.clear()
        if begin != len(self._unfinished) or length > MOST_BYTES:
            return None  # of a message whose beginning did not fit
        self._unfinished += part
        if len(self._unfinished) < length:
            return None
        body = bytes(self._unfinished)
        self._unfinished.clear()
        return _unpacked(Kind(kind), number, sent_ns, body)

    def shutdown(self) -> None:
        """End the connection for both ends, while another thread may wait for messages."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this end; the other end hears of it at once."""
        self._socket.close()


def _unpacked(kind: Kind, number: int, sent_ns: int, body: bytes) -> Message:
    (length,) = _LENGTH.unpack_from(body)
    end = _LENGTH.size + length
    values = json.loads(body[_LENGTH.size : end])
    return Message(kind, number, sent_ns, values, np.frombuffer(body, np.float64, offset=end))


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a new connection."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
