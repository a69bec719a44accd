"""Head pose from projected points of the mean face."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kf_imitation.data_types import CameraModel, Landmarks
from kf_imitation.face_geometry.head_pose import (
    EYE_SPAN_M,
    MEAN_FACE_M,
    angles_of,
    camera_matrix,
    rotation_of,
    solve_head_pose,
    turn_to_front,
)

CAMERA = CameraModel(640, 480, 554.0)


def project(rotation, shift, camera=CAMERA):
    seen = MEAN_FACE_M @ np.asarray(rotation, np.float64).T + shift
    pixels = (seen / seen[:, 2:]) @ camera_matrix(camera).T
    return Landmarks(5, pixels[:, :2].astype(np.float32), np.ones(98, np.float32))


angle = st.floats(-0.6, 0.6)


@settings(max_examples=40, deadline=None)
@given(angle, angle, angle)
def test_known_rotations_are_recovered(yaw, pitch, roll):
    shift = np.array([0.05, -0.03, 0.7])
    pose = solve_head_pose(project(rotation_of(yaw, pitch, roll), shift), CAMERA, corrected=False)
    assert np.allclose(
        (pose.yaw_rad, pose.pitch_rad, pose.roll_rad), (yaw, pitch, roll), atol=2e-3
    )
    assert np.allclose(pose.translation_m, shift, atol=2e-3)
    assert pose.error_px < 0.1 and pose.stamp_ns == 5


@settings(max_examples=40, deadline=None)
@given(angle, angle, angle)
def test_angles_and_rotations_are_inverse(yaw, pitch, roll):
    rotation = rotation_of(yaw, pitch, roll)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
    assert np.allclose(angles_of(rotation), (yaw, pitch, roll), atol=1e-5)


def test_signs_follow_the_person():
    front = np.array([0.0, 0.0, -1.0])  # out of the face, towards the camera
    up = np.array([0.0, -1.0, 0.0])
    assert np.allclose(rotation_of(0, 0, 0), np.eye(3))
    assert (rotation_of(0.3, 0, 0) @ front)[0] > 0  # to the person's left, the image's right
    assert (rotation_of(0, 0.3, 0) @ front)[1] > 0  # looks down
    assert (rotation_of(0, 0, 0.3) @ up)[0] < 0  # tilts to the person's right, the image's left


def test_the_correction_of_a_rigid_mean_face_is_small():
    for yaw in (-0.5, 0.0, 0.5):
        landmarks = project(rotation_of(yaw, 0.0, 0.0), np.array([0, 0, 0.6]))
        pose = solve_head_pose(landmarks, CAMERA)
        assert np.allclose((pose.pitch_rad, pose.roll_rad), 0, atol=0.06)
        assert abs(pose.yaw_rad) <= abs(yaw) + 0.01


def test_unsure_points_do_not_turn_the_head():
    rotation = rotation_of(0.2, -0.1, 0.1)
    good = project(rotation, np.array([0, 0, 0.6]))
    points, confidence = good.points_px.copy(), good.confidence.copy()
    points[:8] += 40
    confidence[:8] = 0.05
    pose = solve_head_pose(Landmarks(0, points, confidence), CAMERA, corrected=False)
    assert np.allclose((pose.yaw_rad, pose.pitch_rad, pose.roll_rad), (0.2, -0.1, 0.1), atol=2e-3)


def test_a_face_without_confidence_still_has_a_pose():
    good = project(rotation_of(0.2, 0, 0), np.array([0, 0, 0.6]))
    unsure = Landmarks(0, good.points_px, np.zeros(98, np.float32))
    assert solve_head_pose(unsure, CAMERA, corrected=False).yaw_rad == pytest.approx(0.2, abs=2e-3)


@pytest.mark.parametrize('yaw', [-0.6, 0.0, 0.4])
def test_turning_to_the_front_takes_the_pose_out(yaw):
    landmarks = project(rotation_of(yaw, 0.2, 0.3), np.array([0.1, 0, 0.8]))
    pose = solve_head_pose(landmarks, CAMERA, corrected=False)
    front = turn_to_front(landmarks.points_px, pose.rotation, pose.translation_m)
    assert np.allclose(front, MEAN_FACE_M[:, :2] / EYE_SPAN_M, atol=5e-3)
