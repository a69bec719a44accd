"""Write a trained keyframe network as one streaming ONNX file and check it.

`python -m training.keyframe.export --checkpoint runs/keyframe_default/last.ckpt
--name keyframe_default`

The graph takes the crop of one frame and what the frame before left behind (`state_*`), and
returns the change of the pair and the state for the next step (`next_state_*`). What was
computed for a frame is never computed again.

Weights are stored small, as int8 with one scale per output channel (ResNet-50) or float16 (the
rest), and become float32 once when the file is loaded: the runtime folds constants. Computing
stays in float32.
"""

import argparse
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from training.data.labels import CHANGE_SIZE
from training.keyframe.fusion import STATE_NAMES, FrameState, KeyframeNet, normalise

OPSET = 17
# Largest difference between PyTorch and onnxruntime that the self-check accepts, and between
# full and stored weights. Scores run over 0..1, changes of a lively pair are about 0.1.
TOLERANCE = 2e-4
STORED_TOLERANCE = 2e-2
SMALLEST_PACKED = 2048


class StreamingStep(nn.Module):
    """One step of the stream in terms of plain tensors, for tracing.

    Args:
        net: in eval mode.
        crop_px: edge of the crops.
        gain: factor on the change vectors. A regression that is unsure answers with too little;
            the factor that gives held-out training people as many keyframes as they have
            makes up for it.
    """

    def __init__(self, net: KeyframeNet, crop_px: int, gain: float = 1.0) -> None:
        super().__init__()
        self.net, self.gain = net, gain
        shapes = {
            'state_stride4': (1, 32, crop_px // 4, crop_px // 4),
            'state_stride8': (1, 64, crop_px // 8, crop_px // 8),
            'state_expression': (1, CHANGE_SIZE),
        }
        unused = set()
        if net.motion == 'none':
            unused = {'state_stride4', 'state_stride8'}
        if not net.use_places:
            unused.add('state_expression')
        self.states = {name: shapes[name] for name in STATE_NAMES if name not in unused}

    def forward(self, crop: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return score (1,), change (1, 54), flow (1, 2, h, w) if there is flow, and states."""
        given = dict(zip(self.states, states, strict=True))
        absent = torch.zeros(1, 1, 1, 1)
        previous = FrameState(*(given.get(name, absent) for name in STATE_NAMES))
        current, places = self.net.see(normalise(crop))
        result = self.net.compare(current, places, previous)
        out = [torch.sigmoid(result.score_logit), self.gain * result.change, *result.flows[:1]]
        after = dict(zip(STATE_NAMES, current.tensors(), strict=True))
        return (*out, *(after[name] for name in self.states))

    def output_names(self) -> list[str]:
        """Return the names of what `forward` returns."""
        flow = ['flow'] if self.net.motion == 'flow' else []
        return ['score', 'change', *flow, *(f'next_{name}' for name in self.states)]


def load_network(checkpoint: Path) -> KeyframeNet:
    """Return the averaged network of a training checkpoint, ready to run."""
    saved = torch.load(checkpoint, map_location='cpu', weights_only=False)
    net = KeyframeNet(**saved['network'])
    prefix = 'mean_net.'
    weights = saved['state_dict'].items()
    net.load_state_dict({k.removeprefix(prefix): v for k, v in weights if k.startswith(prefix)})
    return net.eval()


def export(net: KeyframeNet, crop_px: int, target: Path, gain: float = 1.0) -> float:
    """Write the file and compare it with PyTorch on a fixed sequence.

    Args:
        net: in eval mode.
        crop_px: edge of the crops.
        target: file to write.
        gain: see StreamingStep.

    Returns:
        The largest difference of score or change caused by the stored weights.

    Raises:
        ValueError: the check failed; the file is not left behind.
    """
    step = StreamingStep(net.to(memory_format=torch.contiguous_format), crop_px, gain).eval()
    crop = torch.zeros(1, crop_px, crop_px, 3, dtype=torch.uint8)
    states = tuple(torch.zeros(shape) for shape in step.states.values())
    target.parent.mkdir(parents=True, exist_ok=True)
    full = target.with_suffix('.full.onnx')
    torch.onnx.export(
        step,
        (crop, *states),
        str(full),
        input_names=['crop', *step.states],
        output_names=step.output_names(),
        opset_version=OPSET,
        dynamo=False,
    )
    try:
        difference = compare(step, full, fixed_crops(crop_px))
        if difference > TOLERANCE:
            raise ValueError(f'PyTorch and onnxruntime differ by {difference:.1e} > {TOLERANCE}')
        model = onnx.load(full)
        pack_weights(model)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, target)
        difference = compare(step, target, fixed_crops(crop_px))
        if difference > STORED_TOLERANCE:
            target.unlink()
            raise ValueError(f'stored weights change results by {difference:.1e}')
    finally:
        full.unlink()
    return difference


def fixed_crops(crop_px: int, count: int = 6) -> np.ndarray:
    """Return (count, S, S, 3) uint8: a smooth pattern that moves and changes shape."""
    y, x = np.mgrid[0:crop_px, 0:crop_px] / crop_px
    frames = []
    for t in range(count):
        waves = [
            np.sin(9 * x + 4 * y + 0.2 * t + c) + np.cos(13 * y * x - 0.1 * t) for c in range(3)
        ]
        frames.append(128 + 55 * np.stack(waves, axis=-1))
    return np.clip(np.stack(frames), 0, 255).astype(np.uint8)


@torch.no_grad()
def compare(step: StreamingStep, file: Path, crops: np.ndarray) -> float:
    """Stream crops through PyTorch and the file; return the largest difference of the results."""
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    states = [torch.zeros(shape) for shape in step.states.values()]
    feeds = {name: s.numpy() for name, s in zip(step.states, states, strict=True)}
    names, worst = step.output_names(), 0.0
    for crop in crops:
        expected = dict(zip(names, step(torch.from_numpy(crop[None]), *states), strict=True))
        found = dict(zip(names, session.run(names, {'crop': crop[None], **feeds}), strict=True))
        for name in ('score', 'change'):
            worst = max(worst, float(np.abs(expected[name].numpy() - found[name]).max()))
        states = [expected[f'next_{name}'] for name in step.states]
        feeds = {name: found[f'next_{name}'] for name in step.states}
    return worst


def pack_weights(model: onnx.ModelProto) -> None:
    """Replace large float32 weights by int8 or float16 ones that are cast back on loading."""
    graph = model.graph
    outputs_first = set()
    for node in graph.node:
        transposed = any(a.name == 'transB' and a.i for a in node.attribute)
        if node.op_type == 'Conv' or (node.op_type == 'Gemm' and transposed):
            outputs_first.add(node.input[1])
    kept, new, nodes = [], [], []
    for weight in graph.initializer:
        size = math.prod(weight.dims)
        if weight.data_type != TensorProto.FLOAT or size < SMALLEST_PACKED:
            kept.append(weight)
            continue
        value, name = numpy_helper.to_array(weight), weight.name
        if weight.name in outputs_first and _is_large(value):
            scale = np.abs(value).reshape(len(value), -1).max(axis=1) / 127
            scale = np.maximum(scale, 1e-12).reshape(-1, *[1] * (value.ndim - 1))
            packed = np.rint(value / scale).astype(np.int8)
            new.append(numpy_helper.from_array(packed, name + '_int8'))
            new.append(numpy_helper.from_array(scale.astype(np.float32), name + '_scale'))
            cast = helper.make_node(
                'Cast', [name + '_int8'], [name + '_float'], to=TensorProto.FLOAT
            )
            nodes += [cast, helper.make_node('Mul', [name + '_float', name + '_scale'], [name])]
        else:
            new.append(numpy_helper.from_array(value.astype(np.float16), name + '_half'))
            nodes.append(helper.make_node('Cast', [name + '_half'], [name], to=TensorProto.FLOAT))
    everything = [*nodes, *graph.node]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(everything)
    graph.initializer.extend([*kept, *new])


def _is_large(weight: np.ndarray) -> bool:
    """Tell ResNet-50's many weights from the motion part's few, which stay finer."""
    outputs, inputs = weight.shape[:2]
    return outputs * inputs >= 64 * 256 or (outputs * inputs >= 64 * 64 and weight.ndim == 2)


def manifest_entry(
    net: KeyframeNet, file: Path, crop_px: int, measured: dict[str, Any], note: str
) -> dict[str, Any]:
    """Return the section of models/manifest.yaml for a file."""
    step = StreamingStep(net, crop_px)
    side = crop_px // 4
    outputs: dict[str, Any] = {
        'score': {'shape': [1], 'meaning': 'change of the pair, 0..1, as if 1/30 s apart'},
        'change': {
            'shape': [1, CHANGE_SIZE],
            'meaning': 'signed change of the pair: 51 blendshapes (ARKit names without _neutral,'
            ' in the order of the labels), then the head rotation vector [rad]',
        },
    }
    if net.motion == 'flow':
        outputs['flow'] = {
            'shape': [1, 2, side, side],
            'meaning': 'u, v in crop pixels to where each pixel was in the previous crop',
        }
    for name, shape in step.states.items():
        outputs[f'next_{name}'] = {'shape': list(shape), 'meaning': f'{name} of the next step'}
    inputs: dict[str, Any] = {
        'crop': {'shape': [1, crop_px, crop_px, 3], 'dtype': 'uint8', 'layout': 'BGR'}
    }
    for name, shape in step.states.items():
        inputs[name] = {'shape': list(shape), 'dtype': 'float32'}
    return {
        'file': file.name,
        'sha256': hashlib.sha256(file.read_bytes()).hexdigest(),
        'task': 'keyframe score of a stream of face crops',
        'inputs': inputs,
        'preprocessing': {
            'crop_px': crop_px,
            'region': '1.25 times the longer side of the face landmarks (canonical_region)',
            'normalisation': 'inside the graph',
        },
        'outputs': outputs,
        'training_data': '../shared/data/clips/train, ../shared/data/faces/train'
        if net.use_places
        else '../shared/data/clips/train',
        'licence': 'weights: Apache-2.0; the footage trained on is MIT, Apache-2.0 and CC BY 4.0,'
        ' which does not clear the rights of the people in it',
        'note': note,
        'measured': measured,
    }


def write_manifest(manifest: Path, name: str, entry: dict[str, Any]) -> None:
    """Set one entry of the manifest; the others stay as they are."""
    document = yaml.safe_load(manifest.read_text()) if manifest.exists() else None
    document = document or {'models': {}}
    document['models'][name] = entry
    text = yaml.safe_dump(document, sort_keys=False, width=99, allow_unicode=True)
    manifest.write_text(text, encoding='utf-8')


def main(arguments: Sequence[str] | None = None) -> None:
    """Export a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--checkpoint', type=Path, required=True)
    parser.add_argument('--name', default='keyframe_default')
    parser.add_argument('--models', type=Path, default=Path('models'))
    parser.add_argument('--crop', type=int, default=128)
    parser.add_argument('--gain', type=float, default=1.0, help='see StreamingStep')
    parser.add_argument('--measured', type=Path, help='YAML with measured figures')
    parser.add_argument('--note', default='')
    options = parser.parse_args(arguments)
    net = load_network(options.checkpoint)
    target = options.models / f'{options.name}.onnx'
    difference = export(net, options.crop, target, options.gain)
    measured = yaml.safe_load(options.measured.read_text()) if options.measured else {}
    measured['change_gain'] = options.gain
    measured['stored_weights_difference'] = float(f'{difference:.1e}')
    entry = manifest_entry(net, target, options.crop, measured, options.note)
    write_manifest(options.models / 'manifest.yaml', options.name, entry)
    print(
        f'{target}: {target.stat().st_size / 1e6:.1f} MB, stored weights differ {difference:.1e}'
    )


if __name__ == '__main__':
    main()
