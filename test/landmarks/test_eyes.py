"""Eye patches, their way back into the picture, and predictions as channels; no trained model."""

import cv2
import numpy as np
import pytest

from kf_imitation.data_types import BLENDSHAPES, CHANNELS, CameraModel, FaceRegion, Landmarks
from kf_imitation.expression.channels import raw_channels
from kf_imitation.face_geometry.head_pose import predicted_angles, solve_head_pose, template
from kf_imitation.face_geometry.wflw import FLIP
from kf_imitation.landmarks.landmark_model import (
    FacePrediction,
    LandmarkModel,
    mirrored_head,
    turned_back,
)
from kf_imitation.landmarks.patches import EYE_POINTS, PATCH_PX, EyeModel, eye_matrix


def face(size=300.0, centre=(320.0, 240.0), angle_deg=0.0):
    angle = np.radians(angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (template() - 0.5) * size @ turn.T + centre


class Where:
    """Answers with the middle of the brightest spot for all nine points."""

    def __init__(self):
        self.patches = None

    def run(self, feeds):
        self.patches = feeds['patches']
        points = np.zeros((2, 9, 2), np.float32)
        for row, patch in enumerate(self.patches):
            y, x = np.mgrid[: PATCH_PX[1], : PATCH_PX[0]]
            weight = patch[..., 0].astype(float)
            points[row] = [(x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()]
        return {'points': points, 'readings': np.arange(14, dtype=np.float32).reshape(2, 7)}


def test_a_left_eye_is_a_mirrored_right_eye():
    assert EYE_POINTS['left'] == tuple(FLIP[list(EYE_POINTS['right'])])


@pytest.mark.parametrize('angle_deg', [0.0, 25.0, -40.0])
def test_what_is_seen_in_a_patch_is_found_at_its_place_in_the_picture(angle_deg):
    points = face(angle_deg=angle_deg)
    picture = np.zeros((480, 640, 3), np.uint8)
    spots = {side: np.add(points[list(EYE_POINTS[side])].mean(0), (3, 2)) for side in EYE_POINTS}
    for x, y in spots.values():
        cv2.circle(picture, (round(x * 16), round(y * 16)), 5 * 16, (255,) * 3, -1, cv2.LINE_AA, 4)
    model = Where()
    refined, predictions = EyeModel(model).refine(picture, points)
    assert model.patches.shape == (2, PATCH_PX[1], PATCH_PX[0], 3)
    for side, spot in spots.items():
        assert np.abs(refined[list(EYE_POINTS[side])] - spot).max() < 0.3, side
    others = np.setdiff1d(np.arange(98), [*EYE_POINTS['left'], *EYE_POINTS['right']])
    assert refined[others] == pytest.approx(points[others], abs=1e-3)
    assert predictions.shape == (2, 7)


def test_patches_do_not_depend_on_the_size_of_the_face():
    small = eye_matrix(face(100.0), 'right') @ [*face(100.0)[60], 1]
    large = eye_matrix(face(400.0), 'right') @ [*face(400.0)[60], 1]
    assert small == pytest.approx(large, abs=1e-6)


def head_predictions(**logits):
    head = np.full(54, -6.0)
    head[51:] = 0.0
    for name, value in logits.items():
        head[BLENDSHAPES.index(name)] = value
    return head


def channel(predictions, name):
    return float(predictions[CHANNELS.index(name)])


def predictions(head, eyes, parts=None):
    """Channels of what the models predict, whatever the points."""
    points, confidence = np.zeros((98, 2), np.float32), np.ones(98, np.float32)
    return FacePrediction(points, confidence, head, eyes, parts).landmarks(0).predictions


def test_predictions_become_channels():
    read = predictions(head_predictions(jawOpen=1.5, mouthFunnel=0.7), None)
    assert channel(read, 'jaw_open') == pytest.approx(1.5, abs=1e-4)
    assert channel(read, 'mouth_pucker') == pytest.approx(0.7, abs=1e-4)
    assert channel(read, 'head_yaw') == pytest.approx(0.0, abs=1e-6)


def test_the_eye_model_has_the_last_word_on_eyes():
    eyes = np.full((2, 7), -6.0)
    eyes[0, 0], eyes[1, 0] = 2.0, -1.0  # the right eye blinks
    eyes[1, 6] = eyes[0, 5] = 3.0  # both look to the person's left: out of the left eye
    read = predictions(head_predictions(eyeBlinkLeft=5.0), eyes)
    assert channel(read, 'eye_close_right') == pytest.approx(2.0, abs=1e-4)
    assert channel(read, 'eye_close_left') == pytest.approx(-1.0, abs=1e-4)
    assert channel(read, 'gaze_yaw') == pytest.approx(0.5 * 0.95, abs=0.01)
    alone = predictions(None, eyes)
    assert np.isnan(channel(alone, 'jaw_open')) and np.isfinite(channel(alone, 'gaze_pitch'))


def test_a_turned_crop_is_turned_back():
    # A head upright in a crop that was turned clockwise leans the other way in the picture.
    read = predictions(turned_back(head_predictions(), 0.3), None)
    assert abs(channel(read, 'head_roll')) == pytest.approx(0.3, abs=1e-5)
    assert channel(read, 'head_yaw') == pytest.approx(0.0, abs=1e-5)


def test_predictions_of_a_mirrored_face_change_sides():
    head = head_predictions(mouthSmileLeft=1.0, mouthRight=2.0, jawOpen=3.0)
    head[51:] = 0.1, 0.2, 0.3
    twin = mirrored_head(head)
    assert twin[BLENDSHAPES.index('mouthSmileRight')] == 1.0
    assert twin[BLENDSHAPES.index('mouthLeft')] == 2.0
    assert twin[BLENDSHAPES.index('jawOpen')] == 3.0
    assert twin[51:] == pytest.approx([-0.1, 0.2, -0.3])
    assert mirrored_head(twin) == pytest.approx(head)


def test_the_head_pose_lies_between_the_points_and_the_reading():
    camera = CameraModel(640, 480, 554.0)
    plain = Landmarks(0, face().astype(np.float32), np.ones(98, np.float32))
    of_points = solve_head_pose(plain, camera)
    read = np.full(len(CHANNELS), np.nan, np.float32)
    read[-3:] = 0.4, -0.3, 0.2
    seen = Landmarks(0, plain.points_px, plain.confidence, read)
    assert predicted_angles(seen) == pytest.approx([0.4, -0.3, 0.2])
    both = solve_head_pose(seen, camera)
    for name, angle in (('yaw_rad', 0.4), ('pitch_rad', -0.3), ('roll_rad', 0.2)):
        low, high = sorted((angle, getattr(of_points, name)))
        assert low < getattr(both, name) < high
    read[-1] = np.nan
    assert predicted_angles(seen) is None
    assert solve_head_pose(seen, camera).yaw_rad == of_points.yaw_rad


def test_channels_without_predictions_are_the_geometry_alone():
    camera = CameraModel(640, 480, 554.0)
    points = face().astype(np.float32)
    plain = Landmarks(0, points, np.ones(98, np.float32))
    nothing = Landmarks(0, points, np.ones(98, np.float32), np.full(19, np.nan, np.float32))
    pose = solve_head_pose(plain, camera)
    assert raw_channels(nothing, pose) == pytest.approx(raw_channels(plain, pose))
    read = np.full(19, np.nan, np.float32)
    read[CHANNELS.index('eye_close_left')] = 6.0
    closed = Landmarks(0, points, np.ones(98, np.float32), read)
    moved = raw_channels(closed, pose) - raw_channels(plain, pose)
    assert moved[CHANNELS.index('eye_close_left')] > 0.5
    assert np.count_nonzero(np.abs(moved) > 1e-9) == 1


class Other:
    """A landmark model of somebody else: 68 points, no confidence, no predictions."""

    name = 'other'
    entry = {'layout': 'ibug68', 'preprocessing': {'crop_px': 64}}  # noqa: RUF012

    def run(self, feeds):
        assert feeds['crop'].shape == (1, 64, 64, 3)
        points = np.tile(np.linspace(0.3, 0.7, 68)[:, None], (1, 2)).astype(np.float32)
        return {'points': points[None]}


def test_a_68_point_model_is_a_drop_in():
    picture = np.zeros((200, 200, 3), np.uint8)
    found = LandmarkModel(Other()).predict(picture, FaceRegion(50.0, 50.0, 100.0), 7)
    assert found.points_px.shape == (98, 2) and found.predictions is None
    assert found.stamp_ns == 7
    # Points that 68 do not hold, such as pupils, say so.
    assert found.confidence[96] == 0.0 and found.confidence[60] > 0.0
