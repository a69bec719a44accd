"""PFLD: shapes, size, losses, crops and the cache, on invented data."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from scipy.spatial.transform import Rotation  # noqa: E402

from kf_imitation.face_geometry.head_pose import template  # noqa: E402
from kf_imitation.face_geometry.wflw import FLIP  # noqa: E402
from kf_imitation.inference import similarity  # noqa: E402
from training.landmarks.networks.pfld import PFLD, PFLDConfig, PoseBranch  # noqa: E402
from training.landmarks.train import losses  # noqa: E402
from training.landmarks.train.augment import region_matrix, training_crop  # noqa: E402
from training.landmarks.train.data import (  # noqa: E402
    BLENDSHAPES,
    CACHE_PX,
    CACHE_SPAN,
    apply,
    cut,
)
from training.landmarks.train.run import DEFAULT_CONFIG, Cache, normalise  # noqa: E402


@pytest.fixture(scope='module')
def tiny():
    torch.manual_seed(0)
    torch.set_num_threads(1)  # these networks are too small to share
    return PFLDConfig(8, 8, 2, 16, 2, 2, 2, 8, 8, 16)


def face_points(px=CACHE_PX, fraction=0.45):
    return ((template() - 0.5) * fraction * px + px / 2).astype(np.float32)


def test_shapes_and_the_mean_shape_to_start_from(tiny):
    model = PFLD(tiny, torch.from_numpy(template())).eval()
    points, logits, early, predictions = model(torch.zeros(2, 3, 112, 112))
    assert points.shape == (2, 98, 2) and logits.shape == (2, 98)
    assert predictions.shape == (2, 54)
    assert early.shape == (2, tiny.early, 28, 28)
    assert torch.allclose(points[0], torch.from_numpy(template()), atol=0.05)
    assert PoseBranch(tiny)(early).shape == (2, 3)


def test_the_deployed_network_is_small():
    def count(config, head=False):
        named = PFLD(config).named_parameters()
        return sum(p.numel() for name, p in named if name.startswith('read.') == head)

    # The head that reads the expression came later and has a bound of its own.
    assert count(DEFAULT_CONFIG) < 1.5e6 and count(DEFAULT_CONFIG, head=True) < 0.5e6
    assert PFLDConfig(**DEFAULT_CONFIG.as_dict()) == DEFAULT_CONFIG


def sample(seed=0):
    rng = np.random.default_rng(seed)
    truth = torch.from_numpy(template())[None].repeat(3, 1, 1)
    return truth + torch.from_numpy(rng.normal(0, 0.01, truth.shape).astype(np.float32)), truth


def test_losses_are_zero_at_the_truth_and_grow_with_the_error():
    points, truth = sample()
    ones, of_point = torch.ones(3), torch.ones(3, 98)
    for loss in (losses.wing_loss, losses.l1_loss, losses.pair_loss):
        assert float(loss(truth, truth, ones, of_point)) == pytest.approx(0, abs=1e-7)
        near = float(loss(points, truth, ones, of_point))
        assert 0 < near < float(loss(truth + 3 * (points - truth), truth, ones, of_point))
    assert float(losses.paper_loss(truth, truth, ones)) == 0


def test_weights_grow_with_pose_error_and_rarity():
    angles = torch.tensor([[0.0, 0.0, 0.0], [0.6, 0.0, 0.0]])
    assert losses.pose_weight(angles, angles).tolist() == [0, 0]
    assert losses.pose_weight(angles, angles + 0.5).sum() > 0
    state = torch.tensor([[0.0, 0.0, 0.0, 1.0], [0.9, 0.0, 0.5, 1.0]])
    weight = losses.class_weight(state, angles)
    assert weight[0] == 1 and weight[1] == 5


def test_the_paper_weighs_a_class_by_the_inverse_of_its_fraction():
    angles = torch.zeros(4, 3)
    angles[0, 0] = -0.6  # the only profile of four, and a closed eye
    state, visible = torch.zeros(4, 4), torch.ones(4, 98)
    state[0, 1], visible[3, :20] = 0.9, 0
    weight = losses.class_rarity(state, angles, visible)
    assert weight.tolist() == pytest.approx([4 + 4, 4 / 3, 4 / 3, 4 / 3 + 4])


def test_renders_count_at_eyes_lips_and_pupils_only():
    state = torch.tensor([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    weight = losses.point_weight(state)
    assert (weight[0] > 0).all()
    assert (weight[1, :60] == 0).all() and (weight[1, 60:] > 0).all()
    points, truth = sample()
    moved = points.clone()
    moved[:, 33:51] += 0.1  # brows of a render
    ones = torch.ones(3)
    render = weight[1:].expand(3, -1)
    for loss in (losses.wing_loss, losses.pair_loss):
        assert float(loss(moved, truth, ones, render)) == pytest.approx(
            float(loss(points, truth, ones, render))
        )


def test_the_confidence_learns_errors_and_covers_and_leaves_the_points_alone():
    points, truth = sample()
    points.requires_grad_()
    visible = torch.ones(3, 98)
    visible[:, :10] = 0
    logits = torch.zeros(3, 98, requires_grad=True)
    losses.confidence_loss(logits, points, truth, visible).backward()
    assert points.grad is None
    assert (logits.grad[:, :10] > 0).all()  # downhill is less confidence
    assert logits.grad[:, 10:].mean() < 0  # small errors: more


def test_a_similarity_is_recovered():
    points = template()
    angle = 0.4
    turn = 3 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity(points, (points @ turn.T + [5, -2]).astype(np.float32))
    assert np.allclose(matrix[:, :2], turn, atol=1e-4) and np.allclose(
        matrix[:, 2], [5, -2], atol=1e-4
    )


def test_regions_keep_the_face_in_the_crop():
    rng = np.random.default_rng(0)
    points = face_points()
    for _ in range(50):
        matrix = region_matrix(rng, points, template(), CACHE_PX, CACHE_SPAN)
        inside = apply(matrix, points) / 112
        assert inside.min() > -0.25 and inside.max() < 1.25


def dotted(points):
    picture = np.full((CACHE_PX, CACHE_PX, 3), 90, np.uint8)
    for x, y in points[[60, 72, 16]]:
        cv2.circle(picture, (round(x * 16), round(y * 16)), 5 * 16, (255, 255, 255), -1, 8, 4)
    return picture


def test_labels_move_with_the_picture():
    points = face_points()
    rng = np.random.default_rng(3)
    for _ in range(10):
        crop, labels, mirrored, visible, _ = training_crop(
            rng, dotted(points), points, template(), CACHE_SPAN, dotted(points), clean=True
        )
        assert not mirrored and visible.all()
        for x, y in labels[[60, 72, 16]] * 112 - 0.5:
            if 3 < x < 108 and 3 < y < 108:
                assert crop[round(y), round(x), 0] > 200


def test_disturbed_crops_are_valid_and_mirroring_uses_the_flip_table():
    points = face_points()
    seen = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        crop, labels, mirrored, visible, _ = training_crop(
            rng, dotted(points), points, template(), CACHE_SPAN, dotted(points)
        )
        assert crop.shape == (112, 112, 3) and crop.dtype == np.uint8
        assert labels.shape == (98, 2) and np.isfinite(labels).all()
        # A face is never turned inside out: the right eye stays on the image's left of the left.
        side = labels[72] - labels[60]
        down = labels[16] - labels[51]
        assert side[0] * down[1] - side[1] * down[0] > 0
        assert visible.shape == (98,)
        seen.add((mirrored, bool(visible.all())))
    assert len(seen) == 4


def test_the_cached_square_holds_the_region_and_maps_points():
    picture = np.zeros((400, 400, 3), np.uint8)
    cv2.circle(picture, (200, 180), 6, (255, 255, 255), -1)
    mesh = np.array([[150.0, 120.0], [250.0, 240.0], [200.0, 180.0]], np.float32)
    crop, matrix = cut(picture, mesh)
    x, y = apply(matrix, mesh)[2]
    assert crop[round(float(y)), round(float(x)), 0] > 200
    assert np.allclose(apply(matrix, np.float32([[200, 180]])), (CACHE_PX - 1) / 2, atol=0.51)


def test_a_cache_gives_items_and_holds_people_out(tmp_path):
    count = 40
    points = np.repeat(face_points()[None], count, 0)
    pose = Rotation.from_euler('YXZ', [0.3, 0.1, 0.2]).as_matrix().astype(np.float32)
    np.save(tmp_path / 'crops.npy', np.repeat(dotted(points[0])[None], count, 0))
    np.savez(
        tmp_path / 'labels.npz',
        points=points,
        angles=np.tile(np.float32([0.3, 0.1, 0.2]), (count, 1)),
        rotation=np.repeat(pose[None], count, 0),
        blendshapes=np.zeros((count, len(BLENDSHAPES)), np.float32),
        state=np.tile(np.float32([0.9, 0.1, 0.0, 1.0]), (count, 1)),
        group=np.array([f'face:{i // 2}' for i in range(count)]),
    )
    data = Cache([tmp_path])
    held = data.held_out()
    assert 0 < held.sum() < count / 2
    groups = data.group
    assert not set(groups[held]) & set(groups[~held])
    assert data.weights().sum() > 0
    turned = set()
    for i in range(count):
        crop, _, angles, state, _, _ = data[i]
        turned.add((bool(angles[0] < 0), bool(state[0] < state[1])))
        # Turning the picture turns yaw into pitch, but not the face away from the viewer.
        away = np.cos(angles[0]) * np.cos(angles[1])
        assert away == pytest.approx(np.cos(0.3) * np.cos(0.1), abs=1e-5)
    assert turned == {(False, False), (True, True)}
    data.clean = True
    assert data[0][2] == pytest.approx([0.3, 0.1, 0.2], abs=0.05)
    scaled = normalise(torch.from_numpy(crop)[None])
    assert scaled.shape == (1, 3, 112, 112) and float(scaled.abs().max()) <= 1


def test_a_step_of_training_lowers_the_loss(tiny):
    torch.manual_seed(1)
    truth = torch.from_numpy(template())[None] + torch.tensor([0.05, -0.03])
    model = PFLD(tiny, torch.from_numpy(template()))
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4)
    crops = torch.rand(2, 3, 112, 112) * 2 - 1
    first = None
    for _ in range(12):
        points, _, _, _ = model(crops)
        loss = losses.wing_loss(points, truth.expand(2, -1, -1), torch.ones(2), torch.ones(2, 98))
        first = first or float(loss.detach())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < first


def test_flipped_labels_are_the_flip_table():
    points = template()
    mirrored = points[FLIP] * [-1, 1] + [1, 0]
    assert np.allclose(mirrored, points, atol=1e-3)
