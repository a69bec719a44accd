"""Which message of a bag is due when: rate, loop, start; no ROS in it."""

import struct
import time
from collections.abc import Callable, Collection, Iterator

from kf_imitation.bags.opening import BagMessage, OpenBag
from kf_imitation.errors import BagError

# Between two rounds of a loop: enough for the last keyframes of the first to be committed.
LOOP_GAP_NS = 1_000_000_000
# sec and nanosec of a CDR message; the second byte says whether it is little-endian.
_STAMP = ('>iI', '<iI')


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

    def __init__(self, bag: OpenBag, topics: Collection[str], start_offset_s: float) -> None:
        """Choose.

        Args:
            bag: open, and closed by the caller.
            topics: names with or without the leading slash; empty: all of them.
            start_offset_s: what is left out at the beginning.

        Raises:
            BagError: a topic is not in the bag, or nothing is left to be played.
        """
        name = f'bag {bag.path}'
        if not bag.is_ros2:
            raise BagError(
                f'{name}: its messages are not of ROS 2: replay reads the images of such a bag; '
                f'of a .bag of ROS 1, rosbags-convert makes one that can be played'
            )
        wanted = {f'/{topic.strip("/")}' for topic in topics} or set(bag.topics)
        if missing := sorted(wanted - set(bag.topics)):
            raise BagError(f'{name}: has no topic {", ".join(missing)} (has {bag.held})')
        self._bag = bag
        self.kinds = {n: t.kind for n, t in bag.topics.items() if t.count and n in wanted}
        if not self.kinds:
            raise BagError(f'{name}: holds no message on the topics to be played')
        self.start_ns = bag.start_ns + round(start_offset_s * 1e9)
        self.end_ns = bag.end_ns
        if self.start_ns > self.end_ns:
            length_s = (self.end_ns - bag.start_ns) * 1e-9
            raise BagError(
                f'{name}: {length_s:.1f} s long, start offset {start_offset_s:g} s is beyond'
            )

    def drop(self, topics: Collection[str]) -> None:
        """Leave topics out."""
        self.kinds = {topic: k for topic, k in self.kinds.items() if topic not in topics}

    @property
    def period_ns(self) -> int:
        """From the start of one round of a loop to that of the next."""
        return self.end_ns - self.start_ns + LOOP_GAP_NS

    def messages(self, later_ns: int = 0) -> Iterator[BagMessage]:
        """From the start to the end, in the order of their times.

        Args:
            later_ns: added to the times, and to the stamp of every message that begins with a
                header: in a loop time goes on, since nodes take older stamps for a mistake.

        Raises:
            BagError: the bag is damaged from here on.
        """
        stamped = {
            kind for kind in self.kinds.values() if later_ns and self._bag.begins_with_header(kind)
        }
        for message in self._bag.messages(self.kinds, self.start_ns):
            data = bytes(message.data)
            if message.kind in stamped:
                data = shifted(data, later_ns)
            yield message._replace(stamp_ns=message.stamp_ns + later_ns, data=data)


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
