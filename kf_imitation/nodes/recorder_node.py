"""Recorder node: topics into an MCAP bag, as they came over the wire."""

import sys
from collections import Counter, deque
from collections.abc import Mapping
from time import monotonic
from typing import Any

from kf_imitation.bags.writer import BagWriter
from kf_imitation.errors import BagError, ConfigError
from kf_imitation.nodes import qos
from kf_imitation.nodes.node_base import ERROR, OK, WARN, KfNode
from kf_imitation.nodes.node_main import run_node
from kf_imitation.nodes.topic_follower import TopicFollower, is_name, topic_fault
from kf_imitation.output_files import check_free
from kf_imitation.parameters.definition import Value
from kf_imitation.paths import user_path
from kf_imitation.ros_graph.nodes import INPUTS, PER_FRAME, RECORDED, RECORDED_IMAGES

# What comes waits so long for the disk: a woken thread costs more than a message.
TAKE_S = 0.05
# Messages kept before the first frame: a minute and a half of an idle robot at 100 Hz.
_WAITING = 20_000
# Silence after which a run that is being stopped is taken to be over.
QUIET_S = 0.3
# A graph without one of the recorded nodes is recorded all the same, after this long.
MATCH_TIMEOUT_S = 10.0
# What a kill of this process may cost; half of what is promised.
FLUSH_S = 0.4
LOOK_S = 0.25


class RecorderNode(KfNode):
    """Writes serialized messages, unparsed, with the time at which they arrived.

    In a graph the bag is made when the first frame arrives, with what came before; a run whose
    camera never opens leaves no folder behind. Alone, the first message but diagnostics, which
    this node sends itself, makes the bag.
    """

    def __init__(
        self,
        overrides: Mapping[str, Value] | None = None,
        alone: bool = False,
        **options: Any,
    ) -> None:
        """Subscribe to everything that is recorded.

        Args:
            overrides: parameter values that override parameter files.
            alone: nobody waits for this node, and at the size limit it has done its work.
            options: for rclpy.node.Node.

        Raises:
            ConfigError: a parameter breaks its rule, or no folder is named.
            OutputError: the folder exists or cannot be made.
        """
        super().__init__('recorder', overrides, **options)
        if not self.setting('directory', str):
            raise ConfigError('recorder', ["directory = '' must name a new folder"])
        self._directory = user_path(self.setting('directory', str))
        check_free(self._directory)
        self._alone = alone
        self._writer: BagWriter | None = None
        self._begun_s = 0.0
        self._waiting: deque[tuple[str, str, bytes, int]] = deque(maxlen=_WAITING)
        self._closed = ''
        self._last_s = monotonic()
        self.counts: Counter[str] = Counter()
        self._follower = TopicFollower(self)
        self._subscribe(alone)
        self._ready_by_s = monotonic() + MATCH_TIMEOUT_S
        if not alone:
            self._readiness = self.steady_timer(0.05, self._become_ready)
        self.steady_timer(TAKE_S, self._take)
        self.steady_timer(LOOK_S, self._look)
        self.steady_timer(FLUSH_S, self._flush)

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return how much was recorded."""
        if self._closed:
            return ERROR if self.fault else OK, self._closed, {}
        if self._writer is None:
            return WARN, 'waiting for the first frame', {}
        size_mb = round(self._writer.byte_count / 1e6, 1)
        values: dict[str, object] = {
            'messages': sum(self.counts.values()),
            'size [MB]': size_mb,
            'recorded [s]': round(monotonic() - self._begun_s),
        }
        return OK, f'recording to {self._directory}', values

    @property
    def quiet(self) -> bool:
        """Whether the last messages of the others are in."""
        silent = monotonic() - self._last_s > QUIET_S
        return self._alone or bool(self._closed) or silent

    @property
    def outcome(self) -> str:
        """What became of the bag, as a sentence; '' where there is none."""
        return self._closed if self._writer is not None else ''

    def close(self) -> None:
        """Write index and metadata."""
        if self._alone:  # nobody has waited until it is quiet
            self._take()
        self._finish(f'closed {self._directory}')

    def _subscribe(self, alone: bool) -> None:
        given = self.setting('topics', str).split()
        images = self.setting('images', bool)
        known = {**RECORDED, **RECORDED_IMAGES}
        chosen = given or [*RECORDED, *(RECORDED_IMAGES if images else ())]
        self._patterns = [topic for topic in chosen if topic not in known]
        self._expected = [topic for topic in chosen if topic in known]
        for topic in self._patterns:
            if is_name(topic) and (fault := topic_fault(topic)):
                raise ConfigError('recorder', [f'topics = {topic!r}: {fault}'])
        self._begins_with_frame = not alone and 'camera_info' in chosen
        self._only_diagnostics = set(chosen) == {'/diagnostics'}
        for topic in self._expected:
            # The camera node of a graph starts when the recorder listens to this one.
            if alone or topic != INPUTS['recorder']:
                self._follow(topic)

    def _follow(self, topic: str) -> None:
        kind = RECORDED.get(topic) or RECORDED_IMAGES[topic]
        is_image = topic in RECORDED_IMAGES
        profile = qos.record_frames() if is_image else qos.record(topic in PER_FRAME)
        self._follower.follow(topic, kind, profile)

    def _become_ready(self) -> None:
        """Subscribe to the topic that says so, once every other topic has its publisher."""
        waits_for = [t for t in self._expected if t in RECORDED and t != INPUTS['recorder']]
        matched = all(self.count_publishers(topic) for topic in waits_for)
        if matched or monotonic() > self._ready_by_s:
            self._readiness.cancel()
            self._follow(INPUTS['recorder'])

    def _look(self) -> None:
        self._take()  # from topics that are subscribed to anew
        self._follower.look(self._patterns, self.setting('images', bool))

    def _take(self) -> None:
        found = self._follower.arrived()
        if self._closed or not found:
            return
        self._last_s = monotonic()
        clock = self.get_clock()
        now_ns = clock.now().nanoseconds
        if now_ns == 0:  # a bag's time that has not come yet
            return
        for message in found:
            came_ns = now_ns if clock.ros_time_is_active else message.received_ns or now_ns
            self._waiting.append((message.name, message.kind, message.data, came_ns))
        if self._writer is not None or any(self._begins(message.name) for message in found):
            self._write()

    def _begins(self, name: str) -> bool:
        if self._begins_with_frame:
            return name in map(self.resolve_topic_name, ('camera_info', 'face/region'))
        return name != '/diagnostics' or self._only_diagnostics

    def _write(self) -> None:
        limit_bytes = self.setting('maximum_mb', int) * 1e6
        try:
            if self._writer is None:
                self._writer = BagWriter(self._directory, self.setting('minimum_free_mb', int))
                self._begun_s = monotonic()
                self.get_logger().info(f'recording to {self._directory}')
            while self._waiting and not self._closed:
                row = self._waiting.popleft()
                with self.ledger.timed('record'):
                    self._writer.write_raw(*row, offered=self._follower.offered(row[0]))
                self.counts[row[0]] += 1
                if 0 < limit_bytes <= self._writer.byte_count:
                    size = f'{self.setting("maximum_mb", int)} MB (maximum_mb)'
                    self._finish(f'closed {self._directory}, which has reached {size}')
        except BagError as fault:
            self._give_up(fault)

    def _flush(self) -> None:
        try:
            if self._writer is not None:
                self._writer.flush()
        except BagError as fault:
            self._give_up(fault)

    def _finish(self, sentence: str) -> None:
        if self._closed:
            return
        self._closed = sentence
        try:
            if self._writer is not None:
                self._writer.close()
                self.get_logger().info(sentence)
        except BagError as fault:
            self._give_up(fault)
        if self._alone:
            self.finished.set()

    def _give_up(self, fault: BagError) -> None:
        """Stop recording, and say so; a head that is recorded goes on, and says so at its end."""
        self._closed = str(fault)
        if self._alone:
            self.fail(fault)
        else:
            self.fault = fault
            self.get_logger().error(f'{fault}; the head goes on')


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own."""
    return run_node(RecorderNode, args)


if __name__ == '__main__':
    sys.exit(main())
