"""What the eyes and the mouth look like in one frame: patches that follow the face.

Motion of a few cells sees that something moves; that an iris went from one corner of the eye to
the other, or lips parted, is read better from a patch that lies where the eye or the mouth is.
Three small networks: one finds the places, one reads both eyes (the left one mirrored), one reads
the mouth. Differences of their predictions between frames are part of the change (fusion.py).
A part is read in two ways at once. Its picture shows how it looks, which differs from person to
person; the points of the face mesh found in it give its shape, and what a shape means differs
less: predictions made of the teacher's own points are good for unknown people too.
They see the mean of the three colour channels: sampling patches costs a third of the time.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kf_imitation.keyframe.scoring.pair_scorer import CHANGE_SIZE
from kf_imitation.landmarks.patches import EYE_BLENDSHAPES
from training.keyframe.networks import eye_mouth_mesh_points

# Of the crop whose places are found; the patches are cut from the crop as it comes.
FINDER_PX = 64
CROP_PX = 256
# Mean places of right eye, left eye and mouth in the crop, as fractions of its edge.
MEAN_PLACES = ((0.335, 0.395), (0.665, 0.395), (0.5, 0.69))

# Values from which a part's predictions are made.
EMBEDDING = 96
# Points of a part move together, in about so many ways.
MESH_MODES = 48
SHAPE_HIDDEN = 128
# Points lie off their usual places by about this fraction of the patch's width.
MESH_GAIN = 0.05


@dataclass(frozen=True)
class Patch:
    """The piece of a crop in which a part is read; its rows run along the face.

    Attributes:
        size_px: width and height.
        step: spacing of its pixels [crop px].
        up: how far its middle lies above that of the part [crop px].
    """

    size_px: tuple[int, int]
    step: float
    up: float = 0.0

    def cut(self, image: Tensor, centre: Tensor, along: Tensor, mirror: bool = False) -> Tensor:
        """Sample patches.

        Args:
            image: (B, 1, S, S).
            centre: (B, 2) of the part, fractions of S.
            along: (B, 2) unit vector from the right eye to the left.
            mirror: exchange left and right.

        Returns:
            (B, 1, h, w).
        """
        width, height = self.size_px
        x = (torch.arange(width) - (width - 1) / 2) * (self.step / CROP_PX)
        y = ((torch.arange(height) - (height - 1) / 2) * self.step - self.up) / CROP_PX
        x = -x if mirror else x
        # One matrix product for all places: a few operators less at run time.
        columns, rows = x.repeat(height), y.repeat_interleave(width)
        spots = torch.stack([columns, rows, torch.ones_like(rows)], dim=1).to(image)
        # Shares of the edge lie between 0 and 1; sampling wants -1 to 1.
        frame = torch.stack([2 * along, 2 * _across(along), 2 * centre - 1], dim=1)
        grid = (spots @ frame).view(-1, height, width, 2)
        return F.grid_sample(image, grid, padding_mode='border', align_corners=False)

    def locate(
        self, points: Tensor, centre: Tensor, along: Tensor, mirror: bool = False
    ) -> Tensor:
        """Return where (B, P, 2) points, fractions of S, lie in the patches of `cut`.

        Returns:
            (B, P, 2) from the middle of the patch, fractions of its width.
        """
        apart = (points - centre[:, None]) * CROP_PX
        x = (apart * along[:, None]).sum(-1) * (-1 if mirror else 1)
        y = (apart * _across(along)[:, None]).sum(-1) + self.up
        return torch.stack([x, y], dim=-1) / (self.step * self.size_px[0])


def _across(along: Tensor) -> Tensor:
    return torch.stack([-along[:, 1], along[:, 0]], dim=1)


# The eye's reaches up to the brow.
EYE = Patch((64, 56), 1.0, up=8.0)
MOUTH = Patch((80, 56), 1.4)


def as_it_is(image: Tensor) -> Tensor:
    """Return the same."""
    return image


def conv_layers(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """Convolution 3 x 3, batch norm, leaky ReLU."""
    return [
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.1),
    ]


def prediction_order(names: tuple[str, ...]) -> tuple[list[int], list[int], list[int]]:
    """Return the places of right eye, left eye and mouth predictions among the 51 blendshapes.

    Args:
        names: of the 51 blendshapes.
    """
    eyes = []
    for side in ('Right', 'Left'):
        own = [n if n == 'browInnerUp' else n + side for n in EYE_BLENDSHAPES]
        eyes.append([names.index(n) for n in own])
    mouth = [i for i, n in enumerate(names) if n.startswith(('jaw', 'mouth', 'cheek'))]
    return eyes[0], eyes[1], mouth


class PartNet(nn.Module):
    """Reads one part from its patch.

    Args:
        size_px: width and height of the patch.
        predictions: blendshapes to read.
        points: of the face mesh in the patch.
        corners: of the part, among them.
        dropout: before the last layers.
    """

    def __init__(
        self,
        size_px: tuple[int, int],
        predictions: int,
        points: int,
        corners: tuple[int, int],
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        widths = (1, 16, 24, 48, 48, 80, 80)
        layers: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            layers += conv_layers(inputs, outputs, 2 if i % 2 == 0 else 1)
        self.body = nn.Sequential(*layers, nn.Conv2d(80, 48, 1), nn.LeakyReLU(0.1), nn.Flatten())
        features = 48 * (size_px[0] // 8) * (size_px[1] // 8)
        self.half = False  # convolutions in bfloat16, for training
        self.drop = nn.Dropout(dropout)
        self.hidden = nn.Linear(features, EMBEDDING)
        self.read = nn.Linear(EMBEDDING, predictions)
        self.points, self.corners = points, list(corners)
        self.modes = nn.Linear(features, MESH_MODES)
        self.mesh = nn.Linear(MESH_MODES, 2 * points, bias=False)
        self.shape = nn.Sequential(
            nn.Linear(2 * points, SHAPE_HIDDEN),
            nn.LeakyReLU(0.1),
            nn.Linear(SHAPE_HIDDEN, EMBEDDING),
        )
        # Networks from before are read as they were, until the shape is learned.
        nn.init.zeros_(self.shape[-1].weight)
        nn.init.zeros_(self.shape[-1].bias)

    def forward(self, patch: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, h, w) around -1..1 to predictions (B, R) 0..1 and embeddings (B, 96).

        Embeddings are what the predictions are made from.
        """
        features = self.see(patch)
        embeddings = self.embed(features, self.offsets(features))
        return torch.sigmoid(self.read(self.drop(embeddings))), embeddings

    def see(self, patch: Tensor) -> Tensor:
        """(B, 1, h, w) to features (B, F)."""
        with torch.autocast(patch.device.type, torch.bfloat16, enabled=self.half):
            features = self.body(patch)
        return features.float()

    def offsets(self, features: Tensor) -> Tensor:
        """(B, F) to (B, P, 2) points from their usual places, fractions of the patch's width."""
        return MESH_GAIN * self.mesh(self.modes(features)).view(len(features), self.points, 2)

    def shape_of(self, offsets: Tensor) -> Tensor:
        """(B, P, 2) points against their usual places to what they say, (B, 96)."""
        centred = offsets - offsets[:, self.corners].mean(dim=1, keepdim=True)
        return self.shape(centred.flatten(1) / MESH_GAIN)

    def embed(self, features: Tensor, offsets: Tensor) -> Tensor:
        """Features and points to embeddings."""
        return F.leaky_relu(self.hidden(self.drop(features)) + self.shape_of(offsets), 0.1)


class SteadyDropout(nn.Module):
    """Dropout that leaves out the same values in all frames of a window; always on.

    Networks of eyes and mouth read people they were trained on better than others. What is
    trained on top of them would trust them too far: changes read with some values left out are off
    by a part of their size, as those of unknown people are.

    Args:
        chance: of a value to be left out.
        frames: rows that belong together.
    """

    def __init__(self, chance: float, frames: int) -> None:
        super().__init__()
        self.chance, self.frames = chance, frames

    def forward(self, x: Tensor) -> Tensor:
        """(B * frames, F), as it is but for what is left out."""
        kept = torch.rand(len(x) // self.frames, x.shape[1], device=x.device) >= self.chance
        return x * kept.float().repeat_interleave(self.frames, dim=0) / (1 - self.chance)


class Finder(nn.Module):
    """Finds both eyes and the mouth in a crop."""

    def __init__(self) -> None:
        super().__init__()
        widths, strides = (1, 16, 32, 32, 64, 64), (2, 2, 1, 2, 1)
        layers: list[nn.Module] = []
        for (inputs, outputs), stride in zip(itertools.pairwise(widths), strides, strict=True):
            layers += conv_layers(inputs, outputs, stride)
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(nn.Linear(64 * 64, 64), nn.LeakyReLU(0.1), nn.Linear(64, 6))
        last = self.head[-1]
        nn.init.normal_(last.weight, std=1e-2)
        nn.init.zeros_(last.bias)
        self.mean: Tensor
        self.register_buffer('mean', torch.tensor(MEAN_PLACES))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, S, S) to (B, 3, 2) places of right eye, left eye and mouth, fractions of S."""
        small = self.shrink(image)
        small = small - small.mean(dim=(2, 3), keepdim=True)
        small = small / (small.square().mean(dim=(2, 3), keepdim=True) + 1e-3).sqrt()
        offset: Tensor = self.head(self.body(small)).view(-1, 3, 2)
        return self.mean + 0.1 * offset

    @staticmethod
    def shrink(image: Tensor) -> Tensor:
        """(B, 1, S, S) to what is looked at, (B, 1, FINDER_PX, FINDER_PX)."""
        by = image.shape[-1] // FINDER_PX
        return F.avg_pool2d(image, by) if by > 1 else image


class Parts(nn.Module):
    """Finds and reads the parts of a face.

    Args:
        order: of `prediction_order`.

    Attributes:
        order: the blendshape that each prediction stands for.
    """

    def __init__(self, order: tuple[list[int], list[int], list[int]]) -> None:
        super().__init__()
        self.finder = Finder()
        self.eye = PartNet(
            EYE.size_px,
            len(EYE_BLENDSHAPES),
            len(eye_mouth_mesh_points.RIGHT_EYE),
            eye_mouth_mesh_points.EYE_CORNERS,
        )
        self.mouth = PartNet(
            MOUTH.size_px,
            len(order[2]),
            len(eye_mouth_mesh_points.MOUTH),
            eye_mouth_mesh_points.MOUTH_CORNERS,
        )
        self.order = list(itertools.chain(*order))
        spread = F.one_hot(torch.tensor(self.order), CHANGE_SIZE).float()
        # What both eyes show counts half each.
        self.spread: Tensor
        self.register_buffer('spread', spread / spread.sum(dim=0).clamp(min=1))

    def forward(
        self, image: Tensor, scale: Callable[[Tensor], Tensor] = as_it_is
    ) -> tuple[Tensor, Tensor]:
        """Read a frame.

        Args:
            image: (B, 1, S, S) of `scale_levels`; or before it, then
            scale: does that, which is cheaper once the parts are cut.

        Returns:
            (B, 54) predictions in their places, elsewhere zeros; (B, 3 EMBEDDING) of right eye,
            left eye and mouth.
        """
        eyes, mouth = cut_parts(image, self.finder(scale(self.finder.shrink(image))))
        eye, eye_embeddings = self.eye(scale(eyes))
        lips, lip_embeddings = self.mouth(scale(mouth))
        predictions = torch.cat([*eye.chunk(2), lips], dim=1)
        return predictions @ self.spread, torch.cat(
            [*eye_embeddings.chunk(2), lip_embeddings], dim=1
        )


def direction(places: Tensor) -> Tensor:
    """(B, 3, 2) places to (B, 2) unit vectors from the right eye to the left."""
    return F.normalize(places[:, 1] - places[:, 0], dim=1)


def cut_parts(image: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Cut upright patches.

    Args:
        image: (B, 1, S, S).
        places: (B, 3, 2) of right eye, left eye, mouth, fractions of S.

    Returns:
        (2 B, 1, h, w) right eyes, then mirrored left eyes; (B, 1, h, w) mouths.
    """
    right, left, mouth = places.unbind(1)
    along = direction(places)
    eyes = EYE.cut(image, right, along), EYE.cut(image, left, along, mirror=True)
    return torch.cat(eyes), MOUTH.cut(image, mouth, along)
