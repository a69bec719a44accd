"""FastFlowNet as its authors publish it, by their names of weights, slow and obvious.

Images are 0..1 with a mean colour taken off; flow is in units of 20 pixels.
"""

import torch
from torch import nn
from torch.nn import functional

LEVELS = (2, 3, 4, 5, 6)


def conv(inputs, outputs, stride=1, groups=1):
    layer = nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups)
    return nn.Sequential(layer, nn.LeakyReLU(0.1))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = conv(87, 96)
        for i in (2, 3, 4):
            setattr(self, f'conv{i}', conv(96, 96, groups=3))
        self.conv5, self.conv6, self.conv7 = conv(96, 64), conv(64, 32), nn.Conv2d(32, 2, 3, 1, 1)

    def forward(self, x):
        x = self.conv1(x)
        for layer in (self.conv2, self.conv3, self.conv4):
            x = layer(x).unflatten(1, (3, 32)).transpose(1, 2).flatten(1, 2)
        return self.conv7(self.conv6(self.conv5(x)))


class PublishedFastFlowNet(nn.Module):
    def __init__(self):
        super().__init__()
        for stage, widths in enumerate(((3, 16, 16), (16, 32, 32, 32), (32, 64, 64, 64)), 1):
            for i in range(len(widths) - 1):
                layer = conv(widths[i], widths[i + 1], 2 if i == 0 else 1)
                setattr(self, f'pconv{stage}_{i + 1}', layer)
        for level in LEVELS:
            setattr(self, f'rconv{level}', conv(32 if level == 2 else 64, 32))
            setattr(self, f'decoder{level}', Decoder())
            if level > 2:
                setattr(self, f'up{level}', nn.ConvTranspose2d(2, 2, 4, 2, 1))

    def pyramid(self, image):
        x, levels = image, {}
        for stage, count in (1, 2), (2, 3), (3, 3):
            for i in range(count):
                x = getattr(self, f'pconv{stage}_{i + 1}')(x)
            levels[stage] = x
        for level in (4, 5, 6):
            levels[level] = functional.avg_pool2d(levels[level - 1], 2)
        return levels

    def forward(self, first, second):
        """Flows at strides 4 to 64."""
        a, b = self.pyramid(first), self.pyramid(second)
        flow, flows = None, []
        for level in reversed(LEVELS):
            there, up = b[level], torch.zeros(len(first), 2, *a[level].shape[2:])
            if flow is not None:
                up = getattr(self, f'up{level + 1}')(flow)
                there = warp(there, up * (20 / 2**level))
            joined = torch.cat(
                [correlation(a[level], there), getattr(self, f'rconv{level}')(a[level]), up], 1
            )
            flow = getattr(self, f'decoder{level}')(joined) + up
            flows.append(flow)
        return flows[::-1]


def correlation(first, second):
    """Mean product at 53 of 81 places: all in the middle, around it a chess board."""
    padded = functional.pad(second, (4, 4, 4, 4))
    height, width = first.shape[2:]
    return torch.stack(
        [
            (first * padded[:, :, y : y + height, x : x + width]).mean(1)
            for y in range(9)
            for x in range(9)
            if (x + y) % 2 == 0 or (2 <= x <= 6 and 2 <= y <= 6)
        ],
        1,
    )


def warp(image, flow):
    height, width = image.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    u = 2 * (x + flow[:, 0]) / max(width - 1, 1) - 1
    v = 2 * (y + flow[:, 1]) / max(height - 1, 1) - 1
    return functional.grid_sample(
        image, torch.stack([u, v], -1), mode='bilinear', align_corners=True
    )
