"""Smoothness, census and the mask of hidden places, on cases with known answers."""

from pathlib import Path

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from training.keyframe.train.config import TrainConfig  # noqa: E402
from training.keyframe.train.flow_losses import (  # noqa: E402
    census_loss,
    smoothness_loss,
    visible,
)
from training.keyframe.train.losses import photometric_loss  # noqa: E402

CONFIGS = Path(__file__).resolve().parents[2] / 'training/keyframe/train/configs'


def texture(size=64):
    torch.manual_seed(0)
    return torch.nn.functional.interpolate(
        torch.randn(1, 3, 16, 16), size=size, mode='bicubic', align_corners=False
    )


def test_a_constant_flow_is_smooth_and_a_step_counts_less_on_an_edge():
    flow = torch.ones(1, 2, 16, 16)
    flat = torch.zeros(1, 3, 64, 64)
    assert smoothness_loss(flat, [flow]) == 0
    step = flow.clone()
    step[..., 8:] = 3
    edge = flat.clone()
    edge[..., 32:] = 1
    # One of 15 columns jumps by 2 px of the image, 0.5 px of the flow.
    assert smoothness_loss(flat, [step]).item() == pytest.approx(0.5 / 15, rel=1e-4)
    assert 0 < smoothness_loss(edge, [step]) < 0.05 * smoothness_loss(flat, [step])


def test_census_prefers_the_true_flow_and_does_not_mind_brighter_light():
    before = texture()
    now = torch.roll(before, 2, dims=3)
    true = torch.zeros(1, 2, 64, 64)
    true[:, 0] = -2
    none = torch.zeros(1, 2, 64, 64)
    right, wrong = census_loss(now, before, [true]), census_loss(now, before, [none])
    assert right < 0.2 * wrong
    brighter = census_loss(now + 0.5, before, [true])
    assert brighter.item() == pytest.approx(right.item(), abs=1e-4)


def test_what_does_not_lead_back_is_hidden_and_left_out():
    there = torch.zeros(1, 2, 16, 16)
    there[:, 0] = 8
    back = -there
    back[..., 8:] = 24
    mask = visible(there, back, 4.0)
    assert mask[..., 2:5].min() == 1 and mask[..., 8:12].max() == 0
    before = texture()
    now = before.clone()
    now[..., 32:] = 2.0
    flow = torch.zeros(1, 2, 32, 32)
    seen = torch.ones(1, 1, 32, 32)
    seen[..., 15:] = 0
    assert photometric_loss(now, before, [flow]) > 0.2
    assert photometric_loss(now, before, [flow], [seen]) < 0.01
    assert census_loss(now, before, [flow], [seen]) < 0.1 * census_loss(now, before, [flow])


def test_the_mask_is_chosen_by_name_and_the_paper_takes_all_scales_and_pairs():
    with pytest.raises(ValueError, match='occlusion'):
        TrainConfig.load(CONFIGS / 'default.yaml', ['occlusion=sometimes'])
    paper = TrainConfig.load(CONFIGS / 'paper.yaml')
    assert (paper.flow_scales, paper.flow_every, paper.occlusion) == (5, 1, 'none')
    assert paper.loss['ssim'] > 0 and not paper.loss.get('smoothness')
