"""FastFlowNet in plain PyTorch.

After Kong, Shen, Yang: "FastFlowNet: A Lightweight Network for Fast Optical Flow Estimation"
(ICRA 2021, arXiv:2103.04524): head enhanced pooling pyramid, centre dense dilated correlation
and shuffle block decoders, coarse to fine from stride 64 to stride 4.

Flow here is in pixels of the input image at every level, so that no level needs its own unit.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (4, 8, 16, 32, 64)
RADIUS = 4
TAPS = 53
FEATURE_CHANNELS = 32


def conv(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """3x3 convolution with leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups), nn.LeakyReLU(0.1)
    )


class Pyramid(nn.Module):
    """Head enhanced pooling pyramid: convolutions to stride 8, pooling beyond."""

    def __init__(self) -> None:
        super().__init__()
        self.stride2 = nn.Sequential(conv(3, 16, 2), conv(16, 16))
        self.stride4 = nn.Sequential(conv(16, 32, 2), conv(32, 32), conv(32, 32))
        self.stride8 = nn.Sequential(conv(32, 64, 2), conv(64, 64), conv(64, 64))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features that have weights.

        Args:
            image: (B, 3, H, W), about -1..1; H and W multiples of 64.

        Returns:
            (B, 32, H/4, W/4) and (B, 64, H/8, W/8).
        """
        fine = self.stride4(self.stride2(image))
        return fine, self.stride8(fine)


def pool(stride4: Tensor, stride8: Tensor) -> list[Tensor]:
    """Complete the pyramid: features at strides 4, 8, 16, 32, 64."""
    levels = [stride4, stride8]
    for _ in range(3):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def tap_offsets() -> list[tuple[int, int]]:
    """Return the (dy, dx) of the 53 taps in row order.

    Of the 9x9 window every second position in the manner of a chess board (41), and all of the
    inner 5x5 (12 more).
    """
    reach = range(-RADIUS, RADIUS + 1)
    return [
        (dy, dx)
        for dy in reach
        for dx in reach
        if (dy + dx) % 2 == 0 or max(abs(dy), abs(dx)) <= 2
    ]


class CentreDenseCorrelation(nn.Module):
    """Mean product of a feature with its neighbours in the other frame at the 53 taps."""

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        side = 2 * RADIUS + 1
        index = [(dy + RADIUS) * side + dx + RADIUS for dy, dx in tap_offsets()]
        self.register_buffer('taps', torch.tensor(index), persistent=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Correlate.

        Args:
            first: (B, C, H, W).
            second: (B, C, H, W); outside it counts as zero.

        Returns:
            (B, 53, H, W), tap (dy, dx) of the pixel (y, x) compares it with (y+dy, x+dx).
        """
        batch, channels, height, width = first.shape
        side, wide = 2 * RADIUS + 1, width + 2 * RADIUS
        padded = F.pad(second, (RADIUS, RADIUS, RADIUS, RADIUS))
        # Every row of the first against nine rows of the second, as matrix products: far fewer
        # operations than 81 shifted products, in training and in the exported graph alike.
        rows = torch.stack([padded[:, :, dy : dy + height] for dy in range(side)], dim=1)
        left = first.permute(0, 2, 3, 1).unsqueeze(1)
        right = rows.permute(0, 1, 3, 2, 4)
        products = torch.matmul(left / channels, right)
        # products[x, x + dx] is wanted: rows of one element more turn diagonals into columns.
        flat = products.reshape(batch, side, height, width * wide)
        flat = F.pad(flat, (0, width))
        skewed = flat.reshape(batch, side, height, width, wide + 1)[..., :side]
        window = skewed.permute(0, 1, 4, 2, 3).reshape(batch, side * side, height, width)
        return window.index_select(1, self.taps)


def warp(
    image: Tensor, flow: Tensor, padding: str = 'border', align_corners: bool = True
) -> Tensor:
    """Fetch from the previous frame: out(y, x) = image(y + v, x + u), bilinear.

    Args:
        image: (B, C, H, W) of the previous frame.
        flow: (B, 2, H, W), u and v in pixels of `image`.
        padding: outside the image: border (edges repeated) or zeros.
        align_corners: false samples as grid_sample does by default, which is off by up to half a
            pixel; weights trained so need it.

    Returns:
        (B, C, H, W) aligned with the current frame.
    """
    height, width = image.shape[-2:]
    x = torch.arange(width, dtype=flow.dtype, device=flow.device)
    y = torch.arange(height, dtype=flow.dtype, device=flow.device)
    u = (x + flow[:, 0]) * (2 / max(width - 1, 1)) - 1
    v = (y[:, None] + flow[:, 1]) * (2 / max(height - 1, 1)) - 1
    grid = torch.stack([u, v], dim=-1)
    return F.grid_sample(
        image, grid, mode='bilinear', padding_mode=padding, align_corners=align_corners
    )


def standardise(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Give every channel of both frames mean 0 and variance 1, by the first frame's statistics.

    Not in the paper, and without parameters. Features behind a leaky ReLU have a large mean, so
    that without this all taps of the correlation look alike and small motion is learned late
    (Jonschkowski et al., "What matters in unsupervised optical flow", ECCV 2020).
    """
    mean = first.mean(dim=(2, 3), keepdim=True)
    spread = ((first - mean).square().mean(dim=(2, 3), keepdim=True) + 1e-2).sqrt()
    return (first - mean) / spread, (second - mean) / spread


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of the groups."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, groups, channels // groups, height, width).transpose(1, 2)
    return x.reshape(batch, channels, height, width)


class ShuffleDecoder(nn.Module):
    """Shuffle block decoder of one level: three grouped convolutions between plain ones."""

    def __init__(self, inputs: int, groups: int = 3) -> None:
        super().__init__()
        self.groups = groups
        self.enter = conv(inputs, 96)
        self.grouped = nn.ModuleList([conv(96, 96, groups=groups) for _ in range(3)])
        self.leave = nn.Sequential(conv(96, 64), conv(64, FEATURE_CHANNELS))
        self.flow = nn.Conv2d(FEATURE_CHANNELS, 2, 3, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, 2, H, W) flow in float32 and the (B, 32, H, W) features before it."""
        x = self.enter(x)
        for layer in self.grouped:
            x = shuffle(layer(x), self.groups)
        features = self.leave(x)
        return self.flow(features).float(), features


class FastFlowNet(nn.Module):
    """Flow from the current frame to where each pixel was in the previous one.

    Args:
        finest_level: index into STRIDES where estimation ends; the paper's is 0.
        standardised: correlate standardised features (`standardise`); not in the paper.
        padding: see `warp`.
        align_corners: see `warp`.
        coarsest_level: index into STRIDES where estimation begins; the paper's is 4.
    """

    def __init__(
        self,
        finest_level: int = 0,
        standardised: bool = True,
        padding: str = 'border',
        align_corners: bool = True,
        coarsest_level: int = len(STRIDES) - 1,
    ) -> None:
        super().__init__()
        self.standardised, self.padding, self.align_corners = standardised, padding, align_corners
        self.finest_level, self.coarsest_level = finest_level, coarsest_level
        self.pyramid = Pyramid()
        self.correlation = CentreDenseCorrelation()
        widths = (32, 64, 64, 64, 64)

        def levels(make: Callable[[int], nn.Module]) -> nn.ModuleList:
            # Levels keep their number where others are left out.
            return nn.ModuleList([make(i) if i in self.used else nn.Identity() for i in range(5)])

        self.reduce = levels(lambda i: conv(widths[i], 32))
        self.up = levels(lambda i: nn.ConvTranspose2d(2, 2, 4, 2, 1))[:-1]
        if coarsest_level < len(self.up):
            self.up[coarsest_level] = nn.Identity()  # nothing lies below
        self.decoders = levels(lambda i: ShuffleDecoder(TAPS + 32 + 2))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.1)
                nn.init.zeros_(module.bias)
        for level in self.used:
            nn.init.normal_(self.decoders[level].flow.weight, std=1e-3)
        for layer in self.up[finest_level:coarsest_level]:
            _start_bilinear(layer)

    @property
    def used(self) -> range:
        """The levels at which flow is estimated, finest first."""
        return range(self.finest_level, self.coarsest_level + 1)

    @property
    def published(self) -> bool:
        """Whether a switch is set as in the published network."""
        return (self.standardised, self.padding, self.align_corners) != (True, 'border', True)

    def match(
        self, current: list[Tensor], previous: list[Tensor], half: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Estimate the flow from two pyramids.

        Args:
            current: five levels of the current frame, finest first (see `pool`).
            previous: the same of the previous frame.
            half: run the decoders in bfloat16 (training on a CPU that is fast with it).

        Returns:
            Flows (B, 2, h, w) in pixels of the input image and decoder features (B, 32, h, w),
            both finest first.
        """
        flows: list[Tensor] = []
        features: list[Tensor] = []
        for level in reversed(self.used):
            here, there = current[level], previous[level]
            if flows:
                guess = self.up[level](flows[-1])
                there = warp(there, guess / STRIDES[level], self.padding, self.align_corners)
            else:
                guess = here[:, :2] * 0
            pair = standardise(here, there) if self.standardised else (here, there)
            cost = self.correlation(*pair)
            with torch.autocast(here.device.type, torch.bfloat16, enabled=half):
                joined = torch.cat([cost, self.reduce[level](here), guess], dim=1)
                step, feature = self.decoders[level](joined)
            flows.append(guess + step)
            features.append(feature)
        return flows[::-1], features[::-1]

    def forward(self, current: Tensor, previous: Tensor) -> list[Tensor]:
        """Return the flows at all levels of two (B, 3, H, W) images."""
        flows, _ = self.match(pool(*self.pyramid(current)), pool(*self.pyramid(previous)))
        return flows


def _start_bilinear(layer: nn.ConvTranspose2d) -> None:
    """Let the learned up-sampling start as bilinear interpolation."""
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        for channel in range(2):
            layer.weight[channel, channel] = line[:, None] * line
