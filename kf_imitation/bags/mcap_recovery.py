"""The end that an MCAP file lacks when its writer was killed: index, statistics, footer.

Record layouts: MCAP specification, version 0 (https://mcap.dev/spec). The package `mcap` would
keep the view without copying, but takes a record that is cut short for a whole one, does not say
where a record stands, and needs another zstd library than rosbags.
"""

import io
import struct
from binascii import crc32
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAGIC = b'\x89MCAP0\r\n'
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 0x02, 0x03, 0x04, 0x05, 0x06
_MESSAGE_INDEX, _CHUNK_INDEX, _STATISTICS, _METADATA, _DATA_END = 0x07, 0x08, 0x0B, 0x0C, 0x0F
# Only these stand before the end of the data; anything else ends what is there. 0x09: attachment.
_DATA = frozenset({0x01, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _MESSAGE_INDEX, 0x09, _METADATA})
_HEAD = struct.Struct('<BQ')
_NO_SUMMARY = _HEAD.pack(_DATA_END, 4) + bytes(4) + _HEAD.pack(_FOOTER, 20) + bytes(20) + MAGIC


def is_unfinished(path: Path) -> bool:
    """Whether a file begins as MCAP and does not end so.

    Raises:
        OSError: it cannot be read.
    """
    with path.open('rb') as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
        file.seek(-len(MAGIC), io.SEEK_END)
        return file.tell() < len(MAGIC) or file.read() != MAGIC


@dataclass(slots=True)
class _Chunk:
    """A complete chunk record.

    Attributes:
        start: position of its record.
        end: position behind it.
        times: log time and place in the uncompressed chunk of every message, by channel.
        compression: '', lz4 or zstd.
        sizes: compressed and uncompressed bytes.
        index: position of the message index of each channel.
        index_end: position behind the last of them.
    """

    start: int
    end: int
    compression: str
    sizes: tuple[int, int]
    times: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    index: dict[int, int] = field(default_factory=dict)
    index_end: int = 0

    @property
    def indexed(self) -> bool:
        return set(self.index) >= set(self.times)

    def span(self) -> tuple[int, int]:
        """First and last log time [ns]."""
        stamps = [stamp for rows in self.times.values() for stamp, _ in rows]
        return (min(stamps), max(stamps)) if stamps else (0, 0)


@dataclass(slots=True)
class _Contents:
    """What is in the complete part of a file."""

    end: int = len(MAGIC)
    schemas: dict[int, bytes] = field(default_factory=dict)
    channels: dict[int, bytes] = field(default_factory=dict)
    chunks: list[_Chunk] = field(default_factory=list)
    has_loose_messages: bool = False


def ending(file: BinaryIO) -> tuple[int, bytes]:
    """Work out the missing end of an unfinished file.

    Args:
        file: open for reading; begins as MCAP.

    Returns:
        Bytes of the file that are complete, and what has to follow them.

    Raises:
        OSError: it cannot be read.
    """
    contents = _scan(file)
    chunks = contents.chunks
    # Readers find messages outside of chunks, and in chunks without an index, only by a scan.
    if contents.has_loose_messages or not all(chunk.indexed for chunk in chunks[:-1]):
        return contents.end, _NO_SUMMARY
    tail = b''
    if chunks and not chunks[-1].indexed:
        contents.end, tail = chunks[-1].end, _message_index(chunks[-1])
    tail += _HEAD.pack(_DATA_END, 4) + bytes(4)
    summary_start = contents.end + len(tail)
    return contents.end, tail + _summary(contents) + _footer(summary_start) + MAGIC


class FinishedView:
    """An unfinished file as if it were finished; nothing is written. A path to rosbags."""

    suffix = '.mcap'

    def __init__(self, path: Path) -> None:
        """Read through the file.

        Raises:
            OSError: it cannot be read.
        """
        self._path = path
        self.stem = path.stem
        with path.open('rb') as file:
            self._end, self._tail = ending(file)

    def exists(self) -> bool:
        """Whether the file is still there."""
        return self._path.exists()

    def is_dir(self) -> bool:
        """Return false."""
        return False

    def open(self, *_: object, **__: object) -> BinaryIO:
        """Open for reading."""
        return io.BufferedReader(_Joined(self._path, self._end, self._tail))

    def __str__(self) -> str:
        return str(self._path)


class _Joined(io.RawIOBase):
    """The first bytes of a file, and others behind them."""

    def __init__(self, path: Path, end: int, tail: bytes) -> None:
        self._file = path.open('rb', buffering=0)
        self._end, self._tail, self._at = end, tail, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence, self._end + len(self._tail))
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: 'Buffer') -> int:
        into = memoryview(buffer).cast('B')
        if self._at < self._end:
            self._file.seek(self._at)
            data = self._file.read(min(len(into), self._end - self._at)) or b''
        else:
            start = self._at - self._end
            data = self._tail[start : start + len(into)]
        into[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _scan(file: BinaryIO) -> _Contents:
    contents = _Contents()
    size = file.seek(0, io.SEEK_END)
    while contents.end + _HEAD.size <= size:
        start = file.seek(contents.end)
        opcode, length = _HEAD.unpack(file.read(_HEAD.size))
        end = start + _HEAD.size + length
        if opcode not in _DATA or end > size:
            break
        if opcode in (_SCHEMA, _CHANNEL):
            _define(contents, opcode, file.read(length))
        elif opcode == _MESSAGE:
            contents.has_loose_messages = True
        elif opcode == _CHUNK:
            try:
                _take_chunk(contents, start, end, file.read(length))
            except _damage():
                break  # what a failing disk left; all before it is good
        elif opcode == _MESSAGE_INDEX and contents.chunks:
            chunk = contents.chunks[-1]
            chunk.index[struct.unpack('<H', file.read(2))[0]] = start
            chunk.index_end = end
        contents.end = end
    return contents


def _define(contents: _Contents, opcode: int, record: bytes) -> None:
    table = contents.schemas if opcode == _SCHEMA else contents.channels
    table[struct.unpack_from('<H', record)[0]] = _HEAD.pack(opcode, len(record)) + record


def _take_chunk(contents: _Contents, start: int, end: int, record: bytes) -> None:
    _, _, size, checksum, name_length = struct.unpack_from('<QQQII', record)
    compression = record[32 : 32 + name_length].decode()
    (packed_size,) = struct.unpack_from('<Q', record, 32 + name_length)
    packed = record[40 + name_length : 40 + name_length + packed_size]
    data = _decompress(compression, packed)
    if len(data) != size or (checksum and crc32(data) != checksum):
        raise ValueError('checksum')
    chunk = _Chunk(start, end, compression, (len(packed), size), index_end=end)
    for opcode, position, content in _records(data):
        if opcode in (_SCHEMA, _CHANNEL):
            _define(contents, opcode, content)
        elif opcode == _MESSAGE:
            channel, _, log_time = struct.unpack_from('<HIQ', content)
            chunk.times.setdefault(channel, []).append((log_time, position))
    contents.chunks.append(chunk)


def _records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    position = 0
    while position < len(data):
        opcode, length = _HEAD.unpack_from(data, position)
        start = position + _HEAD.size
        yield opcode, position, data[start : start + length]
        position = start + length


def _decompress(compression: str, data: bytes) -> bytes:
    if not compression:
        return data
    return _decompressor(compression)(data)


def _decompressor(compression: str) -> Callable[[bytes], bytes]:
    # rosbags brings all of these; which one for zstd depends on its version and Python's.
    names = {'lz4': ('lz4.frame',), 'zstd': ('compression.zstd', 'backports.zstd', 'zstandard')}
    for name in names.get(compression, ()):
        try:
            function: Callable[[bytes], bytes] = import_module(name).decompress
        except ModuleNotFoundError:
            continue
        return function
    raise ValueError(f'unknown compression {compression}')


def _damage() -> tuple[type[Exception], ...]:
    """What a chunk of wrong bytes raises."""
    errors: list[type[Exception]] = [ValueError, struct.error, RuntimeError]  # lz4: the last
    for name in ('compression.zstd', 'backports.zstd', 'zstandard'):
        try:
            errors.append(import_module(name).ZstdError)
        except ModuleNotFoundError:
            continue
    return tuple(errors)


def _message_index(chunk: _Chunk) -> bytes:
    """Write the index of a chunk's messages and note where it is."""
    data = b''
    chunk.index = {}
    for channel, rows in chunk.times.items():
        chunk.index[channel] = chunk.end + len(data)
        body = b''.join(struct.pack('<QQ', *row) for row in rows)
        record = struct.pack('<HI', channel, len(body)) + body
        data += _HEAD.pack(_MESSAGE_INDEX, len(record)) + record
    chunk.index_end = chunk.end + len(data)
    return data


def _summary(contents: _Contents) -> bytes:
    records = [*contents.schemas.values(), *contents.channels.values()]
    counts: dict[int, int] = {}
    for chunk in contents.chunks:
        for channel, rows in chunk.times.items():
            counts[channel] = counts.get(channel, 0) + len(rows)
        index = b''.join(struct.pack('<HQ', *pair) for pair in chunk.index.items())
        name = chunk.compression.encode()
        record = (
            struct.pack('<QQQQ', *chunk.span(), chunk.start, chunk.end - chunk.start)
            + struct.pack('<I', len(index))
            + index
            + struct.pack('<QI', chunk.index_end - chunk.end, len(name))
            + name
            + struct.pack('<QQ', *chunk.sizes)
        )
        records.append(_HEAD.pack(_CHUNK_INDEX, len(record)) + record)
    spans = [chunk.span() for chunk in contents.chunks if chunk.times]
    first, last = min((s[0] for s in spans), default=0), max((s[1] for s in spans), default=0)
    totals = (sum(counts.values()), len(contents.schemas), len(contents.channels))
    table = b''.join(struct.pack('<HQ', *pair) for pair in sorted(counts.items()))
    record = struct.pack('<QHIIIIQQI', *totals, 0, 0, len(spans), first, last, len(table)) + table
    records.append(_HEAD.pack(_STATISTICS, len(record)) + record)
    return b''.join(records)


def _footer(summary_start: int) -> bytes:
    return _HEAD.pack(_FOOTER, 20) + struct.pack('<QQI', summary_start, 0, 0)
