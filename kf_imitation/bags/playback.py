"""Which message of a bag is due when: rate, loop, start; no ROS in it."""

import struct
import time
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from rosbags.highlevel import AnyReader

from kf_imitation.bags.opening import READ_ERRORS, held_topics, reason
from kf_imitation.errors import BagError

# Between two rounds of a loop: enough for the last keyframes of the first to be committed.
LOOP_GAP_NS = 1_000_000_000
# sec and nanosec of a CDR message; the second byte says whether it is little-endian.
_STAMP = ('>iI', '<iI')


class Played(NamedTuple):
    """One message of a bag.

    Attributes:
        topic: name in the bag.
        kind: message type.
        stamp_ns: time in the bag.
        data: serialized (CDR).
    """

    topic: str
    kind: str
    stamp_ns: int
    data: bytes


class PlayClock:
    """Bag time: runs at a rate, and can be set back to a message that had to wait."""

    def __init__(self, rate: float, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Stand until start().

        Args:
            rate: bag seconds per second, above 0.
            monotonic_s: clock [s].
        """
        self._rate = rate
        self._monotonic_s = monotonic_s
        self._base_ns = 0
        self._base_s = monotonic_s()

    def start(self, stamp_ns: int) -> None:
        """Let it be this time in the bag now."""
        self._base_ns, self._base_s = stamp_ns, self._monotonic_s()

    def now_ns(self) -> int:
        """Time in the bag."""
        return self._base_ns + round((self._monotonic_s() - self._base_s) * self._rate * 1e9)

    def wait_s(self, stamp_ns: int) -> float:
        """Real time until a message is due [s]; not above 0 when it is."""
        return (stamp_ns - self.now_ns()) * 1e-9 / self._rate


class BagPlay:
    """The messages of a bag, from a start on, of chosen topics.

    Attributes:
        kinds: message type of every topic that is played.
        start_ns: time in the bag where playing starts.
        end_ns: time of the last message.
    """

    def __init__(
        self, name: str, reader: AnyReader, topics: Collection[str], start_offset_s: float
    ) -> None:
        """Choose.

        Args:
            name: of the bag, for messages.
            reader: open, and closed by the caller.
            topics: names with or without the leading slash; empty: all of them.
            start_offset_s: what is left out at the beginning.

        Raises:
            BagError: a topic is not in the bag, or nothing is left to be played.
        """
        if not reader.is2:
            raise BagError(f'bag {name}: is a ROS 1 bag; rosbags-convert makes a ROS 2 bag of it')
        wanted = {f'/{topic.strip("/")}' for topic in topics}
        held = {c.topic for c in reader.connections}
        if missing := sorted(wanted - held):
            raise BagError(
                f'bag {name}: has no topic {", ".join(missing)} (has {held_topics(reader)})'
            )
        self._name = name
        self._reader = reader
        self._connections = [
            c for c in reader.connections if c.msgcount and (not wanted or c.topic in wanted)
        ]
        if not self._connections:
            raise BagError(f'bag {name}: holds no message on the topics to be played')
        self.kinds = {c.topic: str(c.msgtype) for c in self._connections}
        self.start_ns = int(reader.start_time) + round(start_offset_s * 1e9)
        self.end_ns = int(reader.end_time) - 1
        if self.start_ns > self.end_ns:
            length_s = (self.end_ns - int(reader.start_time)) * 1e-9
            raise BagError(
                f'bag {name}: {length_s:.1f} s long, start offset {start_offset_s:g} s is beyond'
            )

    def kept(self, topic: str) -> bool:
        """Whether the topic's publisher kept its last messages for late listeners."""
        profiles = [
            str(profile.durability.name)
            for c in self._connections
            if c.topic == topic
            for profile in getattr(c.ext, 'offered_qos_profiles', [])
        ]
        return bool(profiles) and all(name == 'TRANSIENT_LOCAL' for name in profiles)

    def drop(self, topics: Collection[str]) -> None:
        """Leave topics out."""
        self._connections = [c for c in self._connections if c.topic not in topics]
        self.kinds = {c.topic: str(c.msgtype) for c in self._connections}

    @property
    def period_ns(self) -> int:
        """From the start of one round of a loop to that of the next."""
        return self.end_ns - self.start_ns + LOOP_GAP_NS

    def messages(self, later_ns: int = 0) -> Iterator[Played]:
        """From the start to the end, in the order of their times.

        Args:
            later_ns: added to the times, and to the stamp of every message that begins with a
                header: in a loop time goes on, since nodes take older stamps for a mistake.

        Raises:
            BagError: the bag is damaged from here on.
        """
        stamped = {kind for kind in self.kinds.values() if later_ns and self._has_header(kind)}
        try:
            for connection, stamp_ns, raw in self._reader.messages(
                connections=self._connections, start=self.start_ns
            ):
                kind, data = str(connection.msgtype), bytes(raw)
                if kind in stamped:
                    data = shifted(data, later_ns)
                yield Played(connection.topic, kind, stamp_ns + later_ns, data)
        except READ_ERRORS as error:
            raise BagError(f'bag {self._name}: is damaged: {reason(error)}') from error

    def _has_header(self, kind: str) -> bool:
        fields = self._reader.typestore.fielddefs.get(kind, ((), ()))[1]
        return bool(fields) and fields[0][1][1] == 'std_msgs/msg/Header'


def shifted(data: bytes, later_ns: int) -> bytes:
    """Move the stamp of a serialized message whose first field is a header; 0 stays 0."""
    stamp_ns = header_stamp_ns(data)
    if stamp_ns == 0:
        return data
    stamp = struct.pack(_STAMP[data[1] & 1], *divmod(stamp_ns + later_ns, 1_000_000_000))
    return data[:4] + stamp + data[12:]


def header_stamp_ns(data: bytes) -> int:
    """Stamp of a serialized message whose first field is a header [ns]."""
    seconds, nanoseconds = struct.unpack_from(_STAMP[data[1] & 1], data, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
