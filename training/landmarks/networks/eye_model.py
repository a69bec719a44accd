"""The eye model: nine points and seven predictions of one eye from a patch of 64 x 40 px.

A plain small network: two eyes of one face are a batch of two, 5 M multiplications each.
"""

import torch
from torch import Tensor, nn

from kf_imitation.landmarks.patches import PATCH_PX, PREDICTIONS
from training.landmarks.networks.pfld import conv_bn

POINTS = 9


class EyeNet(nn.Module):
    """Points in patch pixels and logits of the predictions."""

    def __init__(self, mean_points: Tensor | None = None, dropout: float = 0.3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(3, 12, 3, 2),
            conv_bn(12, 16, 3, 1),
            conv_bn(16, 32, 3, 2),
            conv_bn(32, 32, 3, 1),
            conv_bn(32, 64, 3, 2),
            conv_bn(64, 64, 3, 1, groups=64),
            nn.Conv2d(64, 48, 1),
            nn.Flatten(),
        )
        features = 48 * (PATCH_PX[0] // 8) * (PATCH_PX[1] // 8)
        self.points = nn.Linear(features, POINTS * 2)
        self.read = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(features, 64), nn.ReLU(inplace=True),
            nn.Dropout(dropout), nn.Linear(64, PREDICTIONS),
        )  # fmt: skip
        if mean_points is not None:
            nn.init.normal_(self.points.weight, std=1e-3)
            self.points.bias.data.copy_(mean_points.flatten() / PATCH_PX[0])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Read eyes.

        Args:
            x: (B, 3, 40, 64) BGR scaled to -1..1, right eyes or mirrored left ones.

        Returns:
            points (B, 9, 2) [px], logits (B, 7) of blink, wide, squint, look up, down, in, out.
        """
        features = self.body(x)
        points = self.points(features).view(-1, POINTS, 2) * PATCH_PX[0]
        return points, self.read(features)


class Deployed(nn.Module):
    """The network with normalisation before it."""

    def __init__(self, model: EyeNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """(2, 40, 64, 3) uint8 BGR to points (2, 9, 2) and predictions (2, 7)."""
        points, predictions = self.model(patches.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return points, predictions


def normalise(patches: Tensor) -> Tensor:
    """(B, 40, 64, 3) uint8 to (B, 3, 40, 64) float in -1..1."""
    return (patches.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(
        memory_format=torch.channels_last
    )
