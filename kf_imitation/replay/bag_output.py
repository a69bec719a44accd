"""The bag of a replay: the topics of the nodes, in the order of virtual time."""

from math import nan
from pathlib import Path

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.writer import BagWriter, Offered
from kf_imitation.data_types import CameraModel, Expression, Frame, FrameScore
from kf_imitation.head.reports import ServoCycle
from kf_imitation.keyframe.explanation import Explanation
from kf_imitation.keyframe.explanation_values import frame_values, keyframe_values
from kf_imitation.pipeline.face_pipeline import FaceStep
from kf_imitation.replay.record import PosedKeyframe
from kf_imitation.ros_graph.nodes import PER_FRAME, RECORDED

# Topics that only a running graph has.
_LIVE_ONLY = ('/diagnostics', 'camera_info')


class RunBag:
    """Listens to a replay and writes a bag; a context manager.

    Headers carry the stamp of the frame, as live. The time in the bag is the virtual time at
    which the message became known: a score is late by the smoothing, a keyframe by its commit
    delay. Images are left out, they show people.

    Args:
        directory: bag folder to make.
        threshold: minimum prominence in force, for the explanations of ordinary frames.
        minimum_free_mb: stop below this free disk.

    Raises:
        BagError: it cannot be made.
    """

    def __init__(self, directory: Path, threshold: float, minimum_free_mb: float) -> None:
        self._writer = BagWriter(directory, minimum_free_mb)
        self._topics = BagTopics(self._writer)
        self._threshold = threshold
        self._region_ns = -1
        self._last: int | None = None  # stamp of the newest keyframe
        for topic, message_type in RECORDED.items():
            if topic not in _LIVE_ONLY:
                offered = Offered(kept=True) if topic in PER_FRAME else None
                self._writer.declare(topic, message_type, offered)

    def on_step(self, frame: Frame, step: FaceStep) -> None:
        """Write the region of the frame and the scores that it made final."""
        if frame.stamp_ns != self._region_ns:  # the flush after the last frame has no region
            self._topics.region(step.region, frame.stamp_ns)
            self._region_ns = frame.stamp_ns
        for score in step.scores:
            self._score(score, frame.stamp_ns)

    def on_posed(
        self, posed: PosedKeyframe, camera: CameraModel, explanation: Explanation | None
    ) -> None:
        """Write a keyframe and what was read from it."""
        keyframe, face = posed.keyframe, posed.face
        known_ns = keyframe.committed_stamp_ns
        since_s = nan if self._last is None else (keyframe.stamp_ns - self._last) * 1e-9
        self._last = keyframe.stamp_ns
        values = keyframe_values(
            keyframe,
            (known_ns - keyframe.stamp_ns) * 1e-6,
            posed.change,
            explanation,
            since_s,
        )
        self._topics.scalars('keyframe/explanation', values, keyframe.stamp_ns, known_ns)
        roi = face.x, face.y, face.width, face.height
        self._topics.camera_info(camera, face.stamp_ns, 'keyframe/camera_info', roi, known_ns)
        self._topics.landmarks(posed.landmarks, known_ns)
        self._topics.head_pose(posed.pose, known_ns)
        self._topics.expression(posed.expression, known_ns)

    def on_reflex(self, reflex: Expression) -> None:
        """Write what a frame said to the reflex lane."""
        self._topics.expression(reflex, topic='face/reflex')

    def on_cycle(self, cycle: ServoCycle) -> None:
        """Write what was sent to the servos and what they answered."""
        self._topics.joints(
            'servo/joint_commands', cycle.names, cycle.commanded_rad, cycle.stamp_ns
        )
        self._topics.joints(
            'joint_states',
            cycle.names,
            cycle.present_rad,
            cycle.stamp_ns,
            cycle.velocity_rad_s,
            cycle.current_a,
        )

    def __enter__(self) -> 'RunBag':
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def _score(self, score: FrameScore, known_ns: int) -> None:
        if score.score is not None:
            self._topics.score(score.score, known_ns)
        values = frame_values(score, self._threshold, (known_ns - score.stamp_ns) * 1e-6)
        self._topics.scalars('keyframe/explanation', values, score.stamp_ns, known_ns)
