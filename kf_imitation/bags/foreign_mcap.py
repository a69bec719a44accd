"""MCAP files of other profiles than ROS 2: messages of ROS 1, JSON or protobuf (Foxglove).

The reader has what OpenBag asks of the one of rosbags. Images of Foxglove become the messages of
ROS that say the same.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from kf_imitation.errors import missing_packages_named

# What is mapped, and the type of ROS that it is read as.
_NAMES = {
    'CompressedImage': 'foxglove_msgs/msg/CompressedImage',
    'RawImage': 'foxglove_msgs/msg/RawImage',
    'CameraCalibration': 'sensor_msgs/msg/CameraInfo',
}
_NO_QOS = SimpleNamespace(offered_qos_profiles=())


class _Connection(NamedTuple):
    topic: str
    msgtype: str
    msgcount: int
    ext: Any = _NO_QOS


class ForeignMcap:
    """Reads one file.

    Attributes:
        connections: one per topic whose messages can be decoded.
        left_out: what the other topics hold.
    """

    is2 = False

    def __init__(self, file: Any) -> None:
        """Only remember; open() does the work.

        Args:
            file: a path, or what opens like one.
        """
        self._file = file
        self.stack: Any = None
        self.left_out: set[str] = set()
        self._decoders: dict[str, Callable[[bytes], Any]] = {}
        self.typestore = get_typestore(Stores.EMPTY)

    def open(self) -> None:
        """Read through the file.

        Raises:
            MissingPackageError: the package mcap is not installed.
            Exception: the file is damaged.
        """
        with missing_packages_named():  # bags of ROS 2 do without
            from mcap.reader import make_reader

        self.stack = self._file.open('rb')
        try:
            self._reader = make_reader(self.stack)
            self._learn_all()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free the file."""
        self.stack.close()
        self.stack = None

    def _learn_all(self) -> None:
        counts: Counter[int] = Counter()
        seen: dict[int, tuple[Any, Any]] = {}
        self.start_time, self.end_time = 0, 0
        for schema, channel, message in self._reader.iter_messages():
            self.start_time = self.start_time or message.log_time
            self.end_time = message.log_time + 1
            seen[channel.id] = schema, channel
            counts[channel.id] += 1
        self.connections = [
            _Connection(channel.topic, kind, counts[number])
            for number, (schema, channel) in seen.items()
            if (kind := self._learn(schema, channel.message_encoding))
        ]
        self.message_count = sum(connection.msgcount for connection in self.connections)

    def messages(
        self, connections: Sequence[_Connection], start: int | None = None
    ) -> Iterator[tuple[_Connection, int, bytes]]:
        """Yield connection, time [ns] and data of messages, in the order of their times."""
        wanted = {connection.topic: connection for connection in connections}
        found = self._reader.iter_messages(topics=list(wanted), starting_at=start)
        for _, channel, message in found:
            yield wanted[channel.topic], message.log_time, message.data

    def deserialize(self, data: bytes, kind: str) -> Any:
        """Return a message with its fields."""
        return self._decoders[kind](data)

    def _learn(self, schema: Any, encoding: str) -> str:
        """Prepare to decode a type; returns what it is called in ROS, '' where there is no way."""
        if encoding in ('ros1', 'cdr') and schema.encoding in ('ros1msg', 'ros2msg'):
            package, _, name = schema.name.replace('/msg/', '/').partition('/')
            kind = f'{package}/msg/{name}'
            self.typestore.register(get_types_from_msg(schema.data.decode(), kind))
            store = self.typestore
            read = store.deserialize_ros1 if encoding == 'ros1' else store.deserialize_cdr
            self._decoders[kind] = lambda data: read(data, kind)
            return kind
        name = schema.name.removeprefix('foxglove.') if schema is not None else ''
        if encoding not in ('json', 'protobuf') or name not in _NAMES:
            self.left_out.add(f'{name or "messages"} in {encoding or "no encoding"}')
            return ''
        parse = json.loads if encoding == 'json' else _protobuf(schema)
        self._decoders[_NAMES[name]] = lambda data: _ros_like(parse(data))
        return _NAMES[name]


def _ros_like(message: Any) -> SimpleNamespace:
    """Return a message of Foxglove with the fields that ROS has."""
    get = message.get if isinstance(message, Mapping) else partial(_attribute, message)
    data = get('data', b'')
    stamp = get('timestamp', {})
    of_stamp = stamp.get if isinstance(stamp, Mapping) else partial(_attribute, stamp)
    return SimpleNamespace(
        timestamp=SimpleNamespace(
            sec=int(of_stamp('sec', of_stamp('seconds', 0))),
            nanosec=int(of_stamp('nsec', of_stamp('nanos', 0))),
        ),
        data=base64.b64decode(data) if isinstance(data, str) else bytes(data),
        k=[float(value) for value in get('K', ())] or [0.0],
        **{name: str(get(name, '')) for name in ('format', 'encoding', 'frame_id')},
        **{name: int(get(name, 0)) for name in ('width', 'height', 'step')},
    )


def _attribute(message: Any, name: str, other: Any) -> Any:
    return getattr(message, name, other)


def _protobuf(schema: Any) -> Callable[[bytes], Any]:
    """Return what parses messages of a schema: a FileDescriptorSet, in any order."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    pool = DescriptorPool()
    waiting = {file.name: file for file in FileDescriptorSet.FromString(schema.data).file}

    def add(name: str) -> None:
        file = waiting.pop(name, None)
        if file is not None:
            for needed in file.dependency:
                add(needed)
            pool.Add(file)

    for name in list(waiting):
        add(name)
    made = GetMessageClass(pool.FindMessageTypeByName(schema.name))
    parse: Callable[[bytes], Any] = made.FromString
    return parse
