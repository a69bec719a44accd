"""PFLD (Guo et al., "PFLD: A Practical Facial Landmark Detector", arXiv 1902.10859).

A backbone of inverted residuals (MobileNetV2), a fully connected head that sees three scales, and
an auxiliary branch that estimates the head pose from an early feature map while training. What we
add, from the same features: a confidence per point, read by a small head of its own that is
trained afterwards (training/landmarks/train/confidence.py) and changes nothing about the points;
and an expression head (51 blendshapes and the turn of the head), trained along with the points.
Points say where a lip is; the expression head also sees teeth, folds and lids that touch.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

CROP_PX = 112
POINTS = 98
BLENDSHAPES = 51
PREDICTIONS = BLENDSHAPES + 3


@dataclass(frozen=True)
class PFLDConfig:
    """Widths and repetitions. The published network is in published_pfld.py.

    Attributes:
        stem: channels at 56 px.
        early: channels at 28 px, where the auxiliary branch taps.
        early_blocks: inverted residuals at 28 px.
        late: channels at 14 px.
        late_blocks: inverted residuals at 14 px.
        early_expand: expansion at 28 px.
        late_expand: expansion at 14 px.
        slim: channels of the first of the three scales.
        pyramid: channels of the second scale (7 px).
        top: channels of the third scale (1 px).
    """

    stem: int = 24
    early: int = 32
    early_blocks: int = 4
    late: int = 64
    late_blocks: int = 6
    early_expand: int = 2
    late_expand: int = 4
    slim: int = 24
    pyramid: int = 48
    top: int = 192

    def as_dict(self) -> dict[str, int]:
        """Values by name, for checkpoints."""
        return asdict(self)


def conv_bn(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int,
    groups: int = 1,
    padding: int | None = None,
) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; padding: None keeps the size at stride 1."""
    around = kernel // 2 if padding is None else padding
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, around, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Expand, depthwise 3x3, project; with a shortcut where the shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, expand: int, shortcut: bool = True
    ) -> None:
        super().__init__()
        hidden = inputs * expand
        self.shortcut = shortcut and stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            conv_bn(inputs, hidden, 1, 1),
            conv_bn(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h/stride, w/stride)."""
        y: Tensor = self.body(x)
        return x + y if self.shortcut else y


class PFLD(nn.Module):
    """98 points, their confidence, early features for the auxiliary branch, the expression."""

    def __init__(self, config: PFLDConfig | None = None, mean_shape: Tensor | None = None) -> None:
        super().__init__()
        c = self.config = config or PFLDConfig()
        self.stem = nn.Sequential(
            conv_bn(3, c.stem, 3, 2), conv_bn(c.stem, c.stem, 3, 1, groups=c.stem)
        )
        self.early = nn.Sequential(
            InvertedResidual(c.stem, c.early, 2, c.early_expand),
            *(
                InvertedResidual(c.early, c.early, 1, c.early_expand)
                for _ in range(c.early_blocks - 1)
            ),
        )
        self.late = nn.Sequential(
            InvertedResidual(c.early, c.late, 2, c.late_expand),
            *(
                InvertedResidual(c.late, c.late, 1, c.late_expand)
                for _ in range(c.late_blocks - 1)
            ),
        )
        self.slim = InvertedResidual(c.late, c.slim, 1, 2)
        self.pyramid = conv_bn(c.slim, c.pyramid, 3, 2)
        self.top = nn.Sequential(nn.Conv2d(c.pyramid, c.top, 7), nn.ReLU(inplace=True))
        # The first scale keeps 7 x 7 places instead of PFLD's global average: where something is
        # matters for a point, and the fully connected layer stays small.
        features = c.slim * 49 + c.pyramid * 49 + c.top
        self.points = nn.Linear(features, POINTS * 2)
        self.sure = nn.Sequential(
            nn.Linear(features, 64), nn.ReLU(inplace=True), nn.Linear(64, POINTS)
        )
        self.read = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(features, 128), nn.ReLU(inplace=True),
            nn.Dropout(0.2), nn.Linear(128, PREDICTIONS),
        )  # fmt: skip
        if mean_shape is not None:
            nn.init.normal_(self.points.weight, std=1e-3)
            self.points.bias.data.copy_(mean_shape.flatten())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Estimate the points and the expression of a crop.

        Args:
            x: (B, 3, 112, 112) BGR scaled to -1..1.

        Returns:
            points (B, 98, 2) in crop edges (0..1 inside the crop), logits (B, 98) of their
            confidence, early features (B, early, 28, 28), predictions (B, 54): logits of the
            blendshapes in the label order without _neutral, then yaw, pitch and roll [rad] of
            the head as the crop shows it.
        """
        early = self.early(self.stem(x))
        features = self.features(early)
        points = self.points(features).view(-1, POINTS, 2)
        return points, self.sure(features.detach()), early, self.read(features)

    def features(self, early: Tensor) -> Tensor:
        """The three scales side by side: (B, early, 28, 28) to (B, features)."""
        slim = self.slim(self.late(early))
        pyramid = self.pyramid(slim)
        top = self.top(pyramid).flatten(1)
        places = nn.functional.avg_pool2d(slim, 2).flatten(1)
        return torch.cat([places, pyramid.flatten(1), top], 1)


class PoseBranch(nn.Module):
    """The auxiliary network of the paper: yaw, pitch and roll from the early features."""

    def __init__(self, config: PFLDConfig | None = None) -> None:
        super().__init__()
        width = (config or PFLDConfig()).early
        self.body = nn.Sequential(
            conv_bn(width, 64, 3, 2),
            conv_bn(64, 64, 3, 1, groups=64),
            conv_bn(64, 32, 3, 2),
            nn.AdaptiveAvgPool2d(7),
            nn.Flatten(),
            nn.Linear(32 * 49, 64),
            nn.ReLU(inplace=True),
            nn.Linear(64, 3),
        )

    def forward(self, early: Tensor) -> Tensor:
        """(B, early, 28, 28) to (B, 3) angles [rad]."""
        angles: Tensor = self.body(early)
        return angles
