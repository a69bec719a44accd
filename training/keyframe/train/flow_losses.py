"""Optional losses of flow without truth: smoothness, census, and a mask of what is hidden.

Simon Meister, Junhwa Hur, Stefan Roth: "UnFlow: Unsupervised Learning of Optical Flow with a
Bidirectional Census Loss" (2018), equations 1 (mask) and 4 (smoothness, here of first order and
weaker at edges of the image); the soft census is its section 3.2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from training.keyframe.networks.fastflownet import warp

# The mask's tolerance: a fraction of the squared flows, and squared pixels.
_SHARE, _FLOOR_PX2 = 0.01, 0.5
_CENSUS_SIDE = 7
_EDGE_GAIN = 4.0


def at_stride(image: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Return a (B, C, S, S) image shrunk to a (B, 2, h, w) flow, and the flow in its pixels."""
    factor = image.shape[-1] // flow.shape[-1]
    return F.avg_pool2d(image, factor), flow / factor


def smoothness_loss(current: Tensor, flows: list[Tensor]) -> Tensor:
    """Mean change of the flow from pixel to pixel, summed over scales; edges count less.

    Args:
        current: (B, C, S, S).
        flows: (B, 2, h, w) each, in pixels of the image.
    """
    total = current.new_zeros(())
    for flow in flows:
        image, flow = at_stride(current, flow)
        for axis in (2, 3):
            edge = image.diff(dim=axis).abs().mean(1, keepdim=True)
            total = total + (flow.diff(dim=axis).abs() * torch.exp(-_EDGE_GAIN * edge)).mean()
    return total


def census(image: Tensor) -> Tensor:
    """Describe each pixel of (B, C, H, W) by how its neighbours differ: (B, 48, H, W) in -1..1."""
    grey = image.mean(1, keepdim=True)
    around = F.unfold(F.pad(grey, (_CENSUS_SIDE // 2,) * 4, 'replicate'), _CENSUS_SIDE).view(
        len(grey), _CENSUS_SIDE**2, *grey.shape[2:]
    )
    middle = _CENSUS_SIDE**2 // 2
    difference = torch.cat([around[:, :middle], around[:, middle + 1 :]], dim=1) - grey
    # Grey levels of normalised images are 1/64 apart: 0.05 is about three of them.
    return difference / (difference.square() + 0.05**2).sqrt()


def census_loss(
    current: Tensor, previous: Tensor, flows: list[Tensor], seen: list[Tensor] | None = None
) -> Tensor:
    """Difference of the census of the warped previous frame and the current one, over scales.

    Light that changes between the frames changes nothing. Arguments as in photometric_loss.
    """
    total = current.new_zeros(())
    for level, flow in enumerate(flows):
        now, small = at_stride(current, flow)
        before, _ = at_stride(previous, flow)
        error = (census(warp(before, small)) - census(now)).square()
        distance = (error / (0.1 + error)).mean(1, keepdim=True)
        total = total + masked_mean(distance, seen[level] if seen is not None else None)
    return total


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean of (B, C, H, W) values where a (B, 1, h, w) mask is one."""
    if mask is None:
        return values.mean()
    mask = F.interpolate(mask, size=values.shape[-2:], mode='nearest').expand_as(values)
    return (values * mask).sum() / mask.sum().clamp(min=1)


def visible(forward: Tensor, backward: Tensor, factor: float) -> Tensor:
    """Return (B, 1, h, w): 1 where a pixel of the current frame is seen in the previous one.

    Where the way there and the way back do not cancel, something hid the surface.

    Args:
        forward: (B, 2, h, w) flow from the current frame to the previous one [px of the crop].
        backward: the flow back.
        factor: pixels of the crop in a pixel of the flow.
    """
    there, back = forward / factor, backward / factor
    back = warp(back, there)
    gap = (there + back).square().sum(1, keepdim=True)
    size = there.square().sum(1, keepdim=True) + back.square().sum(1, keepdim=True)
    return (gap < _SHARE * size + _FLOOR_PX2).to(forward.dtype)
