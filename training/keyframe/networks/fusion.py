"""The keyframe network: motion of FastFlowNet and places of ResNet-50, fused at equal strides.

FastFlowNet sees the crop of S px, ResNet-50 its half-size copy: the features of ResNet-50's
four stages then have the same height and width as FastFlowNet's levels 8, 16, 32 and 64.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kf_imitation.keyframe.scoring.pair_scorer import (
    BLENDSHAPES,
    CHANGE_NAMES,
    CHANGE_SIZE,
    ROTATION_WEIGHT,
)
from training.keyframe.networks import resnet50
from training.keyframe.networks.eye_mouth_networks import CROP_PX as PARTS_PX
from training.keyframe.networks.eye_mouth_networks import (
    EMBEDDING,
    Parts,
    as_it_is,
    conv_layers,
    prediction_order,
)
from training.keyframe.networks.fastflownet import (
    FEATURE_CHANNELS,
    STRIDES,
    FastFlowNet,
    Pyramid,
    pool,
)
from training.keyframe.networks.gradient_flow import image_motion, local_contrast, small_motion

PLACE_CHANNELS = (32, 64, 96, 128)
FUSED_CHANNELS = (48, 64, 96, 128, 192)
PYRAMID_CHANNELS = (32, 64, 64, 64, 64)
HIDDEN = 512
MOTION_PX = 128
# Motion from gradients: sets of pyramid channels measured each for themselves, what that and the
# image's own motion add to the levels, and the latter again on an 8 x 8 grid at three scales.
GRADIENT_GROUPS = 4
GRADIENT_CHANNELS = {
    'none': (0, 0, 0, 0, 0),
    'coarse': (0, 2, 0, 0, 0),
    'full': (18, 10, 10, 8, 0),
}
GRADIENT_POOLED = {'none': 0, 'coarse': 2 * 8 * 8, 'full': 3 * 2 * 8 * 8}
# Head angles change by about this between two frames [rad].
TURN_GAIN = 0.02
# Flow of a few tenths of a pixel becomes about one.
GRADIENT_GAIN = 2.0
# Features of ResNet-50 change by about this part of one between two frames.
PLACE_GAIN = 5.0
# Embeddings change by about this part of one between two frames.
EMBEDDING_GAIN = 5.0
# Features of consecutive frames differ by a tenth of their size or less, coarse ones least;
# without a gain the motion would drown in the features themselves.
DIFFERENCE_GAINS = (5.0, 7.0, 12.0, 20.0, 30.0)
# The fields of FrameState as exported files call them; shipped ones say readings and looks.
STATE_NAMES = (
    'state_stride4', 'state_stride8', 'state_image', 'state_expression', 'state_readings',
    'state_looks', 'state_places',
)  # fmt: skip


@dataclass
class FrameState:
    """What the next pair needs of a frame.

    Attributes:
        stride4: (B, 32, S/4, S/4) pyramid features.
        stride8: (B, 64, S/8, S/8) pyramid features.
        image: (B, 1, S, S) local contrast, smaller by KeyframeNet.contrast_shrink.
        expression: (B, 54) blendshapes and head rotation guessed from the frame alone.
        predictions: (B, 54) blendshapes of eyes and mouth read from their patches (parts.py).
        embeddings: (B, 288) what these were made from. Predictions of closed mouths and open eyes
            hardly move, being squeezed into 0..1; these do.
        places: (B, N) squeezed features of ResNet-50, all strides in a row, where nothing else
            compares the frames.
    """

    stride4: Tensor
    stride8: Tensor
    image: Tensor
    expression: Tensor
    predictions: Tensor
    embeddings: Tensor
    places: Tensor

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the fields in the order of STATE_NAMES."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def select(self, index: Tensor) -> 'FrameState':
        """Return the frames of a batch at the indices."""
        return FrameState(*(t[index] for t in self.tensors()))

    def join(self, other: 'FrameState') -> 'FrameState':
        """Return both batches as one."""
        pairs = zip(self.tensors(), other.tensors(), strict=True)
        return FrameState(*(torch.cat(pair) for pair in pairs))


@dataclass
class PairResult:
    """What the network says about two frames.

    Attributes:
        change: (B, 54) signed change of 51 blendshapes and 3 head angles [rad].
        score_logit: (B,) before the sigmoid.
        flows: (B, 2, h, w) from the finest stride to 64, pixels of the crop; empty without flow.
        features: (B, HIDDEN) what the answers are made from, for targets of training alone.
    """

    change: Tensor
    score_logit: Tensor
    flows: list[Tensor]
    features: Tensor


def scale_levels(levels: Tensor) -> Tensor:
    """Grey levels 0..255 to around -1..1."""
    return levels * (1 / 64) - 2


def normalise(crop: Tensor) -> Tensor:
    """(B, S, S, C) uint8 to (B, C, S, S) float32 around -1..1; BGR, or C = 1, the mean."""
    return scale_levels(planes(crop))


def planes(crop: Tensor) -> Tensor:
    """(B, S, S, C) uint8 to (B, C, S, S) float32 0..255."""
    batch, height, width, channels = crop.shape
    # One channel lies as it should already.
    lying = crop.view(batch, 1, height, width) if channels == 1 else crop.permute(0, 3, 1, 2)
    return lying.float()


MOTIONS = ('flow', 'difference', 'none')


class KeyframeNet(nn.Module):
    """Expression change between two crops of the same face region.

    The weights of a network that sees less are a valid start for one that sees more (`grow`).

    Args:
        motion: 'flow' is FastFlowNet; 'difference' only its pyramid, whose features are
            subtracted; 'none' without either, as in the paper's baseline, ResNet-50 alone.
        use_places: with ResNet-50.
        gradient: motion measured from gradients (gradient_flow.py) in addition: 'none'; 'coarse',
            that of the image at a quarter of its size, which costs little; or 'full', at four
            sizes and of features.
        flow_stride: of the finest flow, 4 as in FastFlowNet's paper or 8, which is cheaper.
        parts: read eyes and mouth from patches of their own (parts.py). Crops are then twice as
            large, and all else sees them at half size.
        dropout: before the last layer.
        score_only: the paper's answer, the sigmoid score of the pair; change vectors are 0 and the
            blocks of ResNet-50 do not begin as identities.
        flow_options: switches of FastFlowNet (standardised, padding, align_corners).
        coarsest_flow_stride: where its estimation begins, 64 as in the paper or less: a face moves
            by a few pixels between two frames.
        place_depths: blocks of ResNet-50's stages.
        fused: width of the fusion at strides 4 to 64.
        contrast_shrink: how much smaller the picture is whose local contrast `gradient` sees. With
            `coarse`, which pools it by four anyway, 2 and 4 change the motion by one and four
            hundredths of its size, and make it cheaper by four fifths.

    Attributes:
        joined: of every layer that joins different things, how many inputs are what, in order.
    """

    def __init__(
        self,
        motion: str = 'flow',
        use_places: bool = True,
        gradient: str = 'none',
        flow_stride: int = 4,
        parts: bool = False,
        dropout: float = 0.5,
        score_only: bool = False,
        flow_options: Mapping[str, Any] | None = None,
        coarsest_flow_stride: int = STRIDES[-1],
        place_depths: Sequence[int] = resnet50.DEPTHS,
        fused: Sequence[int] = FUSED_CHANNELS,
        contrast_shrink: int = 1,
    ) -> None:
        super().__init__()
        if contrast_shrink not in ((1, 2, 4) if gradient == 'coarse' else (1,)):
            raise ValueError(
                f'contrast_shrink = {contrast_shrink} must be 1 or, with gradient coarse, 2 or 4'
            )
        self.contrast_shrink = contrast_shrink
        if score_only and (parts or gradient != 'none'):
            raise ValueError('score_only goes with motion and places alone')
        self.score_only = score_only
        if motion not in MOTIONS:
            raise ValueError(f'motion = {motion!r} must be one of {", ".join(MOTIONS)}')
        if motion == 'none' and not use_places and gradient == 'none':
            raise ValueError('a keyframe network needs motion, gradients or places')
        if gradient not in GRADIENT_CHANNELS:
            raise ValueError(
                f'gradient = {gradient!r} must be one of {", ".join(GRADIENT_CHANNELS)}'
            )
        if gradient == 'full' and motion == 'none':
            raise ValueError('gradient = full measures features: motion = none has none')
        self.motion, self.use_places, self.gradient = motion, use_places, gradient
        self.use_parts = parts
        # ResNet-50 alone would see one frame only.
        self.compares_places = use_places and motion == 'none'
        # With parts, crops are so many times larger than what all else sees.
        self.shrink = PARTS_PX // MOTION_PX if parts else 1
        if motion == 'flow':
            self.flow_net = FastFlowNet(
                STRIDES.index(flow_stride),
                coarsest_level=STRIDES.index(coarsest_flow_stride),
                **(flow_options or {}),
            )
        elif motion == 'difference':
            self.flow_net = PyramidOnly()
        if use_places:
            self.place_net = resnet50.ResNet50(CHANGE_SIZE, not score_only, place_depths)
            self.squeeze = nn.ModuleList(
                [
                    nn.Conv2d(inputs, outputs, 1)
                    for inputs, outputs in zip(resnet50.CHANNELS, PLACE_CHANNELS, strict=True)
                ]
            )
            if not score_only:
                # How far the difference of two single-frame guesses is trusted, per channel.
                self.trust = nn.Parameter(torch.zeros(CHANGE_SIZE))
        if gradient == 'full':
            # Mixtures of features that can be followed; two to a set, which see two directions.
            self.trackable = nn.ModuleList(
                [nn.Conv2d(c, 2 * GRADIENT_GROUPS, 1, bias=False) for c in PYRAMID_CHANNELS[:-1]]
            )
        if gradient != 'none':
            self.even = nn.BatchNorm1d(GRADIENT_POOLED[gradient])
            # Turns of the head are a plain sum of the flow over the face.
            self.turn = nn.Linear(GRADIENT_POOLED['coarse'], CHANGE_SIZE - BLENDSHAPES, bias=False)
            nn.init.zeros_(self.turn.weight)
        if parts:
            self.parts = Parts(prediction_order(CHANGE_NAMES[:BLENDSHAPES]))
            self.hidden_parts = nn.Linear(2 * CHANGE_SIZE + 3 * EMBEDDING, HIDDEN, bias=False)
            # A straight way to the answer, as for turns.
            self.looks = nn.Linear(3 * EMBEDDING, CHANGE_SIZE, bias=False)
            nn.init.zeros_(self.looks.weight)
            nn.init.zeros_(self.hidden_parts.weight)
            self.trust_parts = nn.Parameter(0.5 * (self.parts.spread.sum(dim=0) > 0).float())
        fuse, before = [], 0
        self.joined: dict[str, dict[str, int]] = {}
        for level, width in enumerate(fused):
            flows = motion == 'flow' and level in self.flow_net.used
            places = PLACE_CHANNELS[level - 1] if use_places and level > 0 else 0
            joined = {
                'finer': before,
                'pyramid': 2 * PYRAMID_CHANNELS[level] * (motion != 'none'),
                'gradient': GRADIENT_CHANNELS[gradient][level],
                'flow': (FEATURE_CHANNELS + 2) * flows,
                'places': places,
                'place steps': places * self.compares_places,
            }
            self.joined[f'fuse.{level}.0.weight'] = joined
            inputs = sum(joined.values())
            fuse.append(_fuse_block(inputs, width, level > 0) if inputs else nn.Identity())
            before = width if inputs else 0
        self.fuse = nn.ModuleList(fuse)
        joined = {
            'fused': fused[-1] * 4,
            'gradient': GRADIENT_POOLED[gradient],
            'guesses': 2 * CHANGE_SIZE * use_places,
        }
        self.joined['hidden.weight'] = joined
        self.hidden = nn.Linear(sum(joined.values()), HIDDEN)
        self.drop = nn.Dropout(dropout)
        if score_only:
            self.score = nn.Linear(HIDDEN, 1)
            return
        self.change = nn.Linear(HIDDEN, CHANGE_SIZE)
        self.score = nn.Linear(HIDDEN + 1, 1)
        nn.init.normal_(self.change.weight, std=1e-3)
        nn.init.zeros_(self.change.bias)

    @property
    def crop_px(self) -> int:
        """Edge of the crops that the network is trained for."""
        return MOTION_PX * self.shrink

    @property
    def needs_colour(self) -> bool:
        """Whether anything looks at more than the mean of the three channels."""
        return self.motion != 'none' or self.use_places

    def see(self, image: Tensor, half: bool = False) -> tuple[FrameState, list[Tensor]]:
        """Compute what depends on one frame alone.

        Args:
            image: (B, 3, S, S) of `normalise`, or (B, 1, S, S), its mean, where no colour is
                needed. With parts S is 256; what is smaller has no predictions and is not halved.
            half: run ResNet-50 in bfloat16.

        Returns:
            The frame's state and its squeezed place features (strides 8 to 64).
        """
        if image.shape[1] == 1:
            return self.see_pictures(image, image, half)
        shrinks = self.use_parts and self.needs_colour and image.shape[-1] == PARTS_PX
        small = F.avg_pool2d(image, self.shrink) if shrinks else image
        return self.see_pictures(image.mean(dim=1, keepdim=True), small, half)

    def see_pictures(
        self,
        grey: Tensor,
        image: Tensor,
        half: bool = False,
        scale: Callable[[Tensor], Tensor] = as_it_is,
    ) -> tuple[FrameState, list[Tensor]]:
        """As see().

        Args:
            grey: (B, 1, S, S) mean of the channels.
            image: (B, 3, s, s) at the size at which motion and places are seen.
            half: as there.
            scale: what is still to be done to `grey`, at any size.
        """
        batch, size = grey.shape[0], image.shape[-1]
        predictions = image.new_zeros(batch, CHANGE_SIZE)
        embeddings = image.new_zeros(batch, 3 * EMBEDDING)
        if self.use_parts and grey.shape[-1] == PARTS_PX:
            predictions, embeddings = self.parts(grey, scale)
        if self.motion != 'none':
            # Motion is a small difference of these features: they stay in float32.
            stride4, stride8 = self.flow_net.pyramid(image)
        else:
            stride4 = image.new_zeros(batch, 1, 1, 1)
            stride8 = image.new_zeros(batch, 1, 1, 1)
        places: list[Tensor] = []
        expression = image.new_zeros(batch, CHANGE_SIZE)
        if self.use_places:
            with torch.autocast(image.device.type, torch.bfloat16, enabled=half):
                small = F.avg_pool2d(image, 2) if size > 64 else image
                features, expression = self.place_net(small)
                places = [s(f) for s, f in zip(self.squeeze, features, strict=True)]
            expression = expression.float()
        if self.gradient != 'none':
            contrast = self.contrast(grey, scale)
        else:
            contrast = image.new_zeros(batch, 1, 1, 1)
        stored = image.new_zeros(batch, 1)
        if self.compares_places:
            stored = torch.cat([p.float().flatten(1) for p in places], dim=1)
        state = FrameState(stride4, stride8, contrast, expression, predictions, embeddings, stored)
        return state, places

    def contrast(self, grey: Tensor, scale: Callable[[Tensor], Tensor] = as_it_is) -> Tensor:
        """Return FrameState.image of (B, 1, S, S) pictures; what parts see is halved.

        Args:
            grey: pictures.
            scale: as for see_pictures().
        """
        by = self.contrast_shrink
        if self.use_parts and grey.shape[-1] == PARTS_PX:
            by *= self.shrink
        # By four first, as the finder of the parts does: an export computes it once.
        first = min(by, 4)
        grey = _pooled(scale(_pooled(grey, first)), by // first)
        return local_contrast(grey, 8 // self.contrast_shrink)

    def compare(
        self, current: FrameState, places: list[Tensor], previous: FrameState, half: bool = False
    ) -> PairResult:
        """Compute the change from the previous frame to the current one.

        Args:
            current: state of the current frame.
            places: of the current frame.
            previous: state of the previous frame.
            half: run decoders and fusion in bfloat16.
        """
        flows: list[Tensor] = []
        parts: list[list[Tensor]] = [[] for _ in STRIDES]
        now, before = [], []
        if self.motion != 'none':
            now = pool(current.stride4, current.stride8)
            before = pool(previous.stride4, previous.stride8)
            for level, (a, b) in enumerate(zip(now, before, strict=True)):
                parts[level] += [DIFFERENCE_GAINS[level] * (a - b), a]
        if self.gradient != 'none':
            pooled = self._measure(current, previous, now, before, parts)
        if self.motion == 'flow':
            flows, features = self.flow_net.match(now, before, half)
            for level, feature, found in zip(self.flow_net.used, features, flows, strict=True):
                parts[level] += [feature, found]
        for level, place in enumerate(places, 1):
            parts[level].append(place)
        if self.compares_places:
            step = (current.places - previous.places).split([p[0].numel() for p in places], dim=1)
            for level, (change, place) in enumerate(zip(step, places, strict=True), 1):
                parts[level].append(PLACE_GAIN * change.view_as(place))
        with torch.autocast(current.stride4.device.type, torch.bfloat16, enabled=half):
            x: Tensor | None = None
            for level, block in enumerate(self.fuse):
                inputs = parts[level] if x is None else [x, *parts[level]]
                if inputs:
                    x = block(torch.cat(inputs, dim=1))
                    if level < len(self.fuse) - 1:
                        x = F.avg_pool2d(x, 2)
        if x is None:
            raise ValueError('nothing to fuse')

        x = x.flatten(1).float()
        if self.gradient != 'none':
            x = torch.cat([x, pooled], dim=1)
        if self.use_places:
            step = current.expression - previous.expression
            x = torch.cat([x, 10 * step, current.expression], dim=1)
        x = self.hidden(x)
        if self.use_parts:
            read = current.predictions - previous.predictions
            embedded = EMBEDDING_GAIN * (current.embeddings - previous.embeddings)
            x = x + self.hidden_parts(torch.cat([10 * read, current.predictions, embedded], dim=1))
        x = self.drop(F.leaky_relu(x, 0.1))
        if self.score_only:
            nothing = x.new_zeros(len(x), CHANGE_SIZE)
            return PairResult(nothing, self.score(x)[:, 0], flows, x)
        change = self.change(x)
        if self.use_parts:
            change = change + self.trust_parts * read + 0.1 * self.looks(embedded)
        if self.use_places:
            change = change + self.trust * step
        if self.gradient != 'none':
            # The image at a quarter of its size is the second of three sizes, or the only one.
            start = GRADIENT_POOLED['coarse'] if self.gradient == 'full' else 0
            turn = TURN_GAIN * self.turn(pooled[:, start : start + GRADIENT_POOLED['coarse']])
            change = torch.cat([change[:, :BLENDSHAPES], change[:, BLENDSHAPES:] + turn], dim=1)
        size = change_size(change)[:, None]
        logit = self.score(torch.cat([x, 4 * torch.log(size + 0.02)], dim=1))[:, 0]
        return PairResult(change, logit, flows, x)

    def _measure(
        self,
        current: FrameState,
        previous: FrameState,
        now: list[Tensor],
        before: list[Tensor],
        parts: list[list[Tensor]],
    ) -> Tensor:
        """Add gradient flow of images and features to the levels' inputs.

        Returns:
            (B, GRADIENT_POOLED[gradient]) image flow over the face, a straight way to the answer.
        """
        if self.gradient == 'coarse':
            shrink = self.contrast_shrink
            [flow] = image_motion(current.image, previous.image, scales=(4 // shrink,))
            coarse = [shrink * flow]
            parts[1].append(GRADIENT_GAIN * coarse[0])
        else:
            fine, *coarse = image_motion(current.image, previous.image)
            parts[0].append(GRADIENT_GAIN * F.pixel_unshuffle(fine, 2))
            for level, found in zip((0, 1, 2), coarse, strict=True):
                parts[level].append(GRADIENT_GAIN * found)
            for level, (a, b) in enumerate(zip(now[:-1], before[:-1], strict=True)):
                gain = GRADIENT_GAIN * STRIDES[level]
                few = self.trackable[level]
                parts[level].append(gain * small_motion(few(a), few(b), groups=GRADIENT_GROUPS))
        side = current.image.shape[-1] * self.contrast_shrink // 16
        pooled = [_pooled(f, f.shape[-1] // side) for f in coarse]
        return self.even(torch.cat(pooled, dim=1).flatten(1))

    def forward(self, current: Tensor, previous: Tensor) -> PairResult:
        """Compare two (B, 3, S, S) images."""
        now, places = self.see(current)
        before, _ = self.see(previous)
        return self.compare(now, places, before)


def _pooled(x: Tensor, by: int) -> Tensor:
    return F.avg_pool2d(x, by) if by > 1 else x


def place_values(size: int) -> int:
    """Return the number of squeezed features of ResNet-50 for images of that edge [px]."""
    return sum(c * (size // s) ** 2 for c, s in zip(PLACE_CHANNELS, STRIDES[1:], strict=True))


def change_size(change: Tensor) -> Tensor:
    """(..., 54) change vectors to their size: ||d blendshapes|| + 2 ||d rotation||."""
    face = change[..., :BLENDSHAPES].square().sum(-1) + 1e-8
    head = change[..., BLENDSHAPES:].square().sum(-1) + 1e-8
    return face.sqrt() + ROTATION_WEIGHT * head.sqrt()


def weights_under(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the weights whose names begin with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def grow(
    net: nn.Module,
    weights: dict[str, Tensor],
    joined: Mapping[str, Mapping[str, int]] | None = None,
) -> None:
    """Start a network from the weights of a smaller one.

    Inputs that the smaller one lacks get zero weights, so the grown network begins with the
    smaller one's results; layers it lacks, or has with other outputs, stay as they are. Of a
    network that is not smaller, what both see is taken.

    Args:
        net: to be changed.
        weights: of the smaller network.
        joined: its KeyframeNet.joined; None: its inputs come first in every layer.
    """
    layers = getattr(net, 'joined', {})
    with torch.no_grad():
        for name, own in net.state_dict().items():
            given = weights.get(name)
            if given is None:
                continue
            if own.shape == given.shape:
                own.copy_(given)
                continue
            if len(own) != len(given):
                continue
            own.zero_()
            if joined and name in layers and name in joined:
                there = _ranges(joined[name])
                for kind, place in _ranges(layers[name]).items():
                    part = given[:, there.get(kind, slice(0))]
                    shared = min(place.stop - place.start, part.shape[1])
                    own[:, place.start : place.start + shared] = part[:, :shared]
            else:
                shared = min(own.shape[1], given.shape[1])
                own[:, :shared] = given[:, :shared]


def _ranges(joined: Mapping[str, int]) -> dict[str, slice]:
    """Return where the inputs of each kind lie."""
    ends = list(itertools.accumulate(joined.values()))
    pairs = zip(joined, [0, *ends[:-1]], ends, strict=True)
    return {kind: slice(start, end) for kind, start, end in pairs}


class PyramidOnly(nn.Module):
    """The part of FastFlowNet that sees one frame, under the same names."""

    def __init__(self) -> None:
        super().__init__()
        self.pyramid = Pyramid()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.1)
                nn.init.zeros_(module.bias)


def _fuse_block(inputs: int, outputs: int, deep: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(1 + deep):
        layers += conv_layers(inputs, outputs)
        inputs = outputs
    return nn.Sequential(*layers)
