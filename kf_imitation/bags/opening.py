"""Open a ROS bag: MCAP or SQLite, whole, split, or left by a recorder that was killed."""

import logging
import struct
from importlib import import_module
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.rosbag1 import ReaderError as Ros1ReaderError
from rosbags.rosbag2 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_typestore

from kf_imitation.bags.mcap_recovery import FinishedView, is_unfinished
from kf_imitation.errors import BagError

RAW_IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
STORAGE_SUFFIXES = ('.mcap', '.db3')
_OWN_IMAGES = ('/keyframe/image', '/keyframe/annotated')
BAG_SUFFIXES = frozenset({*STORAGE_SUFFIXES, '.bag'})


def _library_errors() -> tuple[type[Exception], ...]:
    """What the libraries below rosbags raise on damaged files, as far as they are installed."""
    found: list[type[Exception]] = []
    for module, name in (
        ('apsw', 'Error'),
        ('sqlite3', 'Error'),
        ('compression.zstd', 'ZstdError'),
        ('backports.zstd', 'ZstdError'),
        ('zstandard', 'ZstdError'),
    ):
        try:
            found.append(getattr(import_module(module), name))
        except ModuleNotFoundError:
            continue
    return tuple(found)


# Damaged bytes can break rosbags anywhere: it asserts, indexes and decodes as it goes.
READ_ERRORS: tuple[type[Exception], ...] = (
    AnyReaderError,
    ReaderError,
    Ros1ReaderError,
    SerdeError,
    TypesysError,
    OSError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    *_library_errors(),
)


def is_bag(path: Path) -> bool:
    """Whether a path is a bag file or a bag folder."""
    if path.is_dir():
        return (path / 'metadata.yaml').is_file() or bool(_storage_files(path))
    return path.suffix.lower() in BAG_SUFFIXES


def open_reader(path: Path) -> AnyReader:
    """Open a bag.

    A folder without metadata.yaml, or with one that cannot be understood, is read from its
    storage files. An MCAP file whose writer was killed is read up to its last complete chunk,
    and a warning says so. Nothing is written.

    Args:
        path: bag folder or file.

    Returns:
        An open reader; the caller closes it.

    Raises:
        BagError: it cannot be read: path and reason in one line.
    """
    if not path.exists():
        raise BagError(f'bag {path}: does not exist')
    try:
        if not path.is_dir():
            return _open(path, [path])
        return _open_folder(path)
    except READ_ERRORS as error:
        raise BagError(f'bag {path}: cannot be read: {reason(error)}') from error


def reason(error: BaseException) -> str:
    """Return what an error of a reading library says, as one line."""
    text = getattr(error, 'strerror', None) or str(error) or type(error).__name__
    return ' '.join(str(text).split()).rstrip('.')


def held_topics(reader: AnyReader) -> str:
    """Return the topics of a bag for a message."""
    return ', '.join(sorted({c.topic for c in reader.connections})) or 'nothing'


def image_topic(path: Path, reader: AnyReader, wanted: str = '') -> str:
    """Choose the image topic of a bag.

    Args:
        path: for messages.
        reader: open.
        wanted: with or without the leading slash; '' takes the only one.

    Raises:
        BagError: there is none, there are several, or not the one wanted; names those there are.
    """
    images = [c for c in reader.connections if c.msgtype in (RAW_IMAGE, COMPRESSED_IMAGE)]
    topics = sorted({c.topic for c in images})
    if not topics:
        raise BagError(f'bag {path}: holds no image topic (holds {held_topics(reader)})')
    if wanted:
        name = f'/{wanted.strip("/")}'
        if name not in topics:
            raise BagError(
                f'bag {path}: holds no image topic {wanted} (image topics: {", ".join(topics)})'
            )
        return name
    # A topic that was announced and stayed empty is no choice, nor are crops that we made.
    filled = sorted({c.topic for c in images if c.msgcount}) or topics
    filled = [topic for topic in filled if not topic.endswith(_OWN_IMAGES)] or filled
    if len(filled) > 1:
        raise BagError(f'bag {path}: holds several image topics, name one: {", ".join(filled)}')
    return str(filled[0])


def _open_folder(path: Path) -> AnyReader:
    files = _storage_files(path)
    cut = [f for f in files if f.suffix == '.mcap' and is_unfinished(f)]
    if not (path / 'metadata.yaml').is_file():
        if not files:
            raise BagError(f'bag {path}: is not a bag (no metadata.yaml, no .mcap, no .db3)')
        return _open(path, files)
    if cut:
        # It was closed once, so the rest was lost since: nothing that should pass unseen.
        raise BagError(
            f'bag {path}: {cut[0].name} is cut off; copy it again, or name the file itself to '
            f'read what is there'
        )
    try:
        return _opened([path])
    except READ_ERRORS as error:
        if not files or isinstance(error, OSError):
            raise
        try:
            reader = _open(path, files)
        except READ_ERRORS:
            raise error from None
        _warn(f'bag {path}: metadata.yaml is passed over: {reason(error)}')
        return reader


def _open(path: Path, files: list[Path]) -> AnyReader:
    for file in files:
        if not file.stat().st_size:
            raise BagError(f'bag {path}: {file.name} is empty')
    cut = [f for f in files if f.suffix == '.mcap' and is_unfinished(f)]
    reader = _opened([FinishedView(f) if f in cut else f for f in files])
    for file in cut:
        _warn(f'bag {path}: {file.name} was not closed; reading up to its last whole chunk')
    return reader


def _opened(paths: list[Any]) -> AnyReader:
    reader = AnyReader(paths, default_typestore=get_typestore(Stores.ROS2_KILTED))
    reader.open()
    return reader


def _storage_files(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.suffix in STORAGE_SUFFIXES and p.is_file())


def _warn(sentence: str) -> None:
    logging.getLogger('kf_imitation').warning(sentence)  # stderr, unless somebody set it up
