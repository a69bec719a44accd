"""Small stages in place of the networks, for small_program.py.

The face fills the middle of every frame that is not black; the mouth is as open as the picture is
bright.
"""

import numpy as np

from kf_imitation.data_types import CHANNELS, Expression, FaceRegion, HeadPose, Landmarks
from kf_imitation.keyframe.scoring.baselines import FrameDifference
from kf_imitation.keyframe.scoring.pair_scorer import PairScorer
from kf_imitation.keyframe.selection.selector import KeyframeSelector
from kf_imitation.nodes import keyframe_node, landmarks_node
from kf_imitation.pipeline.face_pipeline import FacePipeline, FaceReading, detector_settings


class MiddleTracker:
    state = 'no frame yet'

    def update(self, frame):
        height, width = frame.bgr.shape[:2]
        if frame.bgr.mean() < 5:
            self.state = 'no face'
            return None
        self.state = 'following a face'
        return FaceRegion((width - height) / 2, 0.0, float(height))

    def set_settings(self, settings):
        pass

    def reset(self):
        pass


class BrightMouth:
    def __init__(self, ledger):
        self.ledger = ledger
        self.gain = 1.0

    def reset(self):
        pass

    def configure(self, settings):
        self.gain = settings.gain['jaw_open']

    def neutral(self):
        return 0.0, {}

    def read_raw(self, frame, region, camera):
        return np.full(len(CHANNELS), frame.bgr.mean() / 255)

    def run(self, face, camera):
        with self.ledger.timed('landmarks'):
            values = np.zeros(len(CHANNELS), np.float32)
            values[CHANNELS.index('jaw_open')] = self.gain * face.bgr.mean() / 255
        ones = np.ones(98, np.float32)
        points = np.random.default_rng(0).random((98, 2), np.float32) * face.width
        pose = HeadPose(
            face.stamp_ns,
            np.eye(3, dtype=np.float32),
            np.array([0, 0, 0.5], np.float32),
            0,
            0,
            0,
            0,
        )
        return FaceReading(
            Landmarks(face.stamp_ns, points, ones),
            pose,
            Expression(face.stamp_ns, values, np.ones(len(CHANNELS), np.float32)),
        )


def small_face_pipeline(values, ledger):
    return FacePipeline(
        MiddleTracker(),
        PairScorer(FrameDifference()),
        KeyframeSelector(detector_settings(values)),
        values['crop_px'],
        ledger,
    )


def small_expression_pipeline(values, ledger):
    return BrightMouth(ledger)


def use() -> None:
    """Put them into the nodes of this process."""
    keyframe_node.build_face_pipeline = small_face_pipeline
    landmarks_node.build_expression_pipeline = small_expression_pipeline
