"""From node to node of one process without a message: what comes with every frame or keyframe."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from rclpy.node import Node

from kf_imitation.data_types import CameraModel, Expression, FaceImage, Frame

# Who hands over to whom in one process, by the argument of both nodes.
PAIRS = {
    'frames': ('camera', 'keyframe'),
    'crops': ('keyframe', 'landmarks'),
    'faces': ('keyframe', 'servo'),
}
# Nodes that share the thread of another: two threads that see a face mostly wait for each other.
IN_THREAD_OF = {'landmarks': 'keyframe'}

T = TypeVar('T')


class Handover(Generic[T]):
    """Hands things over without a copy and without the middleware's threads.

    As on the topic that it stands for, what is not taken in time gives way to the newest, or all
    of it waits. Nothing that was sent may be changed after.
    """

    def __init__(self) -> None:
        """Start without a receiver: the newest waits for one."""
        self._waiting: deque[T] = deque(maxlen=1)
        self._wake: Callable[[], None] = lambda: None

    def connect(self, wake: Callable[[], None], depth: int | None) -> None:
        """Take what is sent from now on.

        Args:
            wake: called by the sender's thread after everything sent; the receiver takes it then.
            depth: how many wait at most; None: all.
        """
        self._waiting = deque(self._waiting, maxlen=depth)
        self._wake = wake

    def send(self, thing: T) -> None:
        """Hand something over."""
        self._waiting.append(thing)
        self._wake()

    def take(self) -> T | None:
        """Return the oldest that waits, or None."""
        return self._waiting.popleft() if self._waiting else None

    def deliver(self, node: Node, take: Callable[[T], None], depth: int | None) -> None:
        """Let a node take what is sent from now on, one at a time in its executor.

        Args:
            node: of the receiver.
            take: is called with each thing.
            depth: as in connect().
        """

        def arrived() -> None:
            self._pass_on(take)
            if self._waiting:
                arrival.trigger()  # for the next one, after whatever else waits

        arrival = node.create_guard_condition(arrived)
        self.connect(arrival.trigger, depth)

    def deliver_at_once(self, take: Callable[[T], None]) -> None:
        """Let `take` be called with each thing before send() returns, in the sender's thread."""
        self.connect(lambda: self._pass_on(take), 1)

    def _pass_on(self, take: Callable[[T], None]) -> None:
        if (thing := self.take()) is not None:
            take(thing)


Frames = Handover[tuple[Frame, CameraModel, str]]
"""Frames as they were captured and turned, their camera and frame id; in place of image_raw."""

Crops = Handover[tuple[FaceImage, CameraModel, str]]
"""Faces of keyframes, their camera and frame id; in place of keyframe/image."""


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A frame with a face.

    Attributes:
        reflex: its reading; None where the model has none.
    """

    reflex: Expression | None


Faces = Handover[SeenFace]
"""Frames with a face; in place of face/region and face/reflex."""
