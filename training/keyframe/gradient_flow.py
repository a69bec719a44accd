"""Small motion from gradients: one Lucas-Kanade step at several scales, without weights.

After Lucas, Kanade: "An iterative image registration technique with an application to stereo
vision" (IJCAI 1981). Between two frames a face moves by a fraction of a pixel, which differences
of features show but do not measure: what moves a feature by (u, v) changes it by
u * d/dx + v * d/dy, and a convolution cannot divide one by the other. This does.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Flow is cut off where one step cannot measure it any more [px of its own scale].
REACH_PX = 1.5
# Pixels whose gradients are weaker than this part of the image's mean count as flat.
FLATNESS = 0.1
IMAGE_SCALES = (1, 2, 4, 8)


def small_motion(now: Tensor, before: Tensor, groups: int = 1, pool: int = 1) -> Tensor:
    """Measure the motion of a frame against the one before it.

    Args:
        now: (B, C, H, W) image or features.
        before: the same of the previous frame.
        groups: sets of channels that are measured each for themselves.
        pool: the flow is that many times coarser than the input.

    Returns:
        (B, 2 * groups, H / pool, W / pool): u of all groups, then v, in pixels of the input; the
        frame before shows at (x + u, y + v) what the frame shows at (x, y).
    """
    batch, channels, height, width = now.shape
    both = 0.5 * (now + before)
    wide = F.pad(both, (1, 1, 1, 1), mode='replicate')
    dx = 0.5 * (wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2])
    dy = 0.5 * (wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1])
    step = now - before

    def gather(x: Tensor) -> Tensor:
        # Sum over the channels of a group, mean over a window.
        grouped = x.reshape(batch, groups, channels // groups, height, width).mean(dim=2)
        small = F.avg_pool2d(grouped, pool) if pool > 1 else grouped
        return F.avg_pool2d(F.pad(small, (1, 1, 1, 1), mode='replicate'), 3, 1)

    xx, xy, yy, xt, yt = (gather(x) for x in (dx * dx, dx * dy, dy * dy, dx * step, dy * step))
    floor = FLATNESS * (xx + yy).mean(dim=(2, 3), keepdim=True) + 1e-5
    xx, yy = xx + floor, yy + floor
    scale = 1 / (xx * yy - xy * xy)
    u, v = (yy * xt - xy * yt) * scale, (xx * yt - xy * xt) * scale
    return torch.cat([u, v], dim=1).clamp(-REACH_PX, REACH_PX)


def local_contrast(image: Tensor, cell: int = 8) -> Tensor:
    """Take slow changes of light out of a (B, 1, H, W) image: mean 0 and deviation 1 nearby.

    Nearby are 3 x 3 cells of `cell` pixels; between cells means are interpolated.
    """

    def mean(x: Tensor) -> Tensor:
        coarse = F.pad(F.avg_pool2d(x, cell), (1, 1, 1, 1), mode='replicate')
        smooth = F.avg_pool2d(coarse, 3, 1)
        return F.interpolate(smooth, scale_factor=cell, mode='bilinear', align_corners=False)

    centred = image - mean(image)
    return centred / (mean(centred * centred) + 1e-2).sqrt()


def image_motion(now: Tensor, before: Tensor) -> list[Tensor]:
    """Measure the motion between two (B, 1, S, S) images of local contrast at four scales.

    Returns:
        (B, 8, S/4, S/4): the finest flow, two by two, in channels; then (B, 2, S/4, S/4),
        (B, 2, S/8, S/8) and (B, 2, S/16, S/16). All in pixels of the image.
    """
    flows = []
    for scale in IMAGE_SCALES:
        here, there = (F.avg_pool2d(x, scale) if scale > 1 else x for x in (now, before))
        flows.append(scale * small_motion(here, there, pool=2))
    flows[0] = F.pixel_unshuffle(flows[0], 2)
    return flows
