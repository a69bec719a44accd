"""The bag of a run, opened once for all that a report reads from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kf_imitation.bags.opening import OpenBag
from kf_imitation.bags.reader import messages_of, read_joints
from kf_imitation.robot import RobotConfig
from kf_imitation.robot.joint_mapping import JointMapping


class Signals(NamedTuple):
    """A topic of named values.

    Attributes:
        stamps: (N,) [ns].
        names: of the J values.
        values: (N, J) float64.
    """

    stamps: NDArray[np.int64]
    names: tuple[str, ...]
    values: NDArray[np.float64]


@dataclass
class Recording:
    """An open bag; what several parts of the page need is read once.

    Attributes:
        bag: open as long as this is used.
        robot: of the run.
        start_ns: stamp of the first frame.
    """

    bag: OpenBag
    robot: RobotConfig
    start_ns: int = 0

    def __post_init__(self) -> None:
        self._signals: dict[str, Signals | None] = {}

    def messages(self, topic: str) -> Iterator[Any]:
        """Yield the messages of a topic; none of a topic that the bag lacks."""
        if f'/{topic}' in self.bag.topics:
            yield from (message for _, message in messages_of(self.bag, topic))

    def signals(self, topic: str) -> Signals | None:
        """Return a topic of named values; None without a message.

        Raises:
            BagError: its names change in between.
        """
        if topic not in self._signals:
            found = self.bag.topics.get(f'/{topic}')
            has_any = found is not None and found.count
            self._signals[topic] = Signals(*read_joints(self.bag, topic)) if has_any else None
        return self._signals[topic]

    @cached_property
    def present_rad(self) -> NDArray[np.float64] | None:
        """Present positions, (N, J) in the robot's order; None without joints of this robot."""
        found = self.signals('joint_states')
        if found is None or not set(self.robot.names) <= set(found.names):
            return None
        return found.values[:, [found.names.index(name) for name in self.robot.names]]

    @cached_property
    def shown(self) -> NDArray[np.float64] | None:
        """The channels that the robot showed, (N, 19); None without joints of this robot."""
        if self.present_rad is None:
            return None
        mapping = JointMapping(self.robot)
        return np.stack([mapping.channels(row) for row in self.present_rad]).astype(np.float64)

    def seconds(self, stamps_ns: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """Return times since the first frame [s]."""
        return (stamps_ns - self.start_ns) * 1e-9
