"""Moves a simulated head through the poses of a method.

Every method gets the same frames, the same landmarks and the same simulated servos. The keyframe
modes go through the pose budget of the robot (head/pose_pacer.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kf_imitation.data_types import Expression
from kf_imitation.evaluation.imitation.clip import Clip, Rows
from kf_imitation.evaluation.imitation.figures import ImitationMetrics, measure, measure_sizes
from kf_imitation.evaluation.imitation.formulas import LONGEST_DELAY_S
from kf_imitation.evaluation.imitation.methods import EVERY_FRAME, Pose, method_names, poses_of
from kf_imitation.evaluation.imitation.video import clip_video, video_run
from kf_imitation.expression.calibration import Calibration
from kf_imitation.expression.calibration_file import load_calibration
from kf_imitation.expression.keyframe_estimator import ExpressionEstimator
from kf_imitation.expression.keyframe_guide import KeyframeGuide
from kf_imitation.expression.reflex_estimator import REFLEX_CONFIDENCE
from kf_imitation.head.pose_pacer import PoseBudget
from kf_imitation.parameters.modes import MODES
from kf_imitation.parameters.settings import DetectorSettings, ExpressionSettings
from kf_imitation.pipeline.face_pipeline import detector_settings
from kf_imitation.replay.record import JointTrace
from kf_imitation.replay.simulation import VirtualHead
from kf_imitation.robot import RobotConfig
from kf_imitation.robot.joint_mapping import JointMapping

LABELS, LANDMARKS = 'labels', 'landmarks'
_TAIL_S = LONGEST_DELAY_S


class Imitator:
    """Runs methods on clips with one robot.

    Args:
        robot: whose limits count.
        values: parameters of all nodes.

    Attributes:
        settings: of the detector's default mode; may be replaced.
    """

    def __init__(self, robot: RobotConfig, values: Mapping[str, Mapping[str, Any]]) -> None:
        self.settings: DetectorSettings = detector_settings(values['keyframe'])
        self._robot = robot
        self._values = values
        self._mapping = JointMapping(robot)
        self._calibration: Calibration | None = None
        if values['landmarks']['calibration']:
            self._calibration = load_calibration(values['landmarks']['calibration'])

    def methods(self, chosen: Sequence[str] = ()) -> list[str]:
        """Return the names of all methods, or check those chosen.

        Raises:
            ConfigError: unknown names, all of them.
        """
        return method_names(self.settings.mode, chosen)

    def poses(self, clip: Clip, method: str) -> list[Pose]:
        """Return the frames that a method sends, in order of time."""
        return poses_of(clip, method, self.settings)

    def measure(self, clip: Clip, method: str, channels: str = LANDMARKS) -> ImitationMetrics:
        """Run a method on a clip.

        Args:
            clip: prepared.
            method: one of methods().
            channels: 'landmarks' (what the robot will have) or 'labels' (perfect channels: what
                is left is the choice of frames and the servos).
        """
        budget = self.budget(method)
        poses, joints = self.run(clip, method, channels, budget)
        robot = self.robot_channels(joints)
        measured = measure(clip, poses, joints, robot)
        sizes = measure_sizes(clip, joints, robot, self._robot)
        measured = replace(measured, sizes=sizes)
        if budget is None:
            return measured
        count = budget.count()
        return replace(measured, on_time=count.on_time_fraction, merged=count.merged)

    def budget(self, method: str) -> PoseBudget | None:
        """Return a fresh budget for the methods that choose their frames, else None."""
        patience_s = self._values['servo']['pose_patience_s']
        return PoseBudget(self._robot, patience_s) if method in MODES else None

    def run(
        self, clip: Clip, method: str, channels: str, budget: PoseBudget | None = None
    ) -> tuple[list[Pose], JointTrace]:
        """Move the head through a method's poses.

        Returns:
            The poses that were sent (those without a face are left out), each with the stamp of
            the frame at which it was, and what the joints did.
        """
        servo = self._values['servo']
        head = VirtualHead(self._robot, servo['rate_hz'], servo['hold_s'], budget)
        estimator = ExpressionEstimator(
            self._calibration,
            ExpressionSettings(
                self._values['landmarks']['minimum_confidence'],
                self._values['landmarks']['learn_neutral'],
            ),
        )
        sent, guide = [], KeyframeGuide()
        head.start(int(clip.stamps_ns[0]))
        waiting = self.poses(clip, method)
        lane = servo['reflex'] and method != EVERY_FRAME
        for frame, stamp in enumerate(clip.stamps_ns.tolist()):
            head.advance(stamp)
            if clip.readings[frame] is not None:
                head.see_face(stamp)
            while waiting and waiting[0].sent_ns <= stamp:
                pose = waiting.pop(0)
                expression = _expression(clip, pose.frame, channels, estimator)
                if expression is not None:
                    guide.on_keyframe(expression)
                    head.set_goal(self._mapping.goals(expression), stamp, expression.stamp_ns)
                    sent.append(Pose(pose.frame, stamp))
            if lane and (reflex := _reflex(clip, frame, channels)) is not None:
                head.set_reflex(self._mapping.goals(guide.on_frame(reflex)), stamp)
        head.advance(int(clip.stamps_ns[-1]) + round(_TAIL_S * 1e9))
        return sent, head.trace()

    def results(
        self, clips: Iterable[Clip], methods: Sequence[str], channels: str
    ) -> dict[str, dict[str, ImitationMetrics]]:
        """Run methods on clips, read one after the other; by method, then by clip."""
        found: dict[str, dict[str, ImitationMetrics]] = {name: {} for name in methods}
        for clip in clips:
            for method, by_clip in found.items():
                by_clip[clip.name] = self.measure(clip, method, channels)
        return found

    def write_video(self, path: Path, video: Path, clip: Clip, method: str, channels: str) -> None:
        """Write the side-by-side video of a method on a clip; see video.clip_video."""
        poses, joints = self.run(clip, method, channels, self.budget(method))
        sent = [(pose.frame, pose.sent_ns) for pose in poses]
        settings = replace(self.settings, mode=method) if method in MODES else self.settings
        run = video_run(clip.scores, clip.readings, sent, joints, settings, clip.smoothing)
        clip_video(path, video, self._values, run, self._mapping.channels)

    def robot_channels(self, joints: JointTrace) -> Rows:
        """Return the channels (T, 19) float64 that the present positions show."""
        return np.stack([self._mapping.channels(row) for row in joints.present_rad]).astype(
            np.float64
        )


def _reflex(clip: Clip, frame: int, channels: str) -> Expression | None:
    """Return what the reflex lane is given in a frame."""
    if channels != LABELS:
        return clip.reflexes[frame]
    labelled = _of_labels(clip, frame)
    return None if labelled is None else replace(labelled, confidence=REFLEX_CONFIDENCE)


def _of_labels(clip: Clip, frame: int) -> Expression | None:
    return clip.labelled(frame) if clip.valid[frame] else None


def _expression(
    clip: Clip, frame: int, channels: str, estimator: ExpressionEstimator
) -> Expression | None:
    if channels == LABELS:
        return _of_labels(clip, frame)
    reading = clip.readings[frame]
    return None if reading is None else estimator.update(*reading)
