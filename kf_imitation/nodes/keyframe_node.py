"""Keyframe node: every frame's score, and the face crops of the keyframes."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from time import monotonic
from typing import Any

from geometry_msgs.msg import PolygonStamped
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float32

from kf_imitation.camera.encodings import GreySamples
from kf_imitation.camera.frame_source import UNKNOWN_CAMERA
from kf_imitation.camera.left_out import LeftOut
from kf_imitation.camera.picture_watch import PictureWatch
from kf_imitation.camera.stamps import CameraLag, FrameTimes
from kf_imitation.camera.upright import check_turn, turned_frame
from kf_imitation.data_types import CameraModel, Frame
from kf_imitation.errors import SourceError
from kf_imitation.expression.reflex_estimator import ReflexEstimator
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import (
    from_camera_info,
    from_compressed,
    from_image,
    to_camera_info,
    to_crop_info,
    to_image,
    to_ns,
    usable_info,
)
from kf_imitation.nodes.explainer import Explainer
from kf_imitation.nodes.face_messages import to_expression, to_region
from kf_imitation.nodes.foreign_images import ForeignImages
from kf_imitation.nodes.handover import Crops, Faces, Frames, SeenFace
from kf_imitation.nodes.node_base import OK, WARN, KfNode
from kf_imitation.nodes.node_main import run_node
from kf_imitation.parameters.definition import Value, settings_from
from kf_imitation.parameters.settings import UprightSettings
from kf_imitation.pipeline.face_pipeline import (
    ChosenFrame,
    FacePipeline,
    FaceStep,
    build_face_pipeline,
    detector_settings,
    face_settings,
)
from kf_imitation.pipeline.flow_control import LatencyBound
from kf_imitation.pipeline.model_choice import ModelChoice
from kf_imitation.visualization.live_overlay import LiveOverlay

# Without a frame for this long the source has ended or is lost: what is pending is committed.
FLUSH_S = 0.5
# So many images in a row that come too late are said.
SKIPPED_RUN = 30


class KeyframeNode(KfNode):
    """Runs FacePipeline on image_raw, or on the topic of another camera.

    Every frame is answered at once by face/region with the frame's stamp (no points: no face),
    and later, when its score is final, by one keyframe/explanation with is_keyframe 0. A keyframe
    is one more explanation with is_keyframe 1, and its crop on keyframe/image. Explanations of a
    live camera and keyframe/annotated are made while somebody subscribes.
    """

    def __init__(
        self,
        overrides: Mapping[str, Value] | None = None,
        pipeline: FacePipeline | None = None,
        frames: Frames | None = None,
        crops: Crops | None = None,
        faces: Faces | None = None,
        **options: Any,
    ) -> None:
        """Load the models and listen.

        Args:
            overrides: parameter values that override parameter files.
            pipeline: for tests; None builds it from the parameters.
            frames: from a camera node of this process, in place of image_raw.
            crops: to a landmarks node of this process, in place of keyframe/image.
            faces: to a servo node of this process, in place of face/region and face/reflex.
            options: for rclpy.node.Node.

        Raises:
            ConfigError: a parameter breaks its rule.
            ModelError: the model is missing or altered.
        """
        super().__init__('keyframe', overrides, **options)
        say = self.get_logger().warning
        self._choice: ModelChoice | None = None
        if pipeline is None:
            pipeline = build_face_pipeline(self.settings, self.ledger)
            self._choice = ModelChoice(self.settings, pipeline, say)
        self._pipeline = pipeline
        most_s = 0.0 if self.setting('lossless', bool) else self.setting('most_latency_s', float)
        self._bound = LatencyBound('scoring', most_s, self.now_ns, self.ledger)
        self._estimator = ReflexEstimator(self.setting('learn_neutral', bool))
        self._index = 0
        self._skipped_run = 0  # images in a row that came too late
        named = self.setting('topic', str)
        topic = self.resolve_topic_name(named or 'image_raw')
        self._times = FrameTimes(topic, say, live=True)
        # Our own camera node stamps by this clock: what is late from there is late.
        self._lag = CameraLag(topic, most_s / 2 if named else 0.0, say)
        self._left_out = LeftOut(topic, say)
        self._grey = GreySamples(topic)
        self._upright = settings_from(UprightSettings, self.settings)
        check_turn(self._upright)
        self._watch = PictureWatch(topic, say)
        self._last_done_s = monotonic()
        self._pending = False
        self._state = 'no frame yet'
        self._frame_id = ''
        self._info = CameraInfo()
        lossless = self._lossless = self.setting('lossless', bool)
        per_frame, few = qos.per_frame_publisher(), qos.keyframe_topics()
        self._regions = self.create_publisher(PolygonStamped, 'face/region', per_frame)
        self._reflexes = self.create_publisher(JointState, 'face/reflex', per_frame)
        self._scores = self.create_publisher(Float32, 'keyframe/score', per_frame)
        self._overlay = LiveOverlay()
        self._explainer = Explainer(self, self._pipeline, lossless, self._overlay.explain)
        self._crop_infos = self.create_publisher(CameraInfo, 'keyframe/camera_info', few)
        self._crops = self.create_publisher(Image, 'keyframe/image', few)
        self._annotated = self.create_publisher(Image, 'keyframe/annotated', 2)
        self.steady_timer(0.1, self._flush_if_idle)
        self._crops_out, self._faces_out, self._camera = crops, faces, UNKNOWN_CAMERA
        self._foreign: ForeignImages | None = None
        if named:
            self._foreign = ForeignImages(self, named, self._on_image, self._on_info)
            return
        if frames is not None:
            frames.deliver(self, self._on_frame, None if lossless else 1)
            return
        profile = qos.frame_subscription(lossless)
        self.create_subscription(CameraInfo, 'camera_info', self._on_info, profile)
        self.create_subscription(Image, 'image_raw', self._on_image, profile)

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return what the face tracker says."""
        idle = monotonic() - self._last_done_s > FLUSH_S
        if self._left_out.run:
            words = f'{self._left_out.run} images in a row cannot be used: {self._left_out.reason}'
            return WARN, words, {}
        if self._skipped_run >= SKIPPED_RUN:
            return WARN, self._age_problem(), {}
        if self._foreign is not None and self._foreign.state:
            return WARN, self._foreign.state, {}
        if self._watch.state and not idle:
            return WARN, self._watch.state, {}
        sentence = 'no frames arrive' if idle else self._state
        values: dict[str, object] = {'scored [Hz]': round(self.rate_hz('frames'), 1)}
        if self._choice is not None:
            values['model'] = self._choice.model
        return WARN if idle else OK, sentence, values

    def on_settings(self, changed: Mapping[str, Value]) -> None:
        """Apply live changes of face and detector settings, and of mirror."""
        self._upright = settings_from(UprightSettings, self.settings)
        self._publish(self._pipeline.configure(detector_settings(self.settings)))
        self._pipeline.configure_face(face_settings(self.settings))

    @property
    def quiet(self) -> bool:
        """Whether every keyframe is explained."""
        return self._explainer.idle

    def close(self) -> None:
        """End the explainer's thread."""
        self._explainer.close()

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_frame(self, taken: tuple[Frame, CameraModel, str]) -> None:
        frame, camera, self._frame_id = taken
        if camera != self._camera:
            self._camera, self._info = camera, to_camera_info(camera, 0, '')
        if not self._is_too_old(frame.stamp_ns):
            self._score(frame)

    def _on_image(self, message: Image | CompressedImage) -> None:
        stamp_ns = self._lag.corrected(to_ns(message.header.stamp), self.now_ns())
        self._frame_id = message.header.frame_id
        if self._is_too_old(stamp_ns):
            return
        try:
            packed = isinstance(message, CompressedImage)
            with self.ledger.timed('convert'):
                bgr = from_compressed(message) if packed else from_image(message, self._grey)
                # How our own camera node has turned it, its message does not say.
                frame = Frame(0, stamp_ns, bgr, turn_deg=None)
                if self._foreign is not None:
                    frame = turned_frame(frame, self._upright)
        except SourceError as fault:
            self._leave_out(str(fault))
            self._regions.publish(to_region(None, stamp_ns, self._frame_id))
            return
        self._score(frame)

    def _is_too_old(self, stamp_ns: int) -> bool:
        if not self._bound.skips(stamp_ns):
            self._skipped_run = 0
            return False
        self._skipped_run += 1
        if self._skipped_run == SKIPPED_RUN:
            self.get_logger().warning(self._age_problem())
        if self._choice is not None:
            self._choice.skipped(stamp_ns)
        return True

    def _score(self, frame: Frame) -> None:
        time_ns = self._times.time_of(frame.stamp_ns, self.get_clock().now().nanoseconds)
        if time_ns is None:  # the answer to a later one holds for it too
            self._leave_out(self._times.late_text)
            return
        self._left_out.good()
        if self._times.restarted:  # a bag that starts again, or a clock that was set
            self._pipeline.reset()
            self._estimator.reset()
            self._overlay.reset()
            self._explainer.reset()
        self._info = usable_info(self._info, frame.bgr)
        stamp_ns = time_ns
        self._watch.look(frame.bgr, stamp_ns)
        frame = replace(frame, index=self._index, stamp_ns=stamp_ns)
        self._index += 1
        began_s = monotonic()
        step = self._pipeline.push(frame)
        if self._choice is not None:
            self._choice.scored(stamp_ns, monotonic() - began_s)
        self._pending, self._state = True, step.state
        with self.ledger.timed('publish results'):
            if self._is_wanted(self._regions):
                self._regions.publish(to_region(step.region, stamp_ns, self._frame_id))
            self._publish_reflex(step)
            self._publish_scores(step)
        self._publish_keyframes(step)
        if self._annotated.get_subscription_count():
            drawn = self._overlay.draw(frame, step.region, step.state)
            self._annotated.publish(to_image(drawn, stamp_ns, self._frame_id))
        self._last_done_s = monotonic()

    def _age_problem(self) -> str:
        most_s = self.setting('most_latency_s', float)
        return (
            f'{self._skipped_run} images in a row were stamped more than most_latency_s = '
            f'{most_s:g} s ago: the computer is too slow, or the clock of the camera is not ours; '
            f'0 takes images of any age'
        )

    def _leave_out(self, reason: str) -> None:
        self._left_out.add('an image', reason)
        self.ledger.add('left out')

    def _publish_reflex(self, step: FaceStep) -> None:
        assert step.raw is not None  # of a frame
        with self.ledger.timed('reflex'):
            reflex = self._estimator.update(step.raw)
        if self._faces_out is not None and step.region is not None:
            self._faces_out.send(SeenFace(reflex))
        if reflex is not None and self._is_wanted(self._reflexes):
            self._reflexes.publish(to_expression(reflex, self._frame_id))

    def _is_wanted(self, topic: Publisher) -> bool:
        """Whether to publish: results of a file stay available to a recorder that comes late."""
        return self._lossless or bool(topic.get_subscription_count())

    def _flush_if_idle(self) -> None:
        if self._pending and monotonic() - self._last_done_s > FLUSH_S:
            self._pending = False
            self._publish(self._pipeline.flush())

    def _publish(self, step: FaceStep) -> None:
        self._publish_scores(step)
        self._publish_keyframes(step)

    def _publish_scores(self, step: FaceStep) -> None:
        wanted = self._is_wanted(self._scores)
        for score in step.scores:
            if wanted and score.score is not None:
                self._scores.publish(Float32(data=float(score.score)))
            self._explainer.frame(score, self._frame_id)

    def _publish_keyframes(self, step: FaceStep) -> None:
        for chosen in step.chosen:
            self._publish_keyframe(chosen)
        self._overlay.add(step.scores, [chosen.keyframe for chosen in step.chosen])

    def _publish_keyframe(self, chosen: ChosenFrame) -> None:
        self.ledger.observe('commit delay', chosen.keyframe.commit_delay_s)
        face = chosen.face
        if self._crops_out is not None:
            self._crops_out.send((face, from_camera_info(self._info), self._frame_id))
        if self._crop_infos.get_subscription_count():
            self._crop_infos.publish(to_crop_info(self._info, face, self._frame_id))
        if self._crops.get_subscription_count():
            self._crops.publish(to_image(face.bgr, face.stamp_ns, self._frame_id))
        watched = bool(self._annotated.get_subscription_count())
        self._explainer.keyframe(chosen, self._frame_id, watched)


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own."""
    return run_node(KeyframeNode, args)


if __name__ == '__main__':
    sys.exit(main())
