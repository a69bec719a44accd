"""Losses of the keyframe network."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kf_imitation.keyframe.scoring.pair_scorer import SOFTNESS
from training.keyframe.networks.fastflownet import warp
from training.keyframe.train.flow_losses import masked_mean

# Wang, Bovik, Sheikh, Simoncelli: "Image quality assessment: from error visibility to
# structural similarity" (2004), C1 = (0.01 L)^2 and C2 = (0.03 L)^2, here for images of -2..2.
_C1 = (0.01 * 4) ** 2
_C2 = (0.03 * 4) ** 2


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the structural similarity of (B, C, H, W) images at every pixel, 3x3 windows."""
    a, b = F.pad(a, (1, 1, 1, 1), 'replicate'), F.pad(b, (1, 1, 1, 1), 'replicate')

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, 1)

    mean_a, mean_b = mean(a), mean(b)
    var_a = mean(a * a) - mean_a * mean_a
    var_b = mean(b * b) - mean_b * mean_b
    both = mean(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + _C1) * (2 * both + _C2)
    return top / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))


def photometric_loss(
    current: Tensor, previous: Tensor, flows: list[Tensor], seen: list[Tensor] | None = None
) -> Tensor:
    """Sum over scales of 1 - SSIM between the warped previous frame and the current one.

    Formula of the paper: F_wrap(i, j) = F(t-1)(i + u, j + v), loss = sum (1 - SSIM(F_wrap, F(t))).
    A flow at stride s is compared on images shrunk by s / 2, so that it is resampled only once.

    Args:
        current: (B, C, S, S).
        previous: (B, C, S, S).
        flows: (B, 2, S/4, S/4), (B, 2, S/8, S/8) ... in pixels of the images.
        seen: of each flow, (B, 1, h, w), 0 where the previous frame hides the place.

    Returns:
        Scalar.
    """
    total = current.new_zeros(())
    for level, flow in enumerate(flows):
        factor = current.shape[-1] // flow.shape[-1] // 2
        now, before = F.avg_pool2d(current, factor), F.avg_pool2d(previous, factor)
        fine = F.interpolate(flow, scale_factor=2, mode='bilinear', align_corners=False)
        apart = 1 - ssim(warp(before, fine / factor), now)
        total = total + masked_mean(apart, seen[level] if seen is not None else None)
    return total


def endpoint_loss(flows: list[Tensor], exact: Tensor, valid: Tensor) -> Tensor:
    """Robust end-point error against exact flow, summed over levels, finer ones weighing more.

    Args:
        flows: finest first, in pixels of the image.
        exact: (B, 2, S, S) in pixels.
        valid: (B, S, S), 1 where the exact flow is known.
    """
    total = exact.new_zeros(())
    known = valid[:, None].float()
    for level, flow in enumerate(flows):
        factor = exact.shape[-1] // flow.shape[-1]
        fraction = F.avg_pool2d(known, factor)
        target = F.avg_pool2d(exact * known, factor) / fraction.clamp(min=1e-3)
        error = ((flow - target).square().sum(1, keepdim=True) + 1e-4).sqrt()
        total = total + 0.6**level * (error * fraction).sum() / fraction.sum().clamp(min=1)
    return total


def score_of(size: Tensor) -> Tensor:
    """Map the size of a change per 1/30 s to the score 0..1."""
    return 1 - torch.exp(-size / SOFTNESS)


def vector_loss(
    predicted: Tensor, target: Tensor, knee: float = 0.3, rotation: float = 4.0
) -> Tensor:
    """Squared distance of change vectors that grows linearly beyond `knee`, mean over pairs.

    Args:
        predicted: (..., 54).
        target: the same shape.
        knee: in units of the change's size.
        rotation: weight of the head's angles. With 4 they count double, as in the score; but
            there sizes are added and here squares are, where what is smaller counts for less.
    """
    weight = predicted.new_ones(predicted.shape[-1])
    weight[-3:] = rotation
    error = ((predicted - target).square() * weight).sum(-1)
    return (2 * knee**2 * ((1 + error / knee**2).sqrt() - 1)).mean()


def point_loss(predicted: Tensor, target: Tensor, knee_px: float = 0.1) -> Tensor:
    """Charbonnier distance of landmark displacements, mean over points and pairs.

    Args:
        predicted: (..., P, 2) [px of the crop].
        target: the same shape.
        knee_px: below it the loss is quadratic.
    """
    error = (predicted - target).square().sum(-1)
    return ((error + knee_px**2).sqrt() - knee_px).mean()


def time_kernel(frames: int, frame_s: Tensor, sigma_s: float, reach_s: float) -> Tensor:
    """Return (B, frames, frames) matrices that smooth over time, rows summing to one.

    Args:
        frames: number of pairs in a row.
        frame_s: (B,) time between two frames [s].
        sigma_s: of the Gaussian [s].
        reach_s: where it is cut off [s].
    """
    index = torch.arange(frames, device=frame_s.device, dtype=frame_s.dtype)
    apart = (index[:, None] - index)[None] * frame_s[:, None, None]
    weight = torch.exp(-0.5 * (apart / sigma_s) ** 2) * (apart.abs() <= reach_s + 1e-6)
    return weight / weight.sum(-1, keepdim=True)
