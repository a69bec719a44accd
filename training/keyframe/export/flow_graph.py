"""FastFlowNet's matching in the operators that a CPU runtime does fast; the same results.

What differs from `fastflownet.py`: features lie as (pixel, channel) rows. Warping fetches four
rows a pixel (Gather) instead of sampling channel by channel (GridSample): a third of the time.
The nine row bands of the correlation are one Gather instead of nine slices, and the matrix
product takes its second factor as it lies instead of transposed first.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.keyframe.networks.fastflownet import RADIUS, STRIDES, FastFlowNet, tap_offsets

SIDE = 2 * RADIUS + 1


class GraphFlow(nn.Module):
    """Takes the place of FastFlowNet in a network that is about to be exported.

    Args:
        net: whose weights are used, at the levels that it uses.
    """

    taps: Tensor

    def __init__(self, net: FastFlowNet) -> None:
        super().__init__()
        self.net, self.pyramid = net, net.pyramid
        self.used = net.used
        index = [(dy + RADIUS) * SIDE + dx + RADIUS for dy, dx in tap_offsets()]
        self.register_buffer('taps', torch.tensor(index), persistent=False)

    def match(
        self, current: list[Tensor], previous: list[Tensor], half: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Estimate the flow of one pair; see FastFlowNet.match. `half` is ignored."""
        flows: list[Tensor] = []
        features: list[Tensor] = []
        for level in reversed(self.used):
            here, there = current[level], previous[level]
            height, width = here.shape[-2:]
            rows = _rows(there)
            if flows:
                guess = self.net.up[level](flows[-1])
                rows = fetch(rows, guess * (1 / STRIDES[level]), height, width)
            else:
                guess = here[:, :2] * 0
            cost = self.correlate(_rows(here), rows, height, width)
            joined = torch.cat([cost, self.net.reduce[level](here), guess], dim=1)
            step, feature = self.net.decoders[level](joined)
            flows.append(guess + step)
            features.append(feature)
        return flows[::-1], features[::-1]

    def correlate(self, here: Tensor, there: Tensor, height: int, width: int) -> Tensor:
        """Standardise both frames and correlate them.

        Args:
            here: (H W, C) rows of the current frame.
            there: (H W, C) of the previous frame; outside it counts as zero.
            height: H.
            width: W.

        Returns:
            (1, 53, H, W), as CentreDenseCorrelation after `standardise`.
        """
        channels, wide = here.shape[1], width + 2 * RADIUS
        mean = here.mean(dim=0, keepdim=True)
        left = here - mean
        # Both frames over the spread, and the mean over channels, in one factor on one side.
        variance = left.square().mean(dim=0, keepdim=True) + 1e-2
        left = left * (1 / (channels * variance))
        right = (there - mean).reshape(1, height, width, channels)
        right = F.pad(right, (0, 0, RADIUS, RADIUS, RADIUS, RADIUS))
        bands = torch.arange(SIDE)[:, None] + torch.arange(height)
        right = right.reshape(height + 2 * RADIUS, wide * channels)
        right = right.index_select(0, bands.reshape(-1)).reshape(SIDE, height, wide, channels)
        left = left.reshape(1, height, width, channels)
        products = torch.matmul(left, right.transpose(2, 3))
        # products[x, x + dx] is wanted: rows of one element more turn diagonals into columns.
        flat = F.pad(products.reshape(SIDE, height, width * wide), (0, width))
        window = flat.reshape(SIDE, height, width, wide + 1)[..., :SIDE]
        window = window.permute(0, 3, 1, 2).reshape(1, SIDE * SIDE, height, width)
        return window.index_select(1, self.taps)


def fetch(rows: Tensor, flow: Tensor, height: int, width: int) -> Tensor:
    """Fetch rows at displaced pixels, bilinear, edges repeated; see `fastflownet.warp`.

    Args:
        rows: (H W, C).
        flow: (1, 2, H, W), u and v in pixels of this level.
        height: H.
        width: W.

    Returns:
        (H W, C).
    """
    x = torch.arange(width, dtype=torch.float32).expand(height, width)
    y = torch.arange(height, dtype=torch.float32)[:, None].expand(height, width)
    last = torch.tensor([width - 1.0, height - 1.0]).reshape(1, 2, 1, 1)
    place = torch.minimum(torch.relu(torch.stack([x, y])[None] + flow), last)
    corner = torch.minimum(torch.floor(place), last - 1)
    far = (place - corner).reshape(2, height * width)
    near = 1 - far
    first = (corner[0, 1] * width + corner[0, 0]).to(torch.int64).reshape(1, -1)
    index = first + torch.tensor([[0], [1], [width], [width + 1]])
    across = torch.stack([near[0], far[0], near[0], far[0]])
    down = torch.stack([near[1], near[1], far[1], far[1]])
    corners = rows.index_select(0, index.reshape(-1)).reshape(4, height * width, -1)
    return (corners * (across * down)[:, :, None]).sum(0)


def _rows(features: Tensor) -> Tensor:
    """(1, C, H, W) to (H W, C)."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)
