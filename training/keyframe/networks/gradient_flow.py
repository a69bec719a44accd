"""Small motion from gradients: one Lucas-Kanade step at several scales, without weights.

After Lucas, Kanade: "An iterative image registration technique with an application to stereo
vision" (IJCAI 1981). Between two frames a face moves by a fraction of a pixel, which differences
of features show but do not measure: what moves a feature by (u, v) changes it by
u * d/dx + v * d/dy, and a convolution cannot divide one by the other. This does.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Flow approaches this where one step cannot measure it any more [px of its own scale].
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
    # Sums instead of means of the two frames and of the two neighbours: gradients are four times
    # too large, which the end makes up for.
    wide = F.pad(now + before, (1, 1, 1, 1), mode='replicate')
    rows, columns = wide[:, :, 1:-1], wide[:, :, :, 1:-1]
    dx = rows[..., 2:] - rows[..., :-2]
    dy = columns[:, :, 2:] - columns[:, :, :-2]
    step = now - before
    # All five products at once: few large operations are faster than many small ones.
    products = torch.cat([dx * dx, dx * dy, dy * dy, dx * step, dy * step], dim=1)
    if groups < channels:
        products = products.reshape(batch, 5 * groups, channels // groups, height, width)
        products = products.mean(dim=2)
    if pool > 1:
        products = F.avg_pool2d(products, pool)
    sums = F.avg_pool2d(F.pad(products, (1, 1, 1, 1), mode='replicate'), 3, 1)
    xx, xy, yy, xt, yt = sums.split(groups, dim=1)
    floor = FLATNESS * (xx + yy).mean(dim=(2, 3), keepdim=True) + 16e-5
    xx, yy = xx + floor, yy + floor
    scale = 4 / (xx * yy - xy * xy)
    u, v = (yy * xt - xy * yt) * scale, (xx * yt - xy * xt) * scale
    flow = torch.cat([u, v], dim=1)
    # A soft limit: outliers of flat places must not speak louder than motion.
    return flow / (1 + (flow / REACH_PX).square()).sqrt()


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


def image_motion(
    now: Tensor, before: Tensor, scales: Sequence[int] = IMAGE_SCALES
) -> list[Tensor]:
    """Measure the motion between two (B, 1, S, S) images of local contrast at several scales.

    Returns:
        (B, 2, S / (2 * scale), S / (2 * scale)) for each scale, in pixels of the image.
    """
    flows, current = [], 1
    for scale in scales:
        step, current = scale // current, scale
        if step > 1:
            now, before = F.avg_pool2d(now, step), F.avg_pool2d(before, step)
        flows.append(scale * small_motion(now, before, pool=2))
    return flows
