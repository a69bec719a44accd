"""Player node: the messages of a bag to their topics at their times, with /clock."""

import sys
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Any

from rosgraph_msgs.msg import Clock

from kf_imitation.bags.opening import BagMessage, open_bag
from kf_imitation.bags.playback import BagPlay, PlayClock, header_stamp_ns
from kf_imitation.errors import BagError, ConfigError, KfImitationError
from kf_imitation.nodes import qos
from kf_imitation.nodes.bag_images import ImagePublisher
from kf_imitation.nodes.conversions import to_time
from kf_imitation.nodes.frame_answers import (
    follow_frames,
    make_flow_control,
    wait_for_listeners,
)
from kf_imitation.nodes.node_base import OK, KfNode
from kf_imitation.nodes.node_main import run_node
from kf_imitation.nodes.topic_follower import message_class
from kf_imitation.parameters.definition import Value
from kf_imitation.paths import user_path

CLOCK = '/clock'
# After the last message time goes on, until the last keyframe is committed and reached.
TAIL_S = 2.0


class PlayerNode(KfNode):
    """Reads a bag in a thread of its own and publishes serialized messages unparsed.

    With `image`, that topic of the bag becomes image_raw, decoded where it is compressed, with a
    camera_info for every frame. With lossless, at most max_in_flight of these are under way, as
    the camera node does; bag time waits meanwhile.
    """

    def __init__(self, overrides: Mapping[str, Value] | None = None, **options: Any) -> None:
        """Open the bag, make the publishers and start.

        Args:
            overrides: parameter values that override parameter files.
            options: for rclpy.node.Node.

        Raises:
            ConfigError: a parameter breaks its rule, or no bag is named.
            BagError: the bag cannot be read or has nothing to play.
        """
        super().__init__('player', overrides, **options)
        path = self.setting('bag', str)
        if not path:
            raise ConfigError('player', ["bag = '' must name a bag"])
        self._stop = Event()
        self._flow = make_flow_control(self)
        self._image = self.setting('image', str)
        self._lossless = self.setting('lossless', bool) and bool(self._image)
        self._state = 'starting'
        self._bag = open_bag(user_path(path))
        try:
            topics = self.setting('topics', str).split()
            self._play = BagPlay(self._bag, topics, self.setting('start_offset_s', float))
            self._outputs = self._make_outputs()
        except BaseException:
            self._bag.close()
            self.destroy_node()
            raise
        self._time = PlayClock(self.setting('rate', float))
        clock_hz = self.setting('clock_hz', float)
        self._tick_s = 1 / clock_hz if clock_hz else 0.1
        self._clocks = self.create_publisher(Clock, CLOCK, 10) if clock_hz else None
        if self._lossless:
            follow_frames(self, self._flow)
        self._thread = Thread(target=self._run, name='player', daemon=True)
        self._thread.start()

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return the state of the player."""
        return OK, f'{self._state} {self.setting("bag", str)}', {}

    def close(self) -> None:
        """Stop playing and free the bag."""
        self._stop.set()
        self._flow.stop()
        self._thread.join(timeout=5.0)
        self._bag.close()

    def _make_outputs(self) -> dict[str, Callable[[BagMessage], bool]]:
        """A function that publishes, by topic of the bag, and says whether it did."""
        outputs: dict[str, Callable[[BagMessage], bool]] = {}
        left_out: dict[str, str] = {}
        for topic, kind in self._play.kinds.items():
            if topic == f'/{self._image.strip("/")}':
                outputs[topic] = ImagePublisher(self, self._bag, topic).publish
                continue
            made = message_class(kind)
            if topic == CLOCK and self.setting('clock_hz', float):
                left_out[topic] = 'this player gives the time'
            elif made is None:
                left_out[topic] = f'{kind} is not installed'
            else:
                profile = qos.play(self._bag.topics[topic].kept)
                outputs[topic] = _raw(self.create_publisher(made, topic, profile))
        for topic, why in left_out.items():
            self.get_logger().warning(f'{topic} is left out: {why}')
        if not outputs:
            raise BagError(f'bag {self.setting("bag", str)}: has no topic that can be played')
        self._play.drop(left_out)
        return outputs

    def _run(self) -> None:
        try:
            self._wait_for_listeners()
            self._state = 'playing'
            self._time.start(self._play.start_ns)
            self._publish_time(self._play.start_ns)
            later_ns = -self._play.period_ns
            again = True
            while again and not self._stop.is_set():
                later_ns += self._play.period_ns
                self._play_once(later_ns)
                again = self.setting('loop', bool)
            self._state = 'at the end of'
            if self._lossless and not self._stop.is_set():
                self._flow.wait_until_through()
            tail_ns = round(TAIL_S * self.setting('rate', float) * 1e9)
            self._let_time_pass(self._play.end_ns + later_ns + tail_ns)
        except KfImitationError as fault:
            self.fail(fault)
        finally:
            self.finished.set()

    def _play_once(self, later_ns: int) -> None:
        self._let_time_pass(self._play.start_ns + later_ns)
        for message in self._play.messages(later_ns):
            self._let_time_pass(message.stamp_ns)
            if self._stop.is_set():
                return
            is_frame = self._lossless and message.topic == f'/{self._image.strip("/")}'
            if is_frame:
                if not self._flow.admit(header_stamp_ns(message.data)):
                    return
                if self._time.wait_s(message.stamp_ns) < -0.05:
                    self._time.start(message.stamp_ns)  # the graph was slower than the bag
            elif (late_s := -self._time.wait_s(message.stamp_ns)) > 0.01:
                self.ledger.observe('late', late_s)
            published = self._outputs[message.topic](message)
            if is_frame and not published:
                self._flow.withdraw(header_stamp_ns(message.data))
            self.ledger.add('messages')

    def _let_time_pass(self, until_ns: int) -> None:
        """Wait until it is that time in the bag, and publish the time meanwhile."""
        while (wait_s := self._time.wait_s(until_ns)) > 0:
            if self._stop.wait(min(wait_s, self._tick_s)):
                return
            self._publish_time(min(self._time.now_ns(), until_ns))

    def _publish_time(self, stamp_ns: int) -> None:
        if self._clocks is not None:
            self._clocks.publish(Clock(clock=to_time(stamp_ns)))

    def _wait_for_listeners(self) -> None:
        self._state = 'waiting for listeners before playing'
        self._stop.wait(self.setting('delay_s', float))
        wait_for_listeners(self, self._stop, lambda: self._publish_time(self._play.start_ns))


def _raw(publisher: Any) -> Callable[[BagMessage], bool]:
    def publish(message: BagMessage) -> bool:
        publisher.publish(message.data)
        return True

    return publish


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own."""
    return run_node(PlayerNode, args)


if __name__ == '__main__':
    sys.exit(main())
