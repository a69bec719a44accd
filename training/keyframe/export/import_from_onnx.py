r"""Take the weights of an exported keyframe network back, as a start for training.

    python -m training.keyframe.export.import_from_onnx models/keyframe_lite.onnx \
        --config training/keyframe/train/configs/lite.yaml --out runs/shipped_lite.ckpt

The exported graph holds folded batch norms and packed weights (int8, float16). Here every weight
goes back to its layer, and the batch norms get statistics measured on the training clips, so that
the network answers as before, in training too; the gain of the export is kept beside them, for the
next export. What the file does not hold, the targets of
training alone, stays random. So shipped models can be trained on, on footage of one's own.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from kf_imitation.errors import KfImitationError
from training.keyframe.export.quantise import calibration_crops
from training.keyframe.networks.fusion import KeyframeNet, normalise
from training.keyframe.train.config import TrainConfig

# Of the modules that the export wraps the network into, as they stand in names of weights.
WRAPPER = 'net.'
NORM = ('weight', 'bias', 'running_mean', 'running_var')
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm1d)
# FastFlowNet is wrapped once more where its matching is rewritten (flow_graph.py).
FLOW = ('flow_net.net.', 'flow_net.')


class Weights:
    """The constants of a graph, unpacked."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._stored = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        self._made = {name: node for node in model.graph.node for name in node.output}

    def get(self, name: str) -> np.ndarray | None:
        """Return a constant as float32, None where the name stands for something computed."""
        if name in self._stored:
            return np.asarray(self._stored[name], np.float32)
        node = self._made.get(name)
        if node is None:
            return None
        if node.op_type == 'Constant':
            return np.asarray(numpy_helper.to_array(node.attribute[0].t), np.float32)
        if node.op_type not in ('Identity', 'Cast', 'Mul', 'DequantizeLinear', 'Transpose'):
            return None
        values = [v for i in node.input if (v := self.get(i)) is not None]
        if len(values) < len(node.input):
            return None
        first = values[0]
        if node.op_type == 'Mul':
            return first * values[1]
        if node.op_type == 'Transpose':
            return first.transpose(*next(a.ints for a in node.attribute if a.name == 'perm'))
        if node.op_type == 'DequantizeLinear':
            axis = next((a.i for a in node.attribute if a.name == 'axis'), 1)
            shape = [1] * first.ndim
            if values[1].ndim:
                shape[axis] = -1
            zero = values[2].reshape(shape) if len(values) > 2 else 0
            return (first - zero) * values[1].reshape(shape)
        return first

    def change_gain(self) -> float:
        """Return the factor that the export put on the change vectors."""
        node = self._made['change']
        values = [v for v in map(self.get, node.input) if v is not None and v.size == 1]
        return float(values[0].item()) if node.op_type == 'Mul' and values else 1.0

    def scale_before(self, name: str) -> np.ndarray | None:
        """Return the constant that an input is multiplied by (quantise.Equalised)."""
        node = self._made.get(name)
        while node is not None and node.op_type in ('QuantizeLinear', 'DequantizeLinear'):
            node = self._made.get(node.input[0])
        if node is None or node.op_type != 'Mul':
            return None
        return next((v for v in map(self.get, node.input) if v is not None), None)


def import_from_onnx(file: Path, net: KeyframeNet) -> tuple[list[str], float]:
    """Copy the weights of an exported network into one that can be trained.

    Args:
        file: of training.keyframe.export.run.
        net: of the same configuration; it is changed.

    Returns:
        The names of the weights that the file does not hold, and the gain of its export.

    Raises:
        ValueError: the file is of another configuration.
    """
    model = onnx.load(file)
    weights = Weights(model)
    modules = dict(net.named_modules())
    own = net.state_dict()
    found: dict[str, np.ndarray] = {}
    for initializer in model.graph.initializer:
        name = initializer.name
        for ending in ('_half', '_int8'):
            name = name.removesuffix(ending)
        plain = name.removeprefix(WRAPPER).replace(*FLOW)
        value = weights.get(name)
        if plain in own and value is not None:
            found[plain] = value
    for node in model.graph.node:
        if node.op_type not in ('Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'BatchNormalization'):
            continue
        layer = _layer_of(node.name, modules)
        if layer is not None and node.op_type == 'BatchNormalization':
            values = [weights.get(name) for name in node.input[1:]]
            found |= {
                f'{layer}.{k}': v for k, v in zip(NORM, values, strict=True) if v is not None
            }
            continue
        if layer is None:
            continue
        value = weights.get(node.input[1])
        if value is None:
            continue
        if node.op_type == 'MatMul':
            value = value.T
        if node.name.endswith('/conv/Conv'):
            scale = weights.scale_before(node.input[0])
            if scale is not None:
                value = value * scale.reshape(1, -1, 1, 1)
        found[f'{layer}.weight'] = value
        bias = weights.get(node.input[2]) if len(node.input) > 2 else None
        if bias is not None:
            norm = _norm_after(layer, modules)
            found[f'{norm or layer}.bias'] = bias
            if norm:
                folded = modules[norm]
                ones = np.ones_like(bias)
                found[f'{norm}.weight'] = ones * np.sqrt(1 + folded.eps)
                found[f'{norm}.running_mean'], found[f'{norm}.running_var'] = 0 * ones, ones
    wrong = [
        f'{name} is {value.shape}, the network has {tuple(own[name].shape)}'
        for name, value in found.items()
        if name in own and tuple(own[name].shape) != value.shape
    ]
    if wrong:
        raise ValueError(f'{file} is of another configuration: {"; ".join(wrong)}')
    kept = {k: torch.tensor(v) for k, v in found.items() if k in own}
    net.load_state_dict(kept, strict=False)
    counts = 'num_batches_tracked'
    missing = [name for name in own if name not in kept and not name.endswith(counts)]
    return missing, weights.change_gain()


def _layer_of(node: str, modules: dict[str, nn.Module]) -> str | None:
    """Return the layer that a node comes from, of '/fuse.1/fuse.1.3/Conv' 'fuse.1.3'."""
    parts: list[str] = []
    for part in node.strip('/').split('/')[:-1]:
        if parts and part.startswith(parts[-1] + '.'):
            parts.pop()
        parts.append(part)
    path = '.'.join(parts)
    for name in (path, f'flow_net.{path}', path.removesuffix('.conv')):
        for whole in (name, f'flow_net.{name}'):
            if isinstance(modules.get(whole), LAYERS):
                return whole
    return None


def _norm_after(layer: str, modules: dict[str, nn.Module]) -> str | None:
    """Return the batch norm that the export folded into a layer."""
    parent, _, last = layer.rpartition('.')
    if last.startswith('conv'):
        name = f'{parent}.bn{last[4:]}'
    elif last.isdigit():
        name = f'{parent}.{int(last) + 1}'
    else:
        return None
    return name if isinstance(modules.get(name), nn.BatchNorm2d) else None


@torch.no_grad()
def set_statistics(net: KeyframeNet, sequences: Iterable[np.ndarray]) -> None:
    """Give batch norms the statistics of their inputs and leave their results as they are.

    Args:
        net: just imported; it is changed.
        sequences: (n, S, S, 3) uint8 consecutive crops each.
    """
    sums: dict[nn.Module, tuple[int, Tensor, Tensor]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].detach().double().flatten(2) if inputs[0].ndim > 2 else inputs[0][..., None]
        count, total, squares = sums.get(module, (0, torch.tensor(0.0), torch.tensor(0.0)))
        sums[module] = (
            count + x.shape[0] * x.shape[2],
            total + x.sum(dim=(0, 2)),
            squares + x.square().sum(dim=(0, 2)),
        )

    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    hooks = [m.register_forward_pre_hook(note) for m in norms]
    net.eval()
    for crops in sequences:
        images = normalise(torch.from_numpy(crops))
        net(images[1:], images[:-1])
    for hook in hooks:
        hook.remove()
    for norm, (count, total, squares) in sums.items():
        mean = total / count
        var = (squares / count - mean.square()).clamp_min(1e-8)
        # y = gain * x + offset stays what it was.
        gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        offset = norm.bias.double() - gain * norm.running_mean.double()
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        norm.weight.copy_(gain * (var + norm.eps).sqrt())
        norm.bias.copy_(offset + gain * mean)


def main() -> int:
    """Write a checkpoint for `--start`; 2 for a file that does not fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', type=Path)
    parser.add_argument('--config', type=Path, required=True, help='of the network in the file')
    parser.add_argument('--cache', type=Path, default=Path('data/clips'))
    parser.add_argument('--out', type=Path, required=True)
    arguments = parser.parse_args()
    config = TrainConfig.load(arguments.config, [])
    net = KeyframeNet(**config.network)
    try:
        missing, gain = import_from_onnx(arguments.model, net)
        set_statistics(net, calibration_crops(arguments.cache, [], net.crop_px))
    except (KfImitationError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    state = {f'mean_net.{k}': v for k, v in net.state_dict().items()}
    # The recipe takes a file that is there for finished.
    temporary = arguments.out.with_suffix('.tmp')
    saved = {'state_dict': state, 'network': config.network, 'change_gain': gain}
    torch.save(saved, temporary)
    os.replace(temporary, arguments.out)
    print(f'{arguments.out}; not in the file: {", ".join(missing) or "nothing"}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
