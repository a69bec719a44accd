"""Open a ROS bag: MCAP or SQLite, whole, split, or left by a recorder that was killed."""

import logging
import struct
from collections.abc import Collection, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.rosbag1 import ReaderError as Ros1ReaderError
from rosbags.rosbag2 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_typestore

from kf_imitation.bags.foreign_mcap import ForeignMcap
from kf_imitation.bags.mcap_recovery import MAGIC, FinishedView, is_unfinished
from kf_imitation.bags.recognition import packed_files, storage_files
from kf_imitation.errors import BagError

RAW_IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
FOXGLOVE_IMAGE = 'foxglove_msgs/msg/CompressedImage'
FOXGLOVE_RAW_IMAGE = 'foxglove_msgs/msg/RawImage'
# Messages whose data are a whole image file, and all that show something.
PACKED_IMAGES = (COMPRESSED_IMAGE, FOXGLOVE_IMAGE)
IMAGES = (RAW_IMAGE, FOXGLOVE_RAW_IMAGE, *PACKED_IMAGES)
_EXPORT = 'export a video or a folder of images and give that'
_OWN_IMAGES = ('/keyframe/image', '/keyframe/annotated')


def _library_errors() -> tuple[type[Exception], ...]:
    """What the libraries below rosbags raise on damaged files, as far as they are installed."""
    found: list[type[Exception]] = []
    for module, name in (
        ('apsw', 'Error'),
        ('sqlite3', 'Error'),
        ('compression.zstd', 'ZstdError'),
        ('backports.zstd', 'ZstdError'),
        ('zstandard', 'ZstdError'),
        ('mcap.exceptions', 'McapError'),
        ('google.protobuf.message', 'Error'),
    ):
        try:
            found.append(getattr(import_module(module), name))
        except ModuleNotFoundError:
            continue
    return tuple(found)


# Damaged bytes can break rosbags anywhere: it asserts, indexes and decodes as it goes. Only calls
# of the library itself are made under these, so a mistake of ours never reads "damaged bag".
_DAMAGE: tuple[type[Exception], ...] = (
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


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of a bag.

    Attributes:
        kind: message type.
        count: of messages.
        kept: its publisher kept its last messages for late listeners.
    """

    kind: str
    count: int
    kept: bool


class BagMessage(NamedTuple):
    """One message of a bag.

    Attributes:
        topic: name in the bag.
        kind: message type.
        stamp_ns: time in the bag.
        data: serialized.
    """

    topic: str
    kind: str
    stamp_ns: int
    data: bytes


class OpenBag:
    """A bag that is read; a context manager. What damage makes rosbags raise becomes BagError.

    Attributes:
        path: as it was opened, for messages.
        library: the reader of rosbags, for what only metadata.yaml needs.
        topics: by name, in the order of the names; a topic without messages is one too.
        message_count: of all topics.
        start_ns, end_ns: time of the first and of the last message; 0 without any.
    """

    def __init__(self, path: Path, files: Sequence[Any]) -> None:
        """Open files of one bag; see open_bag.

        Raises:
            BagError: they cannot be read.
        """
        self.path = path
        try:
            self.library = _library(files)
            self.library.open()
            self.message_count = int(self.library.message_count)
            self.start_ns = int(self.library.start_time) if self.message_count else 0
            self.end_ns = int(self.library.end_time) - 1 if self.message_count else 0
        except _DAMAGE as error:
            reason = _foreign(path, files) or _reason(error)
            raise BagError(f'bag {path}: cannot be read: {reason}') from error
        self.topics = {
            name: _topic([c for c in self.library.connections if c.topic == name])
            for name in sorted({c.topic for c in self.library.connections})
        }

    def __enter__(self) -> 'OpenBag':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_ros2(self) -> bool:
        """Whether its messages are of ROS 2, as they would be sent."""
        return bool(self.library.is2)

    @property
    def held(self) -> str:
        """The names of its topics, for a message."""
        return ', '.join(self.topics) or 'nothing'

    @property
    def unread(self) -> str:
        """What of it is not read, and what to do, for a message; '' for a bag of ROS 2."""
        left_out = ', '.join(sorted(getattr(self.library, 'left_out', ())))
        held = f'; not read: {left_out}' if left_out else ''
        return f'{held}; {_EXPORT}' if isinstance(self.library, ForeignMcap) else ''

    def messages(
        self, topics: Collection[str], start_ns: int | None = None
    ) -> Generator[BagMessage, None, None]:
        """Messages of topics in the order of their times.

        Args:
            topics: names; others than those of the bag are passed over.
            start_ns: time in the bag from which on; None: all.

        Raises:
            BagError: the bag is damaged from here on.
        """
        connections = [c for c in self.library.connections if c.topic in topics]
        if not connections:
            return
        found = self.library.messages(connections=connections, start=start_ns)
        while True:
            try:
                item = next(found, None)
            except _DAMAGE as error:
                raise BagError(f'bag {self.path}: is damaged: {_reason(error)}') from error
            if item is None:
                return
            connection, stamp_ns, data = item
            yield BagMessage(connection.topic, str(connection.msgtype), stamp_ns, data)

    def decode(self, message: BagMessage) -> Any:
        """Return a message with its fields.

        Raises:
            BagError: its bytes are damaged.
        """
        try:
            return self.library.deserialize(message.data, message.kind)
        except _DAMAGE as error:
            place = f'bag {self.path}: {message.topic}'
            raise BagError(f'{place} is damaged: {_reason(error)}') from error

    def begins_with_header(self, kind: str) -> bool:
        """Whether the first field of a message type is a header."""
        fields = self.library.typestore.fielddefs.get(kind, ((), ()))[1]
        return bool(fields) and fields[0][1][1] == 'std_msgs/msg/Header'

    def close(self) -> None:
        """Free the files; may be called twice."""
        if self.library.stack is not None:
            self.library.close()


def open_bag(path: Path) -> OpenBag:
    """Open a bag.

    A folder without metadata.yaml, or with one that cannot be understood, is read from its
    storage files. An MCAP file whose writer was killed is read up to its last complete chunk,
    and a warning says so. Nothing is written.

    Args:
        path: bag folder or file.

    Returns:
        An open bag; the caller closes it.

    Raises:
        BagError: it cannot be read: path and reason in one line.
    """
    if not path.exists():
        raise BagError(f'bag {path}: does not exist')
    if path.name == 'metadata.yaml':
        raise BagError(f'{path}: is one file of a bag; name the folder {path.parent}')
    try:
        return _open_folder(path) if path.is_dir() else _open_files(path, [path])
    except OSError as error:
        raise BagError(f'bag {path}: cannot be read: {_reason(error)}') from error


def image_topic(bag: OpenBag, wanted: str = '') -> str:
    """Choose the image topic of a bag.

    Args:
        bag: open.
        wanted: with or without the leading slash; '' takes the only one.

    Raises:
        BagError: there is none, there are several, or not the one wanted; names those there are.
    """
    path = bag.path
    topics = [n for n, t in bag.topics.items() if t.kind in IMAGES]
    if not topics:
        raise BagError(
            f'bag {path}: holds no image topic (holds {bag.held}){bag.unread}; '
            'record --images and mimic --record-images write them'
        )
    if wanted:
        name = f'/{wanted.strip("/")}'
        if name not in topics:
            raise BagError(
                f'bag {path}: holds no image topic {wanted} (image topics: {", ".join(topics)})'
            )
        return name
    # A topic that was announced and stayed empty is no choice, nor are crops that we made.
    filled = [name for name in topics if bag.topics[name].count] or topics
    filled = [topic for topic in filled if not topic.endswith(_OWN_IMAGES)] or filled
    # camera/image_raw/compressed is camera/image_raw once more.
    filled = [topic for topic in filled if topic.rpartition('/')[0] not in filled]
    if len(filled) > 1:
        raise BagError(f'bag {path}: holds several image topics, name one: {", ".join(filled)}')
    return str(filled[0])


def focal_px(bag: OpenBag, image_topic: str) -> float:
    """Focal length in the camera_info next to an image topic [px]; 0 without one.

    A transport's topic (camera/image_raw/compressed) has that of the image it packs.

    Raises:
        BagError: it is damaged.
    """
    place = image_topic.rpartition('/')[0]
    packed = bag.topics[image_topic].kind in PACKED_IMAGES
    for folder in (place.rpartition('/')[0], place) if packed else (place,):
        for message in bag.messages({f'{folder}/camera_info'}):
            info = bag.decode(message)
            return float((info.k if hasattr(info, 'k') else info.K)[0])
    return 0.0


def _topic(connections: Sequence[Any]) -> Topic:
    kept = [
        profile.durability.name == 'TRANSIENT_LOCAL'
        for c in connections
        for profile in getattr(c.ext, 'offered_qos_profiles', ())
    ]
    count = sum(int(c.msgcount) for c in connections)
    return Topic(str(connections[-1].msgtype), count, bool(kept) and all(kept))


def _reason(error: BaseException) -> str:
    """Return what an error of the library says, as one line."""
    text = getattr(error, 'strerror', None) or str(error) or type(error).__name__
    return ' '.join(str(text).split()).rstrip('.')


def _library(files: Sequence[Any]) -> Any:
    """Return the reader of files: that of rosbags, or ours for other profiles of MCAP."""
    if len(files) == 1 and files[0].suffix == '.mcap' and _profile(files[0]) not in ('ros2', None):
        return ForeignMcap(files[0])
    return AnyReader(files, default_typestore=get_typestore(Stores.ROS2_KILTED))


def _profile(file: Any) -> str | None:
    """Return the profile in the head of an MCAP file, for example ros2; None of another file."""
    with file.open('rb') as opened:
        start: bytes = opened.read(200)
    if not start.startswith(MAGIC):
        return None
    # After the magic comes the record of the head (opcode, length), which begins with it.
    length = int.from_bytes(start[17:21], 'little')
    return start[21 : 21 + length].decode('ascii', 'replace')


def _foreign(path: Path, files: Sequence[Any]) -> str:
    """Return what to do with a recording that only another program can read, or ''."""
    with suppress(OSError):
        with files[0].open('rb') as file:
            if file.read(10) == b'#ROSBAG V2':
                return 'it was not closed, or is damaged; `rosbag reindex` of ROS 1 mends it'
        if path.suffix == '.zstd':
            return f'it is compressed as a whole; unpack it first (zstd -d {path.name})'
        if _profile(files[0]) not in ('ros2', None):
            return f'its messages are not of ROS 2, and not understood; {_EXPORT}'
    return ''


def _open_folder(path: Path) -> OpenBag:
    files = storage_files(path)
    cut = [f for f in files if f.suffix == '.mcap' and is_unfinished(f)]
    if not (path / 'metadata.yaml').is_file():
        if not files and (packed := packed_files(path)):
            raise BagError(
                f'bag {path}: cannot be read: {packed[0].name} is compressed as a whole, and '
                f'metadata.yaml is missing; unpack it first (zstd -d {packed[0].name})'
            )
        if not files:
            raise BagError(f'bag {path}: is not a bag (no metadata.yaml, .mcap or .db3)')
        return _open_files(path, files)
    if cut:
        # It was closed once, so the rest was lost since: nothing that should pass unseen.
        raise BagError(
            f'bag {path}: {cut[0].name} is cut off; copy it again, or name the file itself to '
            f'read what is there'
        )
    try:
        return OpenBag(path, [path])
    except BagError as error:
        if not files or isinstance(error.__cause__, OSError):
            raise
        try:
            bag = _open_files(path, files)
        except BagError:
            raise error from None
        _warn(f'{error}; reading without metadata.yaml')
        return bag


def _open_files(path: Path, files: list[Path]) -> OpenBag:
    for file in files:
        if not file.stat().st_size:
            raise BagError(f'bag {path}: {file.name} is empty')
    cut = [f for f in files if f.suffix == '.mcap' and is_unfinished(f)]
    bag = OpenBag(path, [FinishedView(f) if f in cut else f for f in files])
    for file in cut:
        _warn(f'bag {path}: {file.name} was not closed; reading up to its last whole chunk')
    return bag


def _warn(sentence: str) -> None:
    logging.getLogger('kf_imitation').warning(sentence)  # stderr, unless somebody set it up
