"""ResNet-50 in plain PyTorch, whole or with fewer blocks.

After He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition" (CVPR 2016), with the
stride in the 3x3 convolution of a bottleneck as is usual since.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

DEPTHS = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4
CHANNELS = tuple(width * EXPANSION for width in WIDTHS)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, identity: bool) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        if identity:
            nn.init.zeros_(self.bn3.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, 4 width, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


class ResNet50(nn.Module):
    """Features at strides 4, 8, 16, 32 and a linear layer on their mean.

    Args:
        outputs: of the linear layer; with 1000, ImageNet's, there are 25.6 M parameters.
        identity: blocks start as identities, which makes training from random weights steadier;
            at the small rates of plain SGD they would stay so.
        depths: blocks of each stage; a stage's first makes it narrower and deeper, the others, ten
            parameters of eleven, are residuals of the same size.
    """

    def __init__(
        self, outputs: int = 1000, identity: bool = True, depths: Sequence[int] = DEPTHS
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        stages, inputs = [], 64
        for i, (depth, width) in enumerate(zip(depths, WIDTHS, strict=True)):
            blocks = []
            for j in range(depth):
                blocks.append(Bottleneck(inputs, width, 2 if i > 0 and j == 0 else 1, identity))
                inputs = width * EXPANSION
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.fc = nn.Linear(CHANNELS[-1], outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B, 3, H, W) to the four stages' features, finest first, and (B, outputs)."""
        x = self.stem(image)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features, self.fc(x.mean(dim=(2, 3)))
