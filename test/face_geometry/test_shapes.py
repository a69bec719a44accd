"""Blendshapes that go out with the channels."""

from dataclasses import replace

import numpy as np
import pytest

from kf_imitation.data_types import BLENDSHAPES, CHANNELS, CameraModel, Landmarks
from kf_imitation.expression.keyframe_estimator import ExpressionEstimator
from kf_imitation.face_geometry.arkit import LOOKS, MAKE_CHANNELS, agreed_shapes, true_shapes
from kf_imitation.face_geometry.head_pose import MEAN_FACE_M, camera_matrix, solve_head_pose
from kf_imitation.model_files import load_table

READ = {name for name in BLENDSHAPES if name.removesuffix('Left').removesuffix('Right') in
        load_table('shape_size')}  # fmt: skip


def test_what_is_not_read_is_zero_and_says_so():
    shapes = agreed_shapes(
        np.zeros(len(CHANNELS)),
        true_shapes(np.full(len(BLENDSHAPES), 0.9)),
        np.ones(len(CHANNELS), np.float32),
    )
    silent = [BLENDSHAPES.index(n) for n in BLENDSHAPES if n not in READ | MAKE_CHANNELS]
    assert silent and not shapes.values[silent].any() and not shapes.confidence[silent].any()
    known = [BLENDSHAPES.index(n) for n in READ | MAKE_CHANNELS | {*LOOKS}]
    assert (shapes.confidence[known] == 1.0).all()


def test_more_predicted_is_never_less():
    steps = [true_shapes(np.full(len(BLENDSHAPES), p)) for p in np.linspace(0, 1, 21)]
    assert (np.diff(steps, axis=0) >= 0).all() and np.max(steps) <= 1.0


def test_a_shape_whose_points_are_hidden_keeps_its_value_and_then_relaxes():
    camera = CameraModel(640, 480, 554.0)
    seen = MEAN_FACE_M + np.array([0.0, 0.0, 0.6])
    points = (seen / seen[:, 2:]) @ camera_matrix(camera).T
    landmarks = Landmarks(0, points[:, :2].astype(np.float32), np.ones(98, np.float32))
    pose = solve_head_pose(landmarks, camera)
    mouth = next(n for n in sorted(READ - MAKE_CHANNELS) if n.startswith('mouth'))
    place = BLENDSHAPES.index(mouth)
    predicted = np.full(len(BLENDSHAPES), 0.01, np.float32)
    predicted[place] = 0.95
    estimator = ExpressionEstimator(None)

    def shapes_at(at_s, confidence, shown):
        return estimator.update(
            replace(
                landmarks,
                stamp_ns=round(at_s * 1e9),
                confidence=np.full(98, confidence, np.float32),
                blendshapes=shown,
            ),
            pose,
        ).shapes

    first = shapes_at(0.0, 1.0, predicted)
    held = shapes_at(0.5, 0.1, np.zeros_like(predicted))
    late = shapes_at(6.0, 0.1, np.zeros_like(predicted))
    assert first.values[place] > 0.2 and first.confidence[place] == 1.0
    assert held.values[place] == pytest.approx(first.values[place])
    assert held.confidence[place] == pytest.approx(0.1)
    assert late.values[place] < 0.05 * first.values[place]
