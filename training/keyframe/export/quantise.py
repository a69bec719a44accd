"""Real int8 arithmetic for the convolutions of an exported keyframe network.

Static quantisation by onnxruntime's own tool: activations uint8 per tensor, weights int8 per
output channel and 7 bits of it (`reduce_range`). On processors without VNNI the products of two
neighbours are added in 16 bits: 255 * 127 * 2 would not fit there and saturate, 255 * 64 * 2
does. So a file gives the same numbers on every processor, and U8S8 is the fast combination on
all of them.

What stays in float: the pyramid (motion is a small difference of its features, and it is the
state), correlation and warping, the layers that write flow, everything fully connected.
"""

import copy
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kf_imitation.data_types import FaceRegion
from kf_imitation.inference import crop
from kf_imitation.keyframe.scoring.pair_scorer import pictures, states
from training.data import clip_cache
from training.keyframe.networks.fusion import KeyframeNet, normalise

QUANTISED = ('/place_net', '/squeeze', '/decoders', '/fuse')
LAYERS = ('Conv', 'LeakyRelu')
RESNET_LAYERS = ('Conv', 'Relu', 'Add', 'MaxPool')
# How much of the inequality of input channels is moved from the activations to the weights
# (Xiao et al., "SmoothQuant", ICML 2023); 0.5, 0.75 and 1 were tried on the default.
SHARE = 0.75
SEQUENCE = 4


def calibration_crops(cache: Path, stems: Sequence[str], crop_px: int) -> list[np.ndarray]:
    """Cut short sequences of crops out of cached training clips.

    Args:
        cache: folder of training.data.clip_cache; never that of dev.
        stems: clips to take; none: all.
        crop_px: edge of the crops.

    Returns:
        Two sequences of (4, S, S, 3) uint8 for each clip.

    Raises:
        ValueError: no clip is there.
    """
    sequences = []
    for file in sorted(cache.glob('*.npy')):
        if stems and file.stem not in stems:
            continue
        clip = clip_cache.load(file)
        count = len(clip.frames)
        for start in (count // 4, 3 * count // 4):
            start = max(0, min(start, count - SEQUENCE))
            x, y, size = clip.regions[start + SEQUENCE // 2]
            region = FaceRegion(x - size / 2, y - size / 2, size)
            frames = clip.frames[start : start + SEQUENCE]
            sequences.append(np.stack([crop(f, region, crop_px) for f in frames]))
    if not sequences:
        raise ValueError(
            f'{cache} holds no cached clip to calibrate with: '
            'run python -m training.data.clip_cache'
        )
    return sequences


class Equalised(nn.Module):
    """A convolution whose input channels are divided by a scale that its weights make up for."""

    inverse: Tensor

    def __init__(self, conv: nn.Conv2d, scale: Tensor) -> None:
        super().__init__()
        self.conv = copy.deepcopy(conv)
        with torch.no_grad():
            self.conv.weight *= scale[None, :, None, None]
        self.register_buffer('inverse', (1 / scale)[None, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) as the convolution alone."""
        return self.conv(x * self.inverse)


def prepare(net: KeyframeNet, sequences: Sequence[np.ndarray]) -> None:
    """Fold batch norms and equalise the inputs of convolutions that join different things.

    The network's results stay the same (up to rounding of float32).

    Args:
        net: in eval mode; it is changed.
        sequences: of `calibration_crops`.
    """
    for module in net.fuse.modules():
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                first, second = module[i], module[i + 1]
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    module[i], module[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    joining = [block for block in net.fuse if isinstance(block, nn.Sequential)]
    if net.motion == 'flow':
        joining += [net.flow_net.decoders[level].enter for level in net.flow_net.used]
    largest = _largest_inputs(net, [block[0] for block in joining], sequences)
    for block, activation in zip(joining, largest, strict=True):
        if activation is None:  # never run
            continue
        weight = block[0].weight.detach().abs().amax(dim=(0, 2, 3)).clamp_min(1e-5)
        activation = activation.clamp_min(1e-3 * float(activation.max()) + 1e-9)
        scale = activation**SHARE / weight ** (1 - SHARE)
        block[0] = Equalised(block[0], scale / scale.max())


@torch.no_grad()
def _largest_inputs(
    net: KeyframeNet, convolutions: Sequence[nn.Module], sequences: Sequence[np.ndarray]
) -> list[Tensor | None]:
    """Return the largest magnitude in each input channel of convolutions."""
    largest: dict[nn.Module, Tensor] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        value = inputs[0].abs().amax(dim=(0, 2, 3))
        largest[module] = torch.maximum(value, largest.get(module, value))

    hooks = [c.register_forward_pre_hook(note) for c in convolutions]
    for crops in sequences:
        images = normalise(torch.from_numpy(crops))
        net(images[1:], images[:-1])
    for hook in hooks:
        hook.remove()
    return [largest.get(c) for c in convolutions]


class StreamedCrops(CalibrationDataReader):
    """Feeds of a streaming model: every crop with the state that the crop before it left."""

    def __init__(self, file: Path, sequences: Sequence[np.ndarray]) -> None:
        self._feeds = iter(list(streamed_feeds(file, sequences)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next feed, None at the end."""
        return next(self._feeds, None)


def streamed_feeds(file: Path, sequences: Sequence[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Run sequences through a model and return what each step but the first was given."""
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    names = [o.name for o in session.get_outputs()]
    shapes = {i.name: i.shape for i in session.get_inputs()}
    for crops in sequences:
        state = {name: np.zeros(shape, np.float32) for name, shape in states(shapes).items()}
        for i, image in enumerate(crops):
            feed = {**pictures(image, shapes), **state}
            if i > 0:
                yield feed
            found = dict(zip(names, session.run(names, feed), strict=True))
            state = {name: found[f'next_{name}'] for name in state}


def quantise(source: Path, target: Path, sequences: Sequence[np.ndarray]) -> None:
    """Write the int8 form of a float model.

    Args:
        source: streaming model in float32.
        target: file to write.
        sequences: of `calibration_crops`.
    """
    nodes = [
        node.name
        for node in onnx.load(source).graph.node
        if node.name.startswith(QUANTISED)
        and '/flow/' not in node.name
        and node.op_type in (RESNET_LAYERS if node.name.startswith('/place_net') else LAYERS)
    ]
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises steps that the export has done
    try:
        quantize_static(
            source,
            target,
            StreamedCrops(source, sequences),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_quantize=nodes,
        )
    finally:
        logger.setLevel(level)
