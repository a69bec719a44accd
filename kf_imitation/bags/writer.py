"""Write a bag that `ros2 bag play` and Foxglove read (MCAP, rosbag2 version 9).

What happens when something goes wrong while recording:
- an error in the caller, or Ctrl-C: the bag is closed as usual and complete up to there;
- little free disk: the bag is closed, complete up to there, and BagError says so;
- no free disk at all: what was written before is readable, as after a kill;
- the process is killed: messages that are older than 0.5 s (of stamps; of time, for who calls
  flush()) are in the .mcap file, which has no index yet, in a folder without metadata.yaml. Our
  readers take it as it is; for others, bag_reader.repair_bag() or `mcap recover` and
  `ros2 bag reindex` write what is missing;
- the power fails: as far as the kernel had written it; nothing is synced to disk.
"""

import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, TypesysError, get_typestore

from kf_imitation.bags.message_definitions import define
from kf_imitation.errors import BagError

BAG_VERSION = 9
MINIMUM_FREE_MB = 500
# Free disk is looked at once per this many bytes; the guard's margin is far above.
CHECK_BYTES = 4_000_000
# What a crash may cost: messages are handed to the kernel at least this often (by stamps).
FLUSH_NS = 500_000_000
# Of a message in the file, in addition to its data: record head, stamps, index entry.
_OVERHEAD_BYTES = 47
_FOREVER = QosTime(9_223_372_036, 854_775_807)


class Offered(NamedTuple):
    """What the publishers of a topic offer, as a player has to.

    Attributes:
        reliable: lost messages are sent again.
        kept: the last messages are kept for late listeners (transient local).
    """

    reliable: bool = True
    kept: bool = False


def _qos(offered: Offered) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST,
        10,
        QosReliability.RELIABLE if offered.reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if offered.kept else QosDurability.VOLATILE,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        avoid_ros_namespace_conventions=False,
    )


def free_disk_mb(folder: Path) -> float:
    """Free space of the disk that holds a folder [MB]."""
    return shutil.disk_usage(folder).free / 1e6


class BagWriter:
    """Writes messages of any topic; a context manager. Several threads may write.

    The folder appears with the first bytes and must not exist before. Topics are made when they
    are first written; declare() makes them earlier, so that a topic that stays empty is listed.
    """

    def __init__(
        self,
        directory: Path,
        minimum_free_mb: float = MINIMUM_FREE_MB,
        free_mb: Callable[[Path], float] = free_disk_mb,
    ) -> None:
        """Make the folder and the file.

        Args:
            directory: bag folder to make, with its parents.
            minimum_free_mb: stop below this free disk; 0 never stops.
            free_mb: measures it (tests).

        Raises:
            BagError: the folder exists, cannot be made, or the disk is too full to begin.
        """
        self.directory = directory
        self._minimum_free_mb = minimum_free_mb
        self._free_mb = free_mb
        self._lock = threading.Lock()
        self._store = get_typestore(Stores.ROS2_KILTED)
        self._connections: dict[str, Any] = {}
        self._unchecked = 0
        self._last_flush_ns: int | None = None
        self.message_count = 0
        self.byte_count = 0
        self._writer: Any = None
        if directory.exists():
            raise BagError(f'bag {directory}: exists already; name a folder that does not')
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            self._guard_disk(directory.parent)
            writer = Writer(directory, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP)
            writer.open()
        except (OSError, WriterError) as error:
            with suppress(OSError):
                directory.rmdir()  # made, but no file could be
            raise BagError(f'bag {directory}: cannot be made: {_reason(error)}') from error
        self._writer = writer
        self.flush()  # the head of the file: killed from now on, it is a bag

    @property
    def types(self) -> Any:
        """Message classes by ROS name: writer.types['std_msgs/msg/Float32'](data=0.5)."""
        return self._store.types

    def declare(self, topic: str, message_type: str, offered: Offered | None = None) -> None:
        """Make a topic.

        Args:
            topic: name; a leading slash is added.
            message_type: for example std_msgs/msg/Float32.
            offered: by its publishers; None says nothing, and players take their default.

        Raises:
            BagError: the type is unknown, or the topic has another type.
        """
        with self._lock:
            self._connection(topic, message_type, offered)

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Write a message of `types`.

        Args:
            topic: name.
            message: its type is the topic's.
            stamp_ns: time in the bag, at which it is played.

        Raises:
            BagError: see write_raw.
        """
        message_type = str(message.__msgtype__)
        data = self._store.serialize_cdr(message, message_type)
        self.write_raw(topic, message_type, bytes(data), stamp_ns)

    def write_raw(
        self,
        topic: str,
        message_type: str,
        data: bytes | memoryview,
        stamp_ns: int,
        offered: Offered | None = None,
    ) -> None:
        """Write a message that is serialized already (CDR, as in raw subscriptions).

        Args:
            topic: name; a leading slash is added.
            message_type: for example std_msgs/msg/Float32.
            data: with its encapsulation header of 4 bytes.
            stamp_ns: time in the bag, at which it is played.
            offered: as in declare(); the topic's first message says it for all.

        Raises:
            BagError: closed, unknown type, disk full; after a full disk the bag is closed.
        """
        with self._lock:
            connection = self._connection(topic, message_type, offered)
            self._unchecked += len(data)
            if self._unchecked >= CHECK_BYTES:
                self._unchecked = 0
                self._guard_disk(self.directory)
            try:
                self._writer.write(connection, stamp_ns, data)
                self._flush_sometimes(stamp_ns)
            except OSError as error:
                self._abort()
                raise BagError(
                    f'bag {self.directory}: {_reason(error)}; stopped after {self.message_count} '
                    f'messages'
                ) from error
            self.message_count += 1
            self.byte_count += len(data) + _OVERHEAD_BYTES

    def flush(self) -> None:
        """Hand everything to the kernel, so that a kill of this process does not lose it.

        Raises:
            BagError: the disk does not take it; the bag is closed.
        """
        with self._lock:
            if self._writer is None:
                return
            try:
                self._end_chunk()
            except OSError as error:
                self._abort()
                raise BagError(f'bag {self.directory}: {_reason(error)}') from error

    def close(self) -> None:
        """Write index and metadata; may be called twice.

        Raises:
            BagError: the disk does not take them.
        """
        with self._lock:
            self._close()

    def __enter__(self) -> 'BagWriter':
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close, after errors too: what was written is worth having."""
        self.close()

    def _connection(self, topic: str, message_type: str, offered: Offered | None) -> Any:
        if self._writer is None:
            raise BagError(f'bag {self.directory}: is closed')
        name = topic if topic.startswith('/') else f'/{topic}'
        connection = self._connections.get(name)
        if connection is None:
            if message_type not in self._store.types and not define(self._store, message_type):
                raise BagError(f'bag {self.directory}: {name} has the unknown type {message_type}')
            try:
                connection = self._writer.add_connection(
                    name,
                    message_type,
                    typestore=self._store,
                    offered_qos_profiles=[_qos(offered)] if offered else [],
                )
            except (TypesysError, KeyError) as error:
                raise BagError(
                    f'bag {self.directory}: {name} has the unusable type {message_type}'
                ) from error
            self._connections[name] = connection
        elif connection.msgtype != message_type:
            raise BagError(
                f'bag {self.directory}: {name} is {connection.msgtype}, not {message_type}'
            )
        return connection

    def _guard_disk(self, folder: Path) -> None:
        if self._minimum_free_mb <= 0:
            return
        free = self._free_mb(folder)
        if free < self._minimum_free_mb:
            self._close()
            done = f' after {self.message_count} messages' if self.message_count else ''
            raise BagError(
                f'bag {self.directory}: stopped{done}: {free:.0f} MB free on this disk, '
                f'minimum {self._minimum_free_mb:.0f} MB'
            )

    def _flush_sometimes(self, stamp_ns: int) -> None:
        """End the chunk every now and then; by stamps, so that equal runs write equal files."""
        if self._last_flush_ns is None:
            self._last_flush_ns = stamp_ns
        if stamp_ns - self._last_flush_ns < FLUSH_NS:
            return
        self._last_flush_ns = stamp_ns
        self._end_chunk()

    def _end_chunk(self) -> None:
        # rosbags ends a chunk at 1 MiB only: hours of scores. Its storage object is not public,
        # so without these names (another version) the bag is merely less tolerant of a crash.
        storage: Any = getattr(self._writer, 'storage', None)
        if not (hasattr(storage, 'close_chunk') and hasattr(storage, 'bio')):
            return
        if getattr(getattr(storage, 'chunk', None), 'msgs', True):
            storage.close_chunk()
        storage.bio.flush()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except OSError as error:
            with suppress(OSError):  # closing writes what is buffered, in vain once more
                writer.abort()
            raise BagError(
                f'bag {self.directory}: cannot be completed: {_reason(error)}'
            ) from error

    def _abort(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):
                writer.abort()


def _reason(error: Exception) -> str:
    return str(getattr(error, 'strerror', None) or error)
