"""Protocol 2.0 as heard on the wire: time-stamped bytes of both ways in, reads and writes out.

Written from the public protocol description; packets with a wrong CRC and garbage between
packets are left out, as a servo or a host would do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

HEADER = b'\xff\xff\xfd\x00'
BROADCAST = 0xFE
WRITE, REG_WRITE, READ, REBOOT, FACTORY_RESET, STATUS = 0x03, 0x04, 0x02, 0x08, 0x06, 0x55
SYNC_READ, SYNC_WRITE, FAST_SYNC_READ = 0x82, 0x83, 0x8A
BULK_WRITE = 0x93


@dataclass(frozen=True, slots=True)
class Heard:
    """One servo's part of a packet.

    Attributes:
        time_s: when its last byte passed.
        kind: 'write' (asked by the host), 'read' (answered by the servo), 'rejected' (the servo
            did not take the write before) or 'reboot' (asked by the host).
        id: servo.
        address: of the first register; 0 where there is none.
        data: content of the registers.
        group: number of the packet, the same for all servos of a group write.
        single: asked of this servo alone.
    """

    time_s: float
    kind: str
    id: int
    address: int
    data: bytes
    group: int
    single: bool = False


class Wire:
    """Turns the bytes of one line into what was read and written."""

    def __init__(self) -> None:
        self._host, self._servos = _Stream(), _Stream()
        self._request: tuple[int, dict[int, tuple[int, int]]] = (0, {})
        self._packets = 0

    def from_host(self, time_s: float, data: bytes) -> Iterator[Heard]:
        """Take bytes that the host sent; yields what it asks for."""
        for id_, instruction, body in self._host.feed(data):
            self._packets += 1
            yield from self._instruction(time_s, id_, instruction, body)

    def from_servos(self, time_s: float, data: bytes) -> Iterator[Heard]:
        """Take bytes that servos sent; yields what they answered."""
        for id_, instruction, body in self._servos.feed(data):
            if instruction == STATUS:
                yield from self._status(time_s, id_, body)

    def _instruction(
        self, time_s: float, id_: int, instruction: int, body: bytes
    ) -> Iterator[Heard]:
        address, length = _word(body), _word(body[2:])
        self._request = instruction, {}
        if instruction in (WRITE, REG_WRITE):
            self._request = instruction, {id_: (address, len(body) - 2)}
            yield Heard(time_s, 'write', id_, address, body[2:], self._packets, single=True)
        elif instruction == SYNC_WRITE:
            for at in range(4, len(body) - length, length + 1):
                part = body[at + 1 : at + 1 + length]
                yield Heard(time_s, 'write', body[at], address, part, self._packets)
        elif instruction == BULK_WRITE:
            while len(body) >= 5:
                one, address, length = body[0], _word(body[1:]), _word(body[3:])
                yield Heard(time_s, 'write', one, address, body[5 : 5 + length], self._packets)
                body = body[5 + length :]
        elif instruction == READ:
            self._request = instruction, {id_: (address, length)}
        elif instruction in (SYNC_READ, FAST_SYNC_READ):
            self._request = instruction, dict.fromkeys(body[4:], (address, length))
        elif instruction in (REBOOT, FACTORY_RESET):
            yield Heard(time_s, 'reboot', id_, 0, b'', self._packets)

    def _status(self, time_s: float, id_: int, body: bytes) -> Iterator[Heard]:
        instruction, asked = self._request
        if instruction == FAST_SYNC_READ:
            parts = list(_fast_parts(body, asked))
        else:
            parts = [(body[0], id_, body[1:])] if body else []
        for error, servo, data in parts:
            address, length = asked.get(servo, (0, -1))
            rejected = bool(error & 0x7F)
            if instruction in (WRITE, REG_WRITE) and rejected and length >= 0:
                yield Heard(time_s, 'rejected', servo, address, b'', self._packets)
            elif instruction not in (WRITE, REG_WRITE) and not rejected and len(data) == length:
                yield Heard(time_s, 'read', servo, address, data, self._packets)


def _fast_parts(
    body: bytes, asked: dict[int, tuple[int, int]]
) -> Iterator[tuple[int, int, bytes]]:
    """Yield error, id and data of a fast status packet: each part has a CRC, the last is cut."""
    for _, length in asked.values():
        part, body = body[: length + 2], body[length + 4 :]
        if len(part) == length + 2:
            yield part[0], part[1], part[2:]


class _Stream:
    """Packets out of a stream of bytes."""

    def __init__(self) -> None:
        self._bytes = b''

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield id, instruction and parameters (a status packet's with its error first)."""
        self._bytes += data
        while (begin := self._bytes.find(HEADER)) >= 0:
            rest = self._bytes[begin:]
            if len(rest) < 7:
                self._bytes = rest
                return
            whole = 7 + _word(rest[5:])
            if len(rest) < whole:
                # A damaged length would swallow what follows: a later whole packet wins.
                again = rest.find(HEADER, 4)
                if again < 0 or len(rest) < 4096:
                    self._bytes = rest
                    return
                self._bytes = rest[again:]
                continue
            packet, self._bytes = rest[:whole], rest[whole:]
            if whole < 10 or crc16(packet[:-2]) != _word(packet[-2:]):
                self._bytes = rest[4:]
                continue
            body = packet[8:-2]
            if not (packet[4] == BROADCAST and packet[7] == STATUS):
                body = body.replace(b'\xff\xff\xfd\xfd', b'\xff\xff\xfd')
            yield packet[4], packet[7], body
        self._bytes = self._bytes[-3:]


def crc16(data: bytes) -> int:
    """Return the CRC of Protocol 2.0 (polynomial 0x8005, start 0, bits as they are)."""
    crc = 0
    for byte in data:
        crc = ((crc << 8) & 0xFFFF) ^ _TABLE[(crc >> 8) ^ byte]
    return crc


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
        table.append(crc)
    return table


_TABLE = _crc_table()


def _word(data: bytes) -> int:
    return int.from_bytes(data[:2], 'little')
