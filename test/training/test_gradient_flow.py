"""Motion from gradients: known shifts are measured, light is not taken for motion."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from training.keyframe.networks.fusion import KeyframeNet, grow  # noqa: E402
from training.keyframe.networks.gradient_flow import (  # noqa: E402
    REACH_PX,
    image_motion,
    local_contrast,
    small_motion,
)


def picture(dx=0.0, dy=0.0, turn=0.0, size=128):
    """A smooth pattern; it shows at (x, y) what the plain one shows at (x + dx, y + dy)."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) - (size - 1) / 2
    u = np.cos(turn) * x - np.sin(turn) * y + dx
    v = np.sin(turn) * x + np.cos(turn) * y + dy
    value = np.sin(u / 5 + v / 9) + np.cos(u / 7 - v / 4)
    return torch.from_numpy(value.astype(np.float32))[None, None]


def test_a_shift_below_one_pixel_is_measured():
    flow = small_motion(picture(0.3, -0.2), picture(), pool=2)
    # The guard against flat places makes motion a little smaller everywhere.
    inner = flow[..., 8:-8, 8:-8]
    assert inner[:, 0].mean().item() == pytest.approx(0.3, abs=0.1)
    assert inner[:, 1].mean().item() == pytest.approx(-0.2, abs=0.07)


def test_a_turn_shows_as_a_rotation_field():
    flow = small_motion(picture(turn=0.005), picture(), pool=2)[0]
    y, x = np.mgrid[0:64, 0:64].astype(np.float32) - 31.5
    u, v = flow.numpy()
    angle = (x * v - y * u).sum() / (2 * (x * x + y * y)).sum()
    assert angle == pytest.approx(0.005, rel=0.35)


def test_groups_measure_each_for_themselves():
    right, left = picture(0.25), picture(-0.25)
    now = torch.cat([right, right, left, left], dim=1)
    flow = small_motion(now, picture().expand(-1, 4, -1, -1), groups=2)
    u = flow[0, :2, 8:-8, 8:-8].mean(dim=(1, 2))
    assert u[0] > 0.1 and u[1] < -0.1


def test_flat_images_and_wild_changes_stay_finite_and_within_reach():
    flat = torch.zeros(1, 2, 32, 32)
    assert (small_motion(flat, flat) == 0).all()
    noise = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    assert small_motion(noise, -9 * noise).abs().max() <= REACH_PX


def test_light_is_no_motion():
    bright = 1.4 * picture() + 0.5
    for flow in image_motion(local_contrast(bright), local_contrast(picture())):
        assert flow.abs().mean() < 0.02


def test_a_network_without_gradients_is_a_valid_start():
    torch.manual_seed(0)
    small = KeyframeNet('difference', use_places=False, dropout=0.0).eval()
    large = KeyframeNet('difference', use_places=False, gradient='full', dropout=0.0).eval()
    grow(large, small.state_dict())
    images = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        expected = small(images, images.flip(0)).change
        torch.testing.assert_close(large(images, images.flip(0)).change, expected)


def test_gradients_of_features_need_features():
    with pytest.raises(ValueError, match='gradient = full'):
        KeyframeNet('none', gradient='full')
