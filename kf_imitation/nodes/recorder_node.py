"""Recorder node: the topics of the graph into an MCAP bag, as they came over the wire."""

import sys
from collections import deque
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from kf_imitation.errors import BagError, ConfigError
from kf_imitation.graph import INPUTS, PER_FRAME, RECORDED, RECORDED_IMAGES, check_record_folder
from kf_imitation.nodes import qos
from kf_imitation.nodes.node_base import OK, WARN, KfNode
from kf_imitation.nodes.node_main import run_node
from kf_imitation.offline.bag_writer import BagWriter
from kf_imitation.params import Value

# Messages kept before the first frame: a minute and a half of an idle robot at 100 Hz.
_WAITING = 20_000
# Silence after which a run that is being stopped is taken to be over.
QUIET_S = 0.3
# A graph without one of the recorded nodes is recorded all the same, after this long.
MATCH_TIMEOUT_S = 10.0


class RecorderNode(KfNode):
    """Writes serialized messages, unparsed, with the time at which they arrived.

    The bag is made when the first frame arrives, with what came before; a run whose camera never
    opens leaves no folder behind.
    """

    def __init__(self, overrides: Mapping[str, Value] | None = None, **options: Any) -> None:
        """Subscribe to everything that is recorded.

        Args:
            overrides: parameter values above those of parameter files.
            options: for rclpy.node.Node.

        Raises:
            ConfigError: a parameter breaks its rule, no folder is named, or it exists.
        """
        super().__init__('recorder', overrides, **options)
        if not self.setting('directory', str):
            raise ConfigError('recorder', ["directory = '' must name a new folder"])
        self._directory = Path(self.setting('directory', str))
        check_record_folder(self._directory)
        self._writer: BagWriter | None = None
        self._waiting: deque[tuple[str, str, bytes, int]] = deque(maxlen=_WAITING)
        self._closed = False
        self._last_s = monotonic()
        images = RECORDED_IMAGES if self.setting('images', bool) else {}
        self._expected = set(RECORDED) - {INPUTS['recorder']}
        for topic in self._expected:
            self._subscribe(topic, RECORDED[topic])
        for topic, kind in images.items():
            self._subscribe(topic, kind, is_image=True)
        self._ready_by_s = monotonic() + MATCH_TIMEOUT_S
        self._readiness = self.create_timer(0.05, self._become_ready)

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return how much was recorded."""
        if self._closed:
            return OK, f'closed {self._directory}', {}
        if self._writer is None:
            return WARN, 'waiting for the first frame', {}
        count = self._writer.message_count
        return OK, f'recording to {self._directory}', {'messages': count}

    @property
    def quiet(self) -> bool:
        """Whether the last messages of the others are in."""
        return self._closed or monotonic() - self._last_s > QUIET_S

    def close(self) -> None:
        """Write index and metadata."""
        self._closed = True
        if self._writer is not None:
            try:
                self._writer.close()
            except BagError as fault:
                self.fail(fault)

    def _become_ready(self) -> None:
        """Subscribe to the topic that says so, once every other topic has its publisher."""
        matched = all(self.count_publishers(topic) for topic in self._expected)
        if matched or monotonic() > self._ready_by_s:
            self._readiness.cancel()
            topic = INPUTS['recorder']
            self._subscribe(topic, RECORDED[topic])

    def _subscribe(self, topic: str, kind: str, is_image: bool = False) -> None:
        package, _, name = kind.split('/')
        message_class = getattr(import_module(f'{package}.msg'), name)
        profile = qos.record_frames() if is_image else qos.record(topic in PER_FRAME)
        self.create_subscription(
            message_class, topic, self._callback(topic, kind), profile, raw=True
        )

    def _callback(self, topic: str, kind: str) -> Callable[[bytes], None]:
        name = self.resolve_topic_name(topic)
        is_first_frame = topic == 'camera_info'

        def record(data: bytes) -> None:
            if self._closed:
                return
            self._last_s = monotonic()
            self._waiting.append((name, kind, data, self.get_clock().now().nanoseconds))
            if is_first_frame or self._writer is not None:
                self._write()

        return record

    def _write(self) -> None:
        try:
            if self._writer is None:
                self._writer = BagWriter(self._directory, self.setting('minimum_free_mb', int))
            while self._waiting:
                with self.ledger.timed('record'):
                    self._writer.write_raw(*self._waiting.popleft())
        except BagError as fault:
            self._closed = True
            self.fail(fault)


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own."""
    return run_node(RecorderNode, args)


if __name__ == '__main__':
    sys.exit(main())
