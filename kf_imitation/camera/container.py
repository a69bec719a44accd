"""What the container of a video says: whether it is whole, how long, and which way is up.

A recording that was interrupted, or a download that broke off, often still opens; the decoder
then stops in the middle without a word. Containers say how long they should be.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# ISO base media (MP4, MOV): ISO/IEC 14496-12, section 4.2: size (32 bit), type, [size (64 bit)].
_EBML = b'\x1a\x45\xdf\xa3'
_SEGMENT = b'\x18\x53\x80\x67'
_MP4_START = {b'ftyp', b'moov', b'mdat', b'free', b'skip', b'wide', b'moof', b'styp', b'pnot'}


def is_mp4(path: Path) -> bool:
    """Whether a file is ISO base media (MP4, MOV).

    Raises:
        OSError: it cannot be read.
    """
    with path.open('rb') as file:
        return file.read(8)[4:8] in _MP4_START


def container_fault(path: Path) -> str:
    """Return what is wrong with a file's frame, or '' (also for containers not known here).

    Args:
        path: readable file.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open('rb') as file:
        head = file.read(12)
    if head[4:8] in _MP4_START:
        return _mp4_fault(path, size)
    if head[:4] == b'RIFF' and head[8:] == b'AVI ':
        promised = int.from_bytes(head[4:8], 'little') + 8
        # Files above 1 GiB go on in further RIFF parts (OpenDML), so only a shortfall is a fault.
        if promised > size:
            return _cut_off(size, promised)
    if head[:4] == _EBML:
        return _matroska_fault(path, size)
    return ''


def shown_s(path: Path) -> float | None:
    """Return how long the pictures of an MP4 last by its index [s]; None where it does not say.

    That of the first track with a picture size (ISO/IEC 14496-12, section 8.3.2), edits included.

    Raises:
        OSError: it cannot be read.
    """
    if not is_mp4(path):
        return None
    end = path.stat().st_size
    with path.open('rb') as file:
        movie = next(_boxes(file, [b'moov', b'mvhd'], 0, end), b'')
        scale = _number(movie, 20 if movie[:1] == b'\x01' else 12, 4)
        for begin, stop in _spans(file, [b'moov', b'trak'], 0, end):
            head = next(_boxes(file, [b'tkhd'], begin, stop), b'')
            wide = head[:1] == b'\x01'
            if not scale or not any(head[88 if wide else 76 :][:8]):
                continue  # no picture
            length = _number(head, 28, 8) if wide else _number(head, 20, 4)
            edits = next(_boxes(file, [b'edts', b'elst'], begin, stop), b'')
            # Of the edits those without media are a pause before the first picture.
            step, size = (20, 8) if edits[:1] == b'\x01' else (12, 4)
            for at in range(8, min(len(edits), 8 + step * _number(edits, 4, 4)), step):
                if edits[at + size : at + 2 * size] == b'\xff' * size:
                    length -= _number(edits, at, size)
            return length / scale if 0 < length < 1 << 31 else None
    return None


def quarter_turns(path: Path) -> int | None:
    """Return how often the pictures of an MP4 must be turned clockwise by 90 degrees, 0 to 3.

    From the matrix of the first track that has a picture size (ISO/IEC 14496-12, section 8.3.2):
    (a, b, u, c, d, v, x, y, w) takes a pixel to (a x + c y, b x + d y).

    Returns:
        None for other containers, and for a file whose index says nothing.

    Raises:
        OSError: it cannot be read.
    """
    if not is_mp4(path):
        return None
    with path.open('rb') as file:
        for box in _boxes(file, [b'moov', b'trak', b'tkhd'], 0, path.stat().st_size):
            # After version and flags: times, track and length in 32 or 64 bits; then 16 bytes.
            begin = 4 + (32 if box[:1] == b'\x01' else 20) + 16
            a, b, c, d = (
                int.from_bytes(box[begin + at : begin + at + 4], 'big', signed=True)
                for at in (0, 4, 12, 16)
            )
            if len(box) >= begin + 44 and any(box[begin + 36 : begin + 44]):
                turns = {(1, 0): 0, (0, 1): 1, (-1, 0): 2, (0, -1): 3}
                right, down = (_sign(a), _sign(b)), (_sign(c), _sign(d))
                mirrored = right[0] * down[1] - right[1] * down[0] < 0
                return 0 if mirrored else turns.get(right, 0)
    return None


def _matroska_fault(path: Path, size: int) -> str:
    """Compare the size of the segment with the file; a recorder that was killed left none."""
    with path.open('rb') as file:
        start = file.read(4096)
    at = 4
    length, at = _ebml_size(start, at)
    at += length or 0  # the head
    if start[at : at + 4] != _SEGMENT:
        return ''
    length, at = _ebml_size(start, at + 4)
    return _cut_off(size, at + length) if length is not None and at + length > size else ''


def _ebml_size(data: bytes, at: int) -> tuple[int | None, int]:
    """Return a variable-length number (RFC 8794, section 4) and where it ends; None: unknown."""
    first = data[at] if at < len(data) else 0
    width = 9 - first.bit_length()
    if not 1 <= width <= 8:
        return None, at
    value = int.from_bytes(data[at : at + width], 'big') & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value, at + width


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], 'big')


def _boxes(file: BinaryIO, names: list[bytes], begin: int, end: int) -> Iterator[bytes]:
    """Yield what the boxes on a path of box types hold, at most 200 bytes of each."""
    for start, stop in _spans(file, names, begin, end):
        file.seek(start)
        yield file.read(min(stop - start, 200))


def _spans(file: BinaryIO, names: list[bytes], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the contents of the boxes on a path of box types begin and end."""
    while begin + 8 <= end:
        file.seek(begin)
        header = file.read(16)
        size, start = int.from_bytes(header[:4], 'big'), 8
        if size == 1:
            size, start = int.from_bytes(header[8:16], 'big'), 16
        size = size or end - begin
        if size < start:
            return
        if header[4:8] == names[0] and len(names) > 1:
            yield from _spans(file, names[1:], begin + start, min(end, begin + size))
        elif header[4:8] == names[0]:
            yield begin + start, min(end, begin + size)
        begin += size


def _mp4_fault(path: Path, size: int) -> str:
    position = 0
    seen: set[bytes] = set()
    with path.open('rb') as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length = int.from_bytes(header[:4], 'big')
            if length == 1:
                length = int.from_bytes(header[8:16], 'big')
            elif length == 0:
                length = size - position
            if length < 8:
                return f'is damaged: box of {length} bytes at byte {position}'
            seen.add(header[4:8])
            position += length
            if position > size:
                return _cut_off(size, position)
    if b'moov' not in seen:
        return 'has no index (moov): the recording or download was cut off'
    return ''


def _cut_off(size: int, promised: int) -> str:
    return f'is cut off: {size} bytes of {promised}'
