"""Landmark order, layouts and the two passes of the landmark model, without a trained model."""

import cv2
import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS, CameraModel, FaceRegion
from kf_imitation.errors import ModelError
from kf_imitation.expression.channels import channel_confidence, raw_channels
from kf_imitation.face_geometry import wflw
from kf_imitation.face_geometry.head_pose import MEAN_FACE_M, solve_head_pose, template
from kf_imitation.face_geometry.point_sets import LAYOUTS
from kf_imitation.landmarks.landmark_model import LandmarkModel, upright_crop
from kf_imitation.pipeline.face_pipeline import build_landmark_model

CROP_PX = 112


class DotModel:
    """Finds a face drawn as three dots (red, green, blue) and answers with the template on it."""

    name = 'dots'

    def __init__(self, passes=2, layout='wflw98', points=98, own_points=None):
        self.own_points = own_points  # (points, 98), the model's own order; None cuts or repeats
        self.entry = {'preprocessing': {'crop_px': CROP_PX, 'passes': passes}, 'layout': layout}
        self.points = points
        self.crops = []

    def run(self, feeds):
        crop = feeds['crop'][0]
        self.crops.append(crop)
        centres = []
        for channel in range(3):
            weight = np.clip(crop[..., channel].astype(float) - 60, 0, None)
            total = max(weight.sum(), 1e-6)
            y, x = np.mgrid[:CROP_PX, :CROP_PX]
            centres.append(((x * weight).sum() / total, (y * weight).sum() / total))
        target = template()[[60, 72, 16]] * CROP_PX
        matrix = cv2.getAffineTransform(target.astype(np.float32), np.float32(centres))
        found = (template() * CROP_PX) @ matrix[:, :2].T + matrix[:, 2]
        points = ((found + 0.5) / CROP_PX).astype(np.float32)[None]
        if self.own_points is not None:
            points = (self.own_points @ points[0]).astype(np.float32)[None]
        return {
            'points': np.resize(points, (1, self.points, 2)),
            'confidence': np.full((1, self.points), 0.9, np.float32),
        }


def drawn_face(angle_deg=20.0, size=180.0, centre=(210.0, 160.0)):
    """An image with three dots where a turned, scaled template has eye corners and chin."""
    angle = np.radians(angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (template() - 0.5) * size @ turn.T + centre
    image = np.zeros((320, 400, 3), np.uint8)
    for channel, index in enumerate((60, 72, 16)):
        plane = np.zeros((320, 400), np.uint8)
        x, y = points[index]
        cv2.circle(plane, (round(x * 16), round(y * 16)), 8 * 16, 255, -1, cv2.LINE_AA, 4)
        image[..., channel] = np.maximum(image[..., channel], plane)
    return image, points


def test_the_flip_table_undoes_itself_and_mirrors_the_mean_face():
    assert np.array_equal(wflw.FLIP[wflw.FLIP], np.arange(98))
    assert np.allclose(MEAN_FACE_M[wflw.FLIP] * [-1, 1, 1], MEAN_FACE_M, atol=2e-4)


@pytest.mark.parametrize('name', sorted(LAYOUTS))
def test_every_layout_keeps_a_constant_and_has_98_rows(name):
    layout = LAYOUTS[name]
    assert layout.matrix.shape == (98, layout.points)
    assert np.allclose(layout.matrix.sum(axis=1), 1.0, atol=1e-6)


def test_ibug_points_of_a_face_come_back_through_the_layout():
    face = template()
    points68 = np.einsum('kw,wc->kc', wflw.weight_matrix(wflw.IBUG68, 98), face)
    back, sure = LAYOUTS['ibug68'].to_wflw(points68.astype(np.float32), np.ones(68, np.float32))
    held = [*range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 60), *range(76, 96)]
    assert np.allclose(back[held], face[held], atol=1e-5)
    assert np.abs(back - face).max() < 0.06  # what is filled in lies near
    assert (sure[[38, 50, 96, 97]] == 0).all() and sure[60] == 1


@pytest.mark.parametrize('size', [60.0, 180.0])
def test_two_passes_find_the_face_wherever_the_region_is(size):
    image, points = drawn_face(size=size)
    region = FaceRegion(210 - 0.8 * size, 160 - 0.7 * size, 1.5 * size)
    model = DotModel()
    found = LandmarkModel(model).predict(image, region, 7)
    assert found.stamp_ns == 7
    assert found.points_px.dtype == np.float32 and found.points_px.shape == (98, 2)
    assert np.abs(found.points_px - points).max() < 1.0
    assert np.allclose(found.confidence, 0.9)
    assert len(model.crops) == 2


def test_the_second_look_sees_the_face_upright_and_centred():
    image, _ = drawn_face(angle_deg=-25)
    model = DotModel()
    LandmarkModel(model).predict(image, FaceRegion(90, 50, 230), 0)
    wanted = template()[60] * CROP_PX
    seen = np.unravel_index(
        cv2.GaussianBlur(model.crops[1][..., 0], (0, 0), 3).argmax(), (CROP_PX, CROP_PX)
    )
    assert np.abs(np.array(seen[::-1]) - wanted).max() < 3


class OffModel(DotModel):
    """Finds every point as far to the right of where it is."""

    def run(self, feeds):
        found = super().run(feeds)
        return {**found, 'points': found['points'] + np.float32((0.02, 0.0))}


@pytest.mark.parametrize('mirror', [False, True])
def test_the_error_of_a_look_may_be_averaged_with_that_of_its_mirror_image(mirror):
    image, points = drawn_face(angle_deg=0.0)
    model = OffModel()
    model.entry['preprocessing']['mirror'] = mirror
    found = LandmarkModel(model).predict(image, FaceRegion(120, 70, 180), 0)
    assert len(model.crops) == 2 + mirror
    off = (found.points_px - points)[:, 0].mean()
    assert off == pytest.approx(0.0 if mirror else 0.02 * 180, abs=0.7)


def test_the_first_look_counts_as_much_as_the_manifest_says():
    image, points = drawn_face(angle_deg=0.0)
    region = FaceRegion(30, -20, 360)
    off = []
    for passes, weight in ((1, 0.0), (2, 0.0), (2, 0.25)):
        model = OffModel(passes)
        model.entry['preprocessing']['first_weight'] = weight
        found = LandmarkModel(model).predict(image, region, 0)
        off.append((found.points_px - points)[:, 0].mean())
    # The same share of a larger crop is further off.
    assert off[0] > 1.5 * off[1] > 0
    assert off[2] == pytest.approx(0.25 * off[0] + 0.75 * off[1], abs=0.05)


def test_a_face_larger_than_the_crop_is_averaged_not_sampled():
    image, points = drawn_face()
    large = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    found = LandmarkModel(DotModel()).predict(large, FaceRegion(4 * 90, 4 * 40, 4 * 240), 0)
    assert np.abs((found.points_px + 0.5) / 4 - 0.5 - points).max() < 1.0


def test_the_upright_crop_is_exact_for_a_similar_face():
    target = template()
    turned = target @ np.array([[0.0, 2.0], [-2.0, 0.0]]) * 100 + (30, -40)
    matrix = upright_crop(turned, target, CROP_PX)
    assert np.allclose(turned @ matrix[:, :2].T + matrix[:, 2], target * CROP_PX - 0.5, atol=1e-4)


IBUG68_OWN = wflw.weight_matrix(wflw.IBUG68, 98)
MEDIAPIPE_OWN = np.linalg.pinv(LAYOUTS['mediapipe478'].matrix)  # any mesh with these 98 in it
IBUG68_HELD = [*range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 60), *range(76, 96)]


@pytest.mark.parametrize('passes', [1, 2])
@pytest.mark.parametrize(
    ('layout', 'count', 'own_points', 'held'),
    [
        ('ibug68', 68, IBUG68_OWN, IBUG68_HELD),
        ('mediapipe478', 478, MEDIAPIPE_OWN, list(range(98))),
    ],
)
def test_somebody_elses_model_can_be_dropped_in(layout, count, own_points, held, passes):
    image, points = drawn_face()
    model = LandmarkModel(DotModel(passes, layout, count, own_points))
    found = model.predict(image, FaceRegion(90, 50, 230), 0)
    assert found.points_px.shape == (98, 2)
    assert np.abs(found.points_px[held] - points[held]).max() < 1.5
    assert np.allclose(found.confidence[held], 0.9, atol=1e-5)
    assert found.predictions is None  # geometry alone makes the channels
    raw = raw_channels(found, solve_head_pose(found, CameraModel(400, 320, 400.0)))
    assert np.isfinite(raw).all()
    unsure = channel_confidence(found)[CHANNELS.index('brow_raise_left')]
    assert unsure == pytest.approx(0.9 if layout == 'mediapipe478' else 0.5, abs=0.01)


def test_a_manifest_that_cannot_work_is_rejected():
    with pytest.raises(ModelError, match=r"layout 'cofw29' must be one of"):
        LandmarkModel(DotModel(layout='cofw29'))
    model = DotModel()
    del model.entry['preprocessing']['crop_px']
    with pytest.raises(ModelError, match='crop_px'):
        LandmarkModel(model)


def test_a_model_with_another_number_of_points_is_rejected():
    image, _ = drawn_face()
    with pytest.raises(ModelError, match=r'layout wflw98 has 98'):
        LandmarkModel(DotModel(points=68)).predict(image, FaceRegion(90, 50, 230), 0)


@pytest.mark.parametrize(('key', 'name'), [('model', 'keyframe_lite'), ('eyes', 'face_region')])
def test_a_model_of_another_task_is_rejected_before_it_runs(key, name):
    values = {'model': 'landmarks_pfld', 'eyes': '', 'parts': '', 'threads': 1, key: name}
    with pytest.raises(ModelError, match=f'landmarks: {key} = {name} must take .* another task'):
        build_landmark_model(values)
