"""The keyframe networks do what their papers and docstrings say."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from training.keyframe.networks.fastflownet import (  # noqa: E402
    CentreDenseCorrelation,
    FastFlowNet,
    pool,
    tap_offsets,
    warp,
)
from training.keyframe.networks.fusion import KeyframeNet, change_size, grow, normalise  # noqa: E402
from training.keyframe.networks.gradient_flow import image_motion  # noqa: E402
from training.keyframe.networks.resnet50 import CHANNELS, ResNet50  # noqa: E402


def count(module):
    return sum(p.numel() for p in module.parameters())


def crops(number, size=64, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 255, (number, size, size, 3), np.uint8))


def test_fastflownet_has_the_papers_1_37_million_parameters():
    assert count(FastFlowNet()) == pytest.approx(1.37e6, rel=0.005)


def test_resnet50_has_25_6_million_parameters_with_its_classifier():
    assert count(ResNet50(outputs=1000)) == 25_557_032


def test_correlation_has_53_taps_dense_in_the_centre():
    taps = tap_offsets()
    assert len(taps) == 53
    assert {(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)} <= set(taps)
    assert (-4, -4) in taps and (4, 2) in taps and (-4, -3) not in taps
    assert {(-dy, -dx) for dy, dx in taps} == set(taps)


def test_correlation_compares_each_pixel_with_its_shifted_neighbour():
    torch.manual_seed(0)
    first, second = torch.randn(2, 5, 6, 8), torch.randn(2, 5, 6, 8)
    out = CentreDenseCorrelation()(first, second)
    assert out.shape == (2, 53, 6, 8)
    for tap, (dy, dx) in enumerate(tap_offsets()):
        for y, x in ((0, 0), (3, 4), (5, 7)):
            inside = 0 <= y + dy < 6 and 0 <= x + dx < 8
            expected = (
                (first[:, :, y, x] * second[:, :, y + dy, x + dx]).mean(1) if inside else 0.0
            )
            assert torch.allclose(out[:, tap, y, x], torch.as_tensor(expected), atol=1e-6)


def test_flow_comes_at_strides_4_to_64():
    image = normalise(crops(1, 128))
    flows = FastFlowNet()(image, image)
    assert [f.shape[-1] for f in flows] == [32, 16, 8, 4, 2]


def test_pyramid_is_pooled_beyond_stride_8():
    stride4, stride8 = torch.rand(1, 32, 16, 16), torch.rand(1, 64, 8, 8)
    levels = pool(stride4, stride8)
    assert torch.allclose(levels[2][0, :, 0, 0], stride8[0, :, :2, :2].mean((1, 2)))
    assert [level.shape[-1] for level in levels] == [16, 8, 4, 2, 1]


def test_warp_fetches_from_where_the_flow_points():
    image = torch.arange(25.0).view(1, 1, 5, 5)
    flow = torch.zeros(1, 2, 5, 5)
    flow[:, 0] = 1
    assert torch.allclose(warp(image, flow)[..., :4], image[..., 1:], atol=1e-5)
    flow = torch.zeros(1, 2, 5, 5)
    flow[:, 1] = -0.5
    expected = (image[:, :, 1:] + image[:, :, :-1]) / 2
    assert torch.allclose(warp(image, flow)[:, :, 1:], expected, atol=1e-5)


def test_resnet50_features_match_the_flow_levels():
    features, guess = ResNet50(outputs=54).eval()(normalise(crops(1, 64)))
    assert [f.shape[1] for f in features] == list(CHANNELS)
    assert [f.shape[-1] for f in features] == [16, 8, 4, 2]
    assert guess.shape == (1, 54)


@pytest.mark.parametrize(
    ('motion', 'places'), [('flow', True), ('flow', False), ('difference', False), ('none', True)]
)
def test_every_variant_returns_change_and_score(motion, places):
    net = KeyframeNet(motion=motion, use_places=places).eval()
    images = normalise(crops(2, 128))
    with torch.no_grad():
        result = net(images[:1], images[1:])
    assert result.change.shape == (1, 54)
    assert result.score_logit.shape == (1,)
    assert len(result.flows) == (5 if motion == 'flow' else 0)


def test_streaming_gives_what_two_frames_give():
    net = KeyframeNet().eval()
    torch.nn.init.normal_(net.change.weight)
    images = normalise(crops(3, 128))
    with torch.no_grad():
        both = net(images[2:], images[1:2])
        previous, _ = net.see(images[:1])
        for i in (1, 2):
            state, places = net.see(images[i : i + 1])
            streamed = net.compare(state, places, previous)
            previous = state
    assert torch.allclose(both.change, streamed.change, atol=1e-5)


@pytest.mark.parametrize(
    'seen', [{'motion': 'difference'}, {'motion': 'none', 'gradient': 'coarse'}]
)
def test_a_grown_network_starts_with_the_smaller_ones_results(seen):
    small = KeyframeNet(use_places=False, **seen).eval()
    torch.nn.init.normal_(small.change.weight)
    large = KeyframeNet(gradient=seen.get('gradient', 'none')).eval()
    grow(large, small.state_dict(), small.joined)
    images = normalise(crops(2, 128))
    with torch.no_grad():
        a, b = small(images[:1], images[1:]), large(images[:1], images[1:])
    assert torch.allclose(a.change, b.change, atol=1e-4)


def test_a_network_with_fewer_blocks_and_flows_keeps_what_both_have():
    torch.manual_seed(0)
    large = KeyframeNet(motion='none', use_places=True).eval()  # its blocks begin as identities
    torch.nn.init.normal_(large.change.weight)
    small = KeyframeNet(motion='none', use_places=True, place_depths=(1, 1, 1, 1)).eval()
    grow(small, large.state_dict(), large.joined)
    images = normalise(crops(2, 128))
    with torch.no_grad():
        a, b = large(images[:1], images[1:]), small(images[:1], images[1:])
        flows = KeyframeNet(use_places=False, flow_stride=8, coarsest_flow_stride=16)(
            images[:1], images[1:]
        ).flows
    assert torch.allclose(a.change, b.change, atol=1e-5)
    assert [flow.shape[-1] for flow in flows] == [16, 8]


@pytest.mark.parametrize(('shrink', 'share'), [(2, 0.05), (4, 0.15)])
def test_a_smaller_contrast_gives_nearly_the_same_motion(shrink, share):
    fine, coarse = (
        KeyframeNet(motion='none', use_places=False, gradient='coarse', contrast_shrink=by)
        for by in (1, shrink)
    )
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing='ij')
    picture = torch.sin(x / 9 + y / 31) + torch.cos(y / 11 - x / 47) + torch.sin(x * y / 3000)
    pictures = [
        torch.nn.functional.avg_pool2d(picture[None, None, :, i : i + 240], 2) for i in (0, 1)
    ]
    flows = []
    for net in (fine, coarse):
        now, before = (net.contrast(p[..., 8:-8, :-8]) for p in pictures)
        by = net.contrast_shrink
        flows.append(by * image_motion(now, before, scales=(4 // by,))[0])
    assert flows[0].shape == flows[1].shape
    assert (flows[1] - flows[0]).norm() < share * flows[0].norm()


def test_a_contrast_that_features_do_not_have_is_rejected():
    with pytest.raises(ValueError, match='contrast_shrink = 2'):
        KeyframeNet(gradient='full', contrast_shrink=2)


def test_change_size_counts_a_radian_of_rotation_twice():
    change = torch.zeros(1, 54)
    change[0, 3], change[0, 4] = 0.3, -0.4
    assert change_size(change).item() == pytest.approx(0.5, abs=1e-3)
    change[0, 52] = 0.1
    assert change_size(change).item() == pytest.approx(0.7, abs=1e-3)


def test_a_network_that_sees_nothing_is_rejected():
    with pytest.raises(ValueError, match='motion, gradients or places'):
        KeyframeNet(motion='none', use_places=False)
