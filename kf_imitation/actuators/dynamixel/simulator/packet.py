"""Dynamixel Protocol 2.0 packets: make them, and find them again in a stream of bytes.

Layout (https://emanual.robotis.com/docs/en/dxl/protocol2/):
FF FF FD 00 | id | length (2, little endian) | instruction | parameters | CRC-16 (2).
Length counts from the instruction to the CRC. Inside, FF FF FD is stuffed to FF FF FD FD.
"""

from dataclasses import dataclass

HEADER = b'\xff\xff\xfd\x00'
_MARK = b'\xff\xff\xfd'
BROADCAST_ID = 0xFE
MAX_LENGTH = 1024  # of a whole packet; what the SDK sends at most, too

PING, READ, WRITE, REG_WRITE, ACTION = 0x01, 0x02, 0x03, 0x04, 0x05
FACTORY_RESET, REBOOT, CLEAR, BACKUP = 0x06, 0x08, 0x10, 0x20
STATUS = 0x55
SYNC_READ, SYNC_WRITE, FAST_SYNC_READ = 0x82, 0x83, 0x8A
BULK_READ, BULK_WRITE, FAST_BULK_READ = 0x92, 0x93, 0x9A

# Result codes in the error byte of a status packet; bit 7 is the hardware alert.
RESULT_FAIL, INSTRUCTION_ERROR, CRC_ERROR, RANGE_ERROR = 1, 2, 3, 4
LENGTH_ERROR, LIMIT_ERROR, ACCESS_ERROR = 5, 6, 7
ALERT = 0x80


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x8005 if crc & 0x8000 else 0)
        table.append(crc & 0xFFFF)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes, crc: int = 0) -> int:
    """Return the CRC-16 (polynomial 0x8005, start 0, not reflected) of data."""
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ _CRC[crc >> 8 ^ byte]
    return crc


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet.

    Attributes:
        id: 0..252, or BROADCAST_ID.
        instruction: STATUS in replies.
        parameters: without stuffing; in replies the first byte is the error.
        valid: the CRC was right.
    """

    id: int
    instruction: int
    parameters: bytes = b''
    valid: bool = True


def stuff(body: bytes) -> bytes:
    """Return instruction and parameters with FF FF FD made FF FF FD FD."""
    return body.replace(_MARK, _MARK + b'\xfd')


def unstuff(body: bytes) -> bytes:
    """Undo stuff()."""
    return body.replace(_MARK + b'\xfd', _MARK)


def encode(id_: int, instruction: int, parameters: bytes = b'') -> bytes:
    """Return the bytes of one packet on the wire."""
    body = stuff(bytes([instruction]) + parameters)
    head = HEADER + bytes([id_]) + (len(body) + 2).to_bytes(2, 'little')
    return head + body + crc16(head + body).to_bytes(2, 'little')


def encode_status(id_: int, error: int, data: bytes = b'') -> bytes:
    """Return the bytes of a status packet."""
    return encode(id_, STATUS, bytes([error]) + data)


class Parser:
    """Finds packets in a stream. Garbage bytes between and inside packets are skipped and counted.

    A packet with a wrong CRC is handed out with valid = False and only its header is consumed:
    a good packet that begins inside a broken one is still found.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.skipped = 0

    def feed(self, data: bytes) -> list[Packet]:
        """Take bytes in, return the packets that are now complete, in order."""
        self._buffer += data
        packets = []
        while (packet := self._next()) is not None:
            packets.append(packet)
        return packets

    def reset(self) -> None:
        """Forget a half packet, as a servo does after a pause on the line."""
        self.skipped += len(self._buffer)
        self._buffer.clear()

    @property
    def pending(self) -> int:
        """Bytes of a packet that is not complete."""
        return len(self._buffer)

    def _next(self) -> Packet | None:
        buffer = self._buffer
        while True:
            start = buffer.find(HEADER)
            if start < 0:
                self._skip(max(0, len(buffer) - len(HEADER) + 1))
                return None
            self._skip(start)
            if len(buffer) < 7:
                return None
            length = int.from_bytes(buffer[5:7], 'little')
            if length < 3 or length + 7 > MAX_LENGTH or buffer[4] in (0xFD, 0xFF):
                self._skip(len(HEADER))
                continue
            if len(buffer) < length + 7:
                return None
            return self._take(length + 7)

    def _take(self, end: int) -> Packet:
        buffer = self._buffer
        body = bytes(buffer[7 : end - 2])
        crc = int.from_bytes(buffer[end - 2 : end], 'little')
        valid = crc16(bytes(buffer[: end - 2])) == crc
        plain = unstuff(body)
        packet = Packet(buffer[4], plain[0], plain[1:], valid)
        if valid:
            del buffer[:end]
        else:
            self._skip(len(HEADER))
        return packet

    def _skip(self, count: int) -> None:
        self.skipped += count
        del self._buffer[:count]
