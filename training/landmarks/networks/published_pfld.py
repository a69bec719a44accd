"""PFLD as it is published, without what we changed: for the paper's figures and its weights.

Layers, widths and shortcuts are those of the authors' table and of the public PyTorch version
(github.com/polarisZhao/PFLD-pytorch); the two differ in one layer, see `depthwise`. It finds the
points alone. What we use instead, with heads for confidence and expression, is in pfld.py.
"""

import torch
from torch import Tensor, nn

from training.landmarks.networks.pfld import POINTS, InvertedResidual, conv_bn


class PublishedPFLD(nn.Module):
    """98 points, and early features for the pose branch.

    Args:
        depthwise: second convolution: depthwise as in the paper's table, or full as in the public
            version, whose weights need it.
    """

    def __init__(self, depthwise: bool = True) -> None:
        super().__init__()
        self.depthwise = depthwise
        self.stem = nn.Sequential(
            conv_bn(3, 64, 3, 2), conv_bn(64, 64, 3, 1, groups=64 if depthwise else 1)
        )
        self.early = nn.Sequential(
            InvertedResidual(64, 64, 2, 2), *(InvertedResidual(64, 64, 1, 2) for _ in range(4))
        )
        self.late = nn.Sequential(
            InvertedResidual(64, 128, 2, 2),
            InvertedResidual(128, 128, 1, 4, shortcut=False),
            *(InvertedResidual(128, 128, 1, 4) for _ in range(5)),
        )
        self.slim = InvertedResidual(128, 16, 1, 2)
        self.pyramid = conv_bn(16, 32, 3, 2)
        self.top = nn.Sequential(nn.Conv2d(32, 128, 7), nn.ReLU(inplace=True))
        self.points = nn.Linear(16 + 32 + 128, POINTS * 2)

    def as_dict(self) -> dict[str, int]:
        """The argument by name, for checkpoints."""
        return {'depthwise': self.depthwise}

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate the points of a crop.

        Args:
            x: (B, 3, 112, 112) BGR scaled to -1..1; published weights expect 0..1.

        Returns:
            points (B, 98, 2) in crop edges, early features (B, 64, 28, 28).
        """
        early = self.early(self.stem(0.5 * x + 0.5))
        slim = self.slim(self.late(early))
        pyramid = self.pyramid(slim)
        scales = [slim.mean((2, 3)), pyramid.mean((2, 3)), self.top(pyramid).flatten(1)]
        return self.points(torch.cat(scales, 1)).view(-1, POINTS, 2), early


class PublishedPoseBranch(nn.Module):
    """The auxiliary network: yaw, pitch and roll from the early features."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(64, 128, 3, 2),
            conv_bn(128, 128, 3, 1),
            conv_bn(128, 32, 3, 2),
            conv_bn(32, 128, 7, 1, padding=1),
            nn.MaxPool2d(3),
            nn.Flatten(),
            nn.Linear(128, 32),
            nn.Linear(32, 3),
        )

    def forward(self, early: Tensor) -> Tensor:
        """(B, 64, 28, 28) to (B, 3) angles [rad]."""
        angles: Tensor = self.body(early)
        return angles


def is_published(config: dict[str, int]) -> bool:
    """Whether a checkpoint's `config` is of this network."""
    return config.keys() == {'depthwise'}
