"""Eyes and mouth are found, cut out and read where they are."""

import csv
import sys
from functools import partial

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from fake_faces import fake_points  # noqa: E402

from kf_imitation.keyframe.scoring.pair_scorer import CHANGE_NAMES  # noqa: E402
from training.data.clip_cache import CachedClip, face_regions  # noqa: E402
from training.data.face_states import FaceStates  # noqa: E402
from training.data.part_stream import PartStream, footage  # noqa: E402
from training.keyframe.export.import_from_onnx import import_from_onnx, set_statistics  # noqa: E402
from training.keyframe.export.run import (  # noqa: E402
    StreamingStep,
    compare,
    export,
    fixed_crops,
    trace,
)
from training.keyframe.measure import choose_mesh  # noqa: E402
from training.keyframe.networks import eye_mouth_mesh_points  # noqa: E402
from training.keyframe.networks.eye_mouth_networks import (  # noqa: E402
    CROP_PX,
    EMBEDDING,
    EYE,
    MOUTH,
    Parts,
    SteadyDropout,
    cut_parts,
    direction,
    prediction_order,
)
from training.keyframe.networks.fusion import KeyframeNet, normalise  # noqa: E402
from training.keyframe.train.train_parts import WEIGHT, changes, losses, places_of  # noqa: E402

NAMES = CHANGE_NAMES[:51]
PLACES = torch.tensor([[[0.33, 0.42], [0.67, 0.36], [0.55, 0.7]]])


def clip(count=40):
    """A face that blinks with one lid: its label follows a wave, its picture is noise."""
    rng = np.random.default_rng(3)
    wave = (1 + np.sin(np.arange(count) / 3)) / 2
    shapes = np.zeros((count, 51), np.float32)
    shapes[:, NAMES.index('eyeBlinkLeft')] = wave
    points = np.tile(fake_points(), (count, 1, 1))
    labels = FaceStates(
        shapes, NAMES, np.zeros((count, 3), np.float32), points, np.ones(count, bool), 30.0
    )
    frames = rng.integers(0, 255, (count, 192, 192, 3), np.uint8)
    return CachedClip('fake', frames, labels, face_regions(points))


def stream(seed=1):
    return PartStream(footage(clip()), [], None, NAMES, seed, groups=2)


def test_the_table_of_mesh_points_pairs_left_and_right():
    order = np.array(eye_mouth_mesh_points.MIRRORED)
    assert (order[order] == np.arange(len(order))).all()
    assert sorted(
        eye_mouth_mesh_points.POINTS[i] for i in eye_mouth_mesh_points.MIRRORED
    ) == sorted(eye_mouth_mesh_points.POINTS)
    right, left, mouth = eye_mouth_mesh_points.PARTS
    assert set(eye_mouth_mesh_points.POINTS[right]) >= {33, 133, 468} and set(
        eye_mouth_mesh_points.POINTS[left]
    ) >= {263}
    assert set(order[mouth]) == set(range(mouth.start, mouth.stop))
    for part, patch in (('eye', EYE), ('mouth', MOUTH)):
        places = eye_mouth_mesh_points.usual_places(part)
        width, height = patch.size_px
        assert (np.abs(places) < [0.5, 0.5 * height / width]).all()


def test_the_table_is_chosen_from_labels(tmp_path, monkeypatch):
    # A face laid out by the table, eyes and mouth where they usually are in a region of 200 px.
    mesh = np.stack([np.full(478, 96.0), np.linspace(16, 176, 478)], axis=1)
    right, left, mouth = (
        np.array(eye_mouth_mesh_points.POINTS)[p] for p in eye_mouth_mesh_points.PARTS
    )
    eye = 50 * eye_mouth_mesh_points.usual_places('eye') - [30, 16 + 6.25]
    mesh[right], mesh[left] = 96 + eye, 96 + eye * [-1, 1]
    lips = 87.5 * eye_mouth_mesh_points.usual_places('mouth')
    mesh[mouth] = [96, 134] + (lips + lips[mirrored_mouth()] * [-1, 1]) / 2
    shifts = np.random.default_rng(2).normal(0, 3, (20, 1, 2))
    mesh = mesh + shifts
    labels = FaceStates(
        np.zeros((20, 51), np.float32), NAMES, np.zeros((20, 3), np.float32),
        mesh.astype(np.float32), np.ones(20, bool), 0.0,
    )  # fmt: skip
    monkeypatch.setattr(choose_mesh, 'load_face_states', lambda file: labels)
    out = tmp_path / 'table.csv'
    monkeypatch.setattr(sys, 'argv', ['choose_mesh', '--clips', str(tmp_path), '--out', str(out)])
    choose_mesh.main()
    with out.open() as file:
        rows = {(row['part'], int(row['point'])): row for row in csv.DictReader(file)}
    usual = {
        ('eye', i): p
        for i, p in zip(right, eye_mouth_mesh_points.usual_places('eye'), strict=True)
    }
    found = [k for k in usual if k in rows]
    assert len(found) > 0.8 * len(usual)
    for key in found:
        row = rows[key]
        assert np.allclose([float(row['x']), float(row['y'])], usual[key], atol=0.03)
        assert int(row['mirrored']) == left[list(right).index(key[1])]
    assert ('eye', 61) not in rows and rows['mouth', 61]['mirrored'] == '291'


def mirrored_mouth():
    """Return the order that exchanges left and right among the points of the mouth."""
    mouth = eye_mouth_mesh_points.PARTS[2]
    return np.array(eye_mouth_mesh_points.MIRRORED[mouth]) - mouth.start


def test_predictions_of_a_shape_do_not_depend_on_where_the_patch_lies():
    torch.manual_seed(0)
    mouth = Parts(prediction_order(NAMES)).mouth
    torch.nn.init.normal_(mouth.shape[-1].weight)
    points = 0.02 * torch.randn(3, len(eye_mouth_mesh_points.MOUTH), 2)
    shifted = points + torch.tensor([0.05, -0.03])
    assert torch.allclose(mouth.shape_of(points), mouth.shape_of(shifted), atol=1e-4)
    opened = points.clone()
    opened[:, eye_mouth_mesh_points.MOUTH.index(14), 1] += 0.1
    assert not torch.allclose(mouth.shape_of(points), mouth.shape_of(opened), atol=1e-2)


def test_errors_common_to_a_group_are_no_errors_of_changes():
    error = torch.randn(2, 1, 5).expand(2, 8, 5).clone()
    apart, near = changes(error)
    assert apart.abs().max() < 1e-6 and near.abs().max() == 0
    error[0, 3] += 1
    apart, near = changes(error)
    assert near[0, 1].sub(1).abs().max() < 1e-6
    assert apart[0, 3].sub(7 / 8).abs().max() < 1e-6


def test_predictions_have_the_places_of_their_names():
    right, left, mouth = prediction_order(NAMES)
    assert NAMES[right[0]] == 'eyeBlinkRight' and NAMES[left[0]] == 'eyeBlinkLeft'
    assert {NAMES[i] for i in mouth} >= {'jawOpen', 'mouthSmileLeft', 'cheekPuff'}
    assert not set(mouth) & {*right, *left}


@pytest.mark.parametrize(
    ('part', 'place', 'mirror'), [(EYE, 0, False), (EYE, 1, True), (MOUTH, 2, False)]
)
def test_a_spot_appears_in_the_patch_where_locate_says(part, place, mirror):
    spot = PLACES[:, place] * CROP_PX + torch.tensor([[9.0, 4.0]])
    image = np.zeros((CROP_PX, CROP_PX), np.float32)
    cv2.circle(image, [int(v) for v in spot[0]], 3, 1.0, -1)
    seen = torch.from_numpy(image)[None, None]
    eyes, mouth = cut_parts(seen, PLACES)
    patch = (eyes[place] if place < 2 else mouth[0])[0]
    rows, columns = np.nonzero(patch.numpy() > 0.5)
    middle = (torch.floor(spot) + 0.5) / CROP_PX
    found = part.locate(middle[:, None], PLACES[:, place], direction(PLACES), mirror)[0, 0]
    width, height = part.size_px
    expected = found.numpy() * width + [(width - 1) / 2, (height - 1) / 2]
    assert np.allclose([columns.mean(), rows.mean()], expected, atol=0.6)


def test_a_mirrored_face_shows_the_same_eyes_exchanged():
    torch.manual_seed(0)
    image = torch.randn(1, 1, CROP_PX, CROP_PX)
    mirrored = PLACES[:, [1, 0, 2]] * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])
    eyes, mouth = cut_parts(image, PLACES)
    others, other_mouth = cut_parts(image.flip(3), mirrored)
    assert torch.allclose(eyes, others.flip(0), atol=1e-4)
    assert torch.allclose(mouth, other_mouth.flip(3), atol=1e-4)


def test_batches_repeat_with_the_seed_and_points_follow_the_crop():
    first, again = next(iter(stream())), next(iter(stream()))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert first['crops'].shape == (2, 8, CROP_PX, CROP_PX)
    assert first['blendshapes'].shape == (2, 8, 51) and first['same'].all()
    places = places_of(first['points']).numpy()
    assert places.shape == (2, 8, 3, 2)
    # The person's right eye is left in the picture, mirrored or not; the mouth is below.
    assert (places[..., 0, 0] < places[..., 1, 0]).all()
    assert (places[..., 2, 1] > places[..., :2, 1].max(axis=-1)).all()
    sides = [NAMES.index('eyeBlinkLeft'), NAMES.index('eyeBlinkRight')]
    moved = first['blendshapes'][..., sides].std(dim=1) > 0.1
    assert (moved.sum(dim=1) == 1).all()  # one lid, whichever side it is on now


def test_a_few_steps_on_one_batch_lower_the_loss():
    torch.manual_seed(0)
    parts, batch = Parts(prediction_order(NAMES)), next(iter(stream()))
    assert NAMES[parts.order[0]] == 'eyeBlinkRight'
    parts.eye.drop.p = parts.mouth.drop.p = 0.0
    optimiser = torch.optim.AdamW(parts.parameters(), lr=1e-3)
    found = []
    for _ in range(8):
        terms = losses(parts, batch, 0)
        total = sum(terms.values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        found.append(total.item())
    assert found[-1] < 0.95 * found[0]
    assert set(terms) == set(WEIGHT)


def test_the_network_with_parts_streams_and_keeps_its_predictions(tmp_path):
    torch.manual_seed(0)
    net = KeyframeNet(motion='difference', use_places=False, gradient='coarse', parts=True).eval()
    torch.nn.init.normal_(net.trust_parts)
    step = StreamingStep(net, net.crop_px).eval()
    assert net.crop_px == CROP_PX and step.states['state_readings'] == (1, 54)
    assert step.states['state_image'] == (1, 1, CROP_PX // 2, CROP_PX // 2)
    trace(step, tmp_path / 'net.onnx')
    # Pictures are rounded after they are shrunk, in both.
    assert compare(step, tmp_path / 'net.onnx', [fixed_crops(CROP_PX, 3)]).largest < 2e-4
    assert step.pictures['colour'] == (1, CROP_PX // 2, CROP_PX // 2, 3)
    image = normalise(torch.from_numpy(fixed_crops(CROP_PX, 2))).mean(dim=1, keepdim=True)
    predictions, embeddings = net.parts(image)
    assert embeddings.shape == (2, 3 * EMBEDDING)
    unread = [i for i in range(54) if i not in net.parts.order]
    assert (
        (predictions[:, unread] == 0).all()
        and (predictions >= 0).all()
        and (predictions <= 1).all()
    )


def test_a_small_network_takes_one_channel_and_comes_back_from_its_file(tmp_path):
    torch.manual_seed(0)
    make = partial(KeyframeNet, motion='none', use_places=False, gradient='coarse', parts=True)
    net, other = make().eval(), make().eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.bias.normal_(0, 0.1)
    file = tmp_path / 'net.onnx'
    export(net, net.crop_px, file, gain=1.25)
    assert import_from_onnx(file, other) == ([], 1.25)
    crops = [fixed_crops(CROP_PX, 3)]
    step = StreamingStep(other, other.crop_px, 1.25).eval()
    assert step.pictures == {'crop': (1, CROP_PX, CROP_PX, 1)}
    assert compare(step, file, crops).largest < 2e-4
    set_statistics(other, crops)
    assert compare(StreamingStep(other.eval(), other.crop_px, 1.25), file, crops).largest < 2e-3


def test_a_file_of_another_network_is_rejected(tmp_path):
    net = KeyframeNet(motion='none', use_places=False, gradient='coarse', parts=True).eval()
    export(net, net.crop_px, tmp_path / 'net.onnx')
    with pytest.raises(ValueError, match=r'another configuration: .*hidden\.weight is'):
        import_from_onnx(
            tmp_path / 'net.onnx', KeyframeNet(motion='difference', use_places=False, parts=True)
        )


def test_steady_dropout_leaves_out_the_same_in_all_frames_of_a_window():
    torch.manual_seed(0)
    x = torch.ones(3 * 4, 200)
    out = SteadyDropout(0.3, 4)(x).view(3, 4, 200)
    assert (out == out[:, :1]).all() and not torch.equal(out[0], out[1])
    assert abs(float((out == 0).float().mean()) - 0.3) < 0.05
    assert abs(float(out.mean()) - 1) < 0.08
