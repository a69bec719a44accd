"""Patches of eyes and mouth lie where the landmarks say; their predictions count with others'."""

import cv2
import numpy as np
import pytest

from kf_imitation.data_types import BLENDSHAPES, CHANNELS, FaceRegion
from kf_imitation.face_geometry.head_pose import template
from kf_imitation.landmarks.landmark_model import PART_WEIGHT, FacePrediction, LandmarkModel
from kf_imitation.landmarks.patches import EYE, EYE_BLENDSHAPES, MOUTH, PartModel

MOUTH_NAMES = ('jawOpen', 'mouthFunnel', 'mouthPucker', 'mouthPressLeft', 'mouthPressRight')


class Reader:
    """Keeps the patches and reads constants."""

    def __init__(self):
        self.entry = {'mouth': MOUTH_NAMES}
        self.fed = {}

    def run(self, feeds):
        self.fed = feeds
        eyes = np.full((2, len(EYE_BLENDSHAPES)), -2.0, np.float32)
        eyes[0, 0], eyes[1, 0] = 3.0, -3.0  # the right eye blinks
        eyes[:, -1] = 1.0, 2.0  # one brow, seen from both eyes
        mouth = np.full((1, len(MOUTH_NAMES)), -2.0, np.float32)
        mouth[0, 0] = 1.5
        return {'eye_readings': eyes, 'mouth_readings': mouth}


def placed(size, corner, angle_deg):
    """(98, 2) points of a face, and its region."""
    angle = np.radians(angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (template() - 0.5) @ turn.T * size + size / 2 + np.array(corner)
    return points, FaceRegion(corner[0], corner[1], size)


@pytest.mark.parametrize('angle_deg', [0.0, 20.0])
@pytest.mark.parametrize('size', [140.0, 300.0])
def test_a_spot_on_a_part_is_in_the_middle_of_its_patch(size, angle_deg):
    points, region = placed(size, (40.0, 30.0), angle_deg)
    picture = np.zeros((400, 420, 3), np.uint8)
    for ends in ((60, 64), (68, 72), (76, 82)):
        x, y = points[list(ends)].mean(axis=0)
        radius = round(0.03 * size * 16)
        cv2.circle(picture, (round(x * 16), round(y * 16)), radius, (255,) * 3, -1, cv2.LINE_AA, 4)
    reader = Reader()
    PartModel(reader).predict(picture, region, points)
    assert reader.fed['eyes'].shape == (2, *EYE.size_px[::-1])
    assert reader.fed['mouth'].shape == (1, *MOUTH.size_px[::-1])
    patches = [*reader.fed['eyes'], reader.fed['mouth'][0]]
    for patch, part in zip(patches, (EYE, EYE, MOUTH), strict=True):
        weight = patch.astype(float)
        y, x = np.mgrid[: patch.shape[0], : patch.shape[1]]
        found = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
        middle = (np.array(part.size_px) - 1) / 2 + (0, part.up / part.step)
        assert np.abs(found - middle).max() < 0.7


def test_the_left_eye_is_seen_mirrored():
    points, region = placed(256.0, (0.0, 0.0), 0.0)
    picture = np.zeros((256, 256, 3), np.uint8)
    # Something at the outer side of each eye, which is the left side of the patches.
    for outer, inner in ((60, 64), (72, 68)):
        x, y = points[outer] + 0.3 * (points[outer] - points[inner])
        cv2.circle(picture, (round(x), round(y)), 4, (255,) * 3, -1)
    reader = Reader()
    PartModel(reader).predict(picture, region, points)
    for patch in reader.fed['eyes']:
        assert patch[:, : EYE.size_px[0] // 2].sum() > 10 * patch[:, EYE.size_px[0] // 2 :].sum()


def test_predictions_have_their_names_and_one_inner_brow():
    points, region = placed(200.0, (10.0, 10.0), 0.0)
    read = PartModel(Reader()).predict(np.zeros((240, 240, 3), np.uint8), region, points)
    named = dict(zip(BLENDSHAPES, read.tolist(), strict=True))
    assert named['eyeBlinkRight'] == 3.0 and named['eyeBlinkLeft'] == -3.0
    assert named['jawOpen'] == 1.5 and named['browInnerUp'] == 1.5
    assert all(np.isfinite(named[name]) for name in MOUTH_NAMES)
    assert np.isnan(named['noseSneerLeft'])


def predictions(head, eyes, parts=None):
    """Channels of what the models predict, whatever the points."""
    points, confidence = np.zeros((98, 2), np.float32), np.ones(98, np.float32)
    return FacePrediction(points, confidence, head, eyes, parts).landmarks(0).predictions


def test_they_count_against_the_predictions_of_the_landmark_model():
    head = np.full(54, -1.0)
    head[51:] = 0.0
    parts = np.full(len(BLENDSHAPES), np.nan)
    parts[BLENDSHAPES.index('jawOpen')] = 1.0
    parts[BLENDSHAPES.index('eyeBlinkLeft')] = 2.0
    row = predictions(head, None, parts)
    weight = PART_WEIGHT['jaw']
    assert row[CHANNELS.index('jaw_open')] == pytest.approx(-1 + 2 * weight, abs=1e-4)
    weight = PART_WEIGHT['eye']
    assert row[CHANNELS.index('eye_close_left')] == pytest.approx(-1 + 3 * weight, abs=1e-4)
    assert row[CHANNELS.index('eye_close_right')] == pytest.approx(-1, abs=1e-4)


def test_a_landmark_model_without_predictions_has_those_of_the_parts():
    class Points:
        name = 'points'

        def __init__(self):
            self.entry = {'preprocessing': {'crop_px': 112}}

        def run(self, feeds):
            return {'points': template()[None].astype(np.float32)}

    class Everything(Reader):
        def run(self, feeds):
            names = len(self.entry['mouth'])
            eyes = np.zeros((2, len(EYE_BLENDSHAPES)), np.float32)
            return {'eye_readings': eyes, 'mouth_readings': np.ones((1, names), np.float32)}

    reader = Everything()
    sides = [f'mouth{n}{s}' for n in ('Smile', 'Frown') for s in ('Left', 'Right')]
    reader.entry['mouth'] = (*MOUTH_NAMES, *sides)
    model = LandmarkModel(Points(), parts=PartModel(reader))
    found = model.predict(np.zeros((200, 200, 3), np.uint8), FaceRegion(20, 20, 150), 1)
    assert found.predictions[CHANNELS.index('mouth_smile_left')] == pytest.approx(1.0, abs=1e-4)
    assert np.isnan(found.predictions[CHANNELS.index('head_yaw')])
