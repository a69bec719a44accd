"""keyframe/explanation: why frames were chosen or not, made while somebody listens."""

from collections.abc import Callable
from math import nan
from queue import Empty, Full, Queue
from threading import Event, Thread
from time import monotonic

from rclpy.node import Node
from sensor_msgs.msg import JointState

from kf_imitation.data_types import FrameScore
from kf_imitation.keyframe.explanation import Explanation
from kf_imitation.keyframe.explanation_values import frame_values, keyframe_values, words
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import to_scalars
from kf_imitation.nodes.listeners import has_listeners_but
from kf_imitation.pipeline.face_pipeline import ChosenFrame, FacePipeline

# Explaining a keyframe costs three runs of the model; a live camera does not wait for it, and
# has most of a core left: after an explanation there is none for so many times as long.
_WAITING = 8
_REST = 8
_POLL_S = 0.1
SHOWS_NO_WEIGHTS = ('cockpit',)


class Explainer:
    """Publishes the explanations of a pipeline's frames and keyframes.

    What the network saw a keyframe by takes longer than a frame, so a thread works it out and
    the keyframe's message follows. A file waits for it; for a live camera a message whose turn
    does not come goes out without those weights: so that who looks on never costs frames, they
    are worked out for a ninth of the time at most, and not for a page that does not show them.

    Attributes:
        publisher: of the topic.
    """

    def __init__(
        self,
        node: Node,
        pipeline: FacePipeline,
        lossless: bool,
        on_explained: Callable[[int, list[str]], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Make the publisher and start the thread.

        Args:
            node: that publishes.
            pipeline: whose frames are explained.
            lossless: of a file: a message per frame whether or not anybody listens yet, so that a
                recorder that matches a moment late still gets them all.
            on_explained: takes stamp and words of each explained keyframe, in the thread.
            clock: measures what an explanation takes [s].
        """
        self._clock = clock
        self._rests_until_s = 0.0
        self._node = node
        self._pipeline = pipeline
        self._lossless = lossless
        self._on_explained = on_explained
        self.publisher = node.create_publisher(
            JointState, 'keyframe/explanation', qos.per_frame_publisher()
        )
        self._last_ns: int | None = None
        self._queue: Queue[tuple[ChosenFrame, float, float, str]] = Queue(_WAITING)
        self._stopped = Event()
        self._thread = Thread(target=self._work, name='explainer', daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether every explanation is out."""
        return self._queue.unfinished_tasks == 0

    @property
    def wanted(self) -> bool:
        """Whether somebody listens."""
        return bool(self.publisher.get_subscription_count())

    def reset(self) -> None:
        """Forget the last keyframe: stamps start anew."""
        self._last_ns = None

    def frame(self, score: FrameScore, frame_id: str) -> None:
        """Publish a frame's numbers."""
        if not self._lossless and not self.wanted:
            return
        threshold = self._pipeline.settings.prominence
        values = frame_values(score, threshold, self._latency_ms(score.stamp_ns))
        self.publisher.publish(to_scalars(score.stamp_ns, values, frame_id))

    def keyframe(self, chosen: ChosenFrame, frame_id: str, watched: bool) -> None:
        """Publish a keyframe's numbers, later if the network has to be asked.

        Args:
            chosen: the keyframe.
            frame_id: of the image.
            watched: somebody looks at the picture that shows the reasons.
        """
        stamp_ns = chosen.keyframe.stamp_ns
        since_s = nan if self._last_ns is None else (stamp_ns - self._last_ns) * 1e-9
        self._last_ns = stamp_ns
        item = chosen, self._latency_ms(stamp_ns), since_s, frame_id
        if not (self.wanted or watched):
            if self._lossless:
                self._publish(*item, None)
            return
        asked = self._lossless or watched
        asked = asked or has_listeners_but(self._node, self.publisher, SHOWS_NO_WEIGHTS)
        if chosen.pair is None or not asked:
            self._publish(*item, None)
            return
        try:
            self._queue.put(item, block=self._lossless)
        except Full:
            self._publish(*item, None)

    def close(self) -> None:
        """Finish what is waiting and end the thread."""
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while not (self._stopped.is_set() and self.idle):
            try:
                item = self._queue.get(timeout=_POLL_S)
            except Empty:
                continue
            try:
                self._publish(*item, self._explain(item[0]))
            finally:
                self._queue.task_done()

    def _explain(self, chosen: ChosenFrame) -> Explanation | None:
        """Return the explanation; None of a live camera's keyframe that comes too soon."""
        began_s = self._clock()
        if not self._lossless and began_s < self._rests_until_s:
            return None
        found = self._pipeline.explain(chosen)
        ended_s = self._clock()
        self._rests_until_s = ended_s + _REST * (ended_s - began_s)
        return found

    def _publish(
        self,
        chosen: ChosenFrame,
        latency_ms: float,
        since_s: float,
        frame_id: str,
        explanation: Explanation | None,
    ) -> None:
        keyframe = chosen.keyframe
        values = keyframe_values(keyframe, latency_ms, chosen.change, explanation, since_s)
        self.publisher.publish(to_scalars(keyframe.stamp_ns, values, frame_id))
        self._on_explained(keyframe.stamp_ns, words(values, explanation))

    def _latency_ms(self, stamp_ns: int) -> float:
        return float(self._node.get_clock().now().nanoseconds - stamp_ns) * 1e-6
