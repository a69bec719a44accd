"""Find cut-off video files before the first frame is used.

A recording that was interrupted, or a download that broke off, often still opens; the decoder
then stops in the middle without a word. Containers say how long they should be.
"""

from pathlib import Path

# ISO base media (MP4, MOV): ISO/IEC 14496-12, section 4.2: size (32 bit), type, [size (64 bit)].
_MP4_START = {b'ftyp', b'moov', b'mdat', b'free', b'skip', b'wide', b'moof', b'styp', b'pnot'}


def is_mp4(path: Path) -> bool:
    """Whether a file is ISO base media (MP4, MOV), whose length container_fault() checks fully.

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
    return ''


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
