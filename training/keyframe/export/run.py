"""Write a trained keyframe network as one streaming ONNX file and check it.

`python -m training.keyframe.export --checkpoint runs/keyframe_default/last.ckpt
--name keyframe_default`

The graph takes the crop of one frame and what the frame before left behind (`state_*`), and
returns the change of the pair and the state for the next step (`next_state_*`). What was
computed for a frame is never computed again.

ResNet-50, the flow decoders and the fusion compute in int8 (training.keyframe.export.quantise),
calibrated on short sequences of the cached training clips; the rest computes in float32 and is
stored as float16, which becomes float32 once when the file is loaded. `--precision float` leaves
all computing in float32 and stores weights only small (ResNet-50's as int8).

Three checks, each against the trained network in PyTorch; a file that fails one is not written:
the graph in float32 (TOLERANCE), what is stored on a fixed pattern (STORED_TOLERANCE) and, with
int8, the change vectors and scores of people who were in no training (INT8_CHANGE, INT8_SCORE).
"""

import argparse
import copy
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
import yaml
from torch import Tensor, nn

from kf_imitation.keyframe.scoring.pair_scorer import CHANGE_SIZE, pictures
from training.keyframe.export.flow_graph import GraphFlow
from training.keyframe.export.manifest_file import write_manifest
from training.keyframe.export.pack import pack_weights
from training.keyframe.export.quantise import calibration_crops, prepare, quantise
from training.keyframe.networks.eye_mouth_networks import EMBEDDING, as_it_is
from training.keyframe.networks.fusion import (
    STATE_NAMES,
    FrameState,
    KeyframeNet,
    normalise,
    place_values,
    planes,
    scale_levels,
    weights_under,
)

OPSET = 17
# Largest difference between PyTorch and onnxruntime that the self-check accepts, and between
# full and stored weights. Scores run over 0..1, changes of a lively pair are about 0.1.
TOLERANCE = 2e-4
STORED_TOLERANCE = 2e-2
# int8 against PyTorch on real faces: RMS difference of the change vectors over their RMS, and
# mean difference of the scores (docs/training.md has what that does to the metrics).
INT8_CHANGE = 0.10
INT8_SCORE = 0.015
PRECISIONS = ('int8', 'float', 'auto')
# Of the runtime's smoothing, what an export can choose [s].
SMOOTHING_NAMES = ('sigma_s', 'forecast_s')


class CoarseInt8Error(ValueError):
    """int8 changes what the network answers by too much."""


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
        self.net, self.crop_px, self.gain = net, crop_px, gain
        motion_px = crop_px // net.shrink
        colour = (1, motion_px, motion_px, 3)
        self.pictures = {'crop': colour}
        if not net.needs_colour or net.shrink > 1:
            self.pictures['crop'] = (1, crop_px, crop_px, 1)
            if net.needs_colour:
                self.pictures['colour'] = colour
        contrast_px = motion_px // net.contrast_shrink
        shapes = {
            'state_stride4': (1, 32, motion_px // 4, motion_px // 4),
            'state_stride8': (1, 64, motion_px // 8, motion_px // 8),
            'state_image': (1, 1, contrast_px, contrast_px),
            'state_expression': (1, CHANGE_SIZE),
            'state_readings': (1, CHANGE_SIZE),
            'state_looks': (1, 3 * EMBEDDING),
            'state_places': (1, place_values(motion_px)),
        }
        unused = set()
        if net.motion == 'none':
            unused = {'state_stride4', 'state_stride8'}
        if net.gradient == 'none':
            unused.add('state_image')
        if not net.use_places:
            unused.add('state_expression')
        if not net.compares_places:
            unused.add('state_places')
        if not net.use_parts:
            unused |= {'state_readings', 'state_looks'}
        self.states = {name: shapes[name] for name in STATE_NAMES if name not in unused}

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return score (1,), change (1, 54) and flow (1, 2, h, w) if there are, and states.

        Args:
            inputs: pictures as uint8, then states.
        """
        # The large picture is scaled only after it is cut and shrunk: three passes less over it.
        crop, *small = inputs[: len(self.pictures)]
        large = planes(crop) if self.net.use_parts else normalise(crop)
        picture = normalise(small[0]) if small else large
        scale = scale_levels if self.net.use_parts else as_it_is
        given = dict(zip(self.states, inputs[len(self.pictures) :], strict=True))
        absent = torch.zeros(1, 1, 1, 1)
        previous = FrameState(*(given.get(name, absent) for name in STATE_NAMES))
        if large.shape[1] == 1:
            current, places = self.net.see_pictures(large, picture, scale=scale)
        else:
            current, places = self.net.see(large)
        result = self.net.compare(current, places, previous)
        flow = [self.net.shrink * f for f in result.flows[:1]]
        change = [] if self.net.score_only else [self.gain * result.change]
        out = [torch.sigmoid(result.score_logit), *change, *flow]
        after = dict(zip(STATE_NAMES, current.tensors(), strict=True))
        return (*out, *(after[name] for name in self.states))

    def output_names(self) -> list[str]:
        """Return the names of what `forward` returns."""
        flow = ['flow'] if self.net.motion == 'flow' else []
        change = [] if self.net.score_only else ['change']
        return ['score', *change, *flow, *(f'next_{name}' for name in self.states)]


def load_network(*checkpoints: Path) -> KeyframeNet:
    """Return the averaged network of training checkpoints, ready to run.

    Args:
        checkpoints: of one run or of runs with one start; several are averaged once more.
    """
    saved = [torch.load(file, map_location='cpu', weights_only=False) for file in checkpoints]
    net = KeyframeNet(**saved[0]['network'])
    weights = [weights_under(s['state_dict'], 'mean_net.') for s in saved]
    mean = {
        name: torch.stack([w[name] for w in weights]).mean(dim=0)
        if own.is_floating_point()
        else own
        for name, own in weights[0].items()
    }
    net.load_state_dict(mean)
    return net.eval()


@dataclass(frozen=True)
class Difference:
    """How far an exported file is from PyTorch on a set of sequences.

    Attributes:
        largest: of scores and change vectors.
        change: RMS of the change vectors' difference over the RMS of the change vectors.
        score: mean of the scores' difference.
    """

    largest: float
    change: float
    score: float


def export(
    net: KeyframeNet,
    crop_px: int,
    target: Path,
    gain: float = 1.0,
    calibration: Sequence[np.ndarray] = (),
    check: Sequence[np.ndarray] = (),
) -> Difference:
    """Write the file and compare it with PyTorch.

    Args:
        net: in eval mode.
        crop_px: edge of the crops.
        target: file to write.
        gain: see StreamingStep.
        calibration: sequences of crops (n, S, S, 3); with them, compute in int8.
        check: sequences of other people, for the check of int8; default: `calibration`.

    Returns:
        What the stored weights and int8 change: on `check`, or else on a fixed pattern.

    Raises:
        CoarseInt8Error: int8 changes the answers by too much.
        ValueError: another check failed. No file is left behind, and one of before stays.
    """
    net = copy.deepcopy(net).to(memory_format=torch.contiguous_format)
    reference = StreamingStep(net, crop_px, gain).eval()
    pattern = [fixed_crops(crop_px)]
    runtime_net = copy.deepcopy(net)
    if calibration:
        prepare(runtime_net, calibration)
    if net.motion == 'flow' and not net.flow_net.published:
        runtime_net.flow_net = GraphFlow(runtime_net.flow_net)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        full, small = Path(folder) / 'full.onnx', Path(folder) / 'small.onnx'
        trace(StreamingStep(runtime_net, crop_px, gain).eval(), full)
        difference = compare(reference, full, [*pattern, *calibration[:2]])
        if difference.largest > TOLERANCE:
            raise ValueError(
                f'PyTorch and onnxruntime differ by {difference.largest:.1e} > {TOLERANCE}'
            )
        if calibration:
            quantise(full, small, calibration)
        else:
            full.rename(small)
        model = onnx.load(small)
        pack_weights(model)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, small)
        if calibration:
            difference = compare(reference, small, check or calibration)
            if difference.change > INT8_CHANGE or difference.score > INT8_SCORE:
                raise CoarseInt8Error(
                    f'int8 changes the change vectors by {difference.change:.3f} of their size '
                    f'(at most {INT8_CHANGE}) and the score by {difference.score:.4f} in the '
                    f'mean (at most {INT8_SCORE}; --precision float does without)'
                )
        else:
            difference = compare(reference, small, pattern)
            if difference.largest > STORED_TOLERANCE:
                raise ValueError(f'stored weights change results by {difference.largest:.1e}')
        small.replace(target)
    return difference


def trace(step: StreamingStep, file: Path) -> None:
    """Write a step as ONNX in float32."""
    seen = [torch.zeros(shape, dtype=torch.uint8) for shape in step.pictures.values()]
    states = [torch.zeros(shape) for shape in step.states.values()]
    torch.onnx.export(
        step,
        (*seen, *states),
        str(file),
        input_names=[*step.pictures, *step.states],
        output_names=step.output_names(),
        opset_version=OPSET,
        dynamo=False,
    )


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
def compare(step: StreamingStep, file: Path, sequences: Sequence[np.ndarray]) -> Difference:
    """Stream sequences of crops through PyTorch and the file, each from empty states.

    A sequence's first step, which has no frame before it, counts for the largest difference only.
    """
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    names, largest = step.output_names(), 0.0
    answers = [name for name in ('change', 'score') if name in names]
    wanted: list[np.ndarray] = []
    apart: list[np.ndarray] = []
    for crops in sequences:
        states = [torch.zeros(shape) for shape in step.states.values()]
        feeds = {name: s.numpy() for name, s in zip(step.states, states, strict=True)}
        for i, image in enumerate(crops):
            seen = pictures(image, step.pictures)
            expected = dict(
                zip(names, step(*map(torch.from_numpy, seen.values()), *states), strict=True)
            )
            found = dict(zip(names, session.run(names, {**seen, **feeds}), strict=True))
            row = np.concatenate([expected[n].numpy().ravel() for n in answers])
            other = np.concatenate([found[n].ravel() for n in answers])
            largest = max(largest, float(np.abs(other - row).max()))
            if i > 0:
                wanted.append(row)
                apart.append(other - row)
            states = [expected[f'next_{name}'] for name in step.states]
            feeds = {name: found[f'next_{name}'] for name in step.states}
    difference, values = np.stack(apart), np.stack(wanted)
    size = float(np.linalg.norm(values[:, :-1])) + 1e-9
    return Difference(
        largest,
        float(np.linalg.norm(difference[:, :-1])) / size,
        float(np.abs(difference[:, -1]).mean()),
    )


def smoothing_pair(text: str) -> tuple[str, float]:
    """Read `sigma_s=0.05`: a field of Smoothing and its value."""
    name, _, value = text.partition('=')
    if name not in SMOOTHING_NAMES:
        raise argparse.ArgumentTypeError(f'{text}: must begin with {", ".join(SMOOTHING_NAMES)}')
    try:
        number = float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text}: must end with a number [s]') from None
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f'{text}: must be 0 or more and less than 1 [s]')
    return name, number


def manifest_entry(
    net: KeyframeNet,
    file: Path,
    crop_px: int,
    measured: dict[str, Any],
    note: str,
    smoothing: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return the section of models/manifest.yaml for a file."""
    step = StreamingStep(net, crop_px)
    side = crop_px // net.shrink // 4
    outputs: dict[str, Any] = {
        'score': {'shape': [1], 'meaning': 'change of the pair, 0..1, as if 1/30 s apart'},
        'change': {
            'shape': [1, CHANGE_SIZE],
            'meaning': 'signed change of the pair: 51 blendshapes (ARKit names without _neutral,'
            ' in the order of the labels), then the head rotation vector [rad]',
        },
    }
    if net.score_only:
        del outputs['change']
    if net.motion == 'flow':
        outputs['flow'] = {
            'shape': [1, 2, side, side],
            'meaning': 'u, v in crop pixels to where each pixel was in the previous crop',
        }
    for name, shape in step.states.items():
        outputs[f'next_{name}'] = {'shape': list(shape), 'meaning': f'{name} of the next step'}
    inputs: dict[str, Any] = {
        name: {
            'shape': list(shape),
            'dtype': 'uint8',
            'layout': 'BGR' if shape[3] == 3 else 'mean of B, G and R',
        }
        for name, shape in step.pictures.items()
    }
    for name, shape in step.states.items():
        inputs[name] = {'shape': list(shape), 'dtype': 'float32'}
    entry = {
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
        if net.use_places or net.use_parts
        else '../shared/data/clips/train',
        'licence': 'weights: Apache-2.0; the footage trained on is MIT, Apache-2.0 and CC BY 4.0,'
        ' which does not clear the rights of the people in it',
        'note': note,
        'measured': measured,
    }
    return entry | ({'smoothing': dict(smoothing)} if smoothing else {})


def main(arguments: Sequence[str] | None = None) -> int:
    """Export a checkpoint; 2 when a check fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--checkpoint', type=Path, nargs='+', required=True, help='several are averaged'
    )
    parser.add_argument('--name', default='keyframe_default')
    parser.add_argument('--models', type=Path, default=Path('models'))
    parser.add_argument('--crop', type=int, help='default: what the network was trained on')
    parser.add_argument(
        '--gain',
        type=float,
        help='see StreamingStep; default: of what training started from, or 1',
    )
    parser.add_argument(
        '--smoothing',
        type=smoothing_pair,
        nargs='*',
        default=[],
        metavar='FIELD=SECONDS',
        help=f'of the runtime: {", ".join(SMOOTHING_NAMES)}; default: its own',
    )
    parser.add_argument('--measured', type=Path, help='YAML with measured figures')
    parser.add_argument('--note', default='')
    parser.add_argument(
        '--precision',
        choices=PRECISIONS,
        default='int8',
        help='auto: int8, or float where int8 changes the answers by too much',
    )
    parser.add_argument(
        '--calibrate',
        type=Path,
        default=Path('data/clips'),
        metavar='FOLDER',
        help='cache of the training clips (training.data.clip_cache)',
    )
    options = parser.parse_args(arguments)
    net = load_network(*options.checkpoint)
    options.crop = options.crop or net.crop_px
    if options.gain is None:
        saved = torch.load(options.checkpoint[0], map_location='cpu', weights_only=False)
        options.gain = float(saved.get('change_gain', 1.0))
    target = options.models / f'{options.name}.onnx'
    calibration: list[np.ndarray] = []
    check: list[np.ndarray] = []
    try:
        if options.precision != 'float':
            everyone = {file.stem for file in options.calibrate.glob('*.npy')}
            held = everyone & set(held_out(options.checkpoint[0]))
            calibration = calibration_crops(
                options.calibrate, sorted(everyone - held), options.crop
            )
            check = (
                calibration_crops(options.calibrate, sorted(held), options.crop) if held else []
            )
        try:
            difference = export(net, options.crop, target, options.gain, calibration, check)
        except CoarseInt8Error as error:
            if options.precision != 'auto':
                raise
            print(f'{options.checkpoint[0]}: {error}: float is taken', file=sys.stderr)
            calibration = []
            difference = export(net, options.crop, target, options.gain)
    except ValueError as error:
        print(f'{options.checkpoint[0]}: {error}', file=sys.stderr)
        return 2
    measured = yaml.safe_load(options.measured.read_text()) if options.measured else {}
    measured['change_gain'] = options.gain
    precision = measured['precision'] = 'int8' if calibration else 'float'
    measured['difference_from_training'] = {
        'change': float(f'{difference.change:.2g}'),
        'score': float(f'{difference.score:.2g}'),
    }
    smoothing = dict(options.smoothing)
    entry = manifest_entry(net, target, options.crop, measured, options.note, smoothing)
    write_manifest(options.models / 'manifest.yaml', options.name, entry)
    apart = f'{difference.change:.4f} of the change vectors, {difference.score:.4f} of the score'
    size_mb = target.stat().st_size / 1e6
    print(f'{target}: {size_mb:.1f} MB, {precision}, differs from PyTorch by {apart}')
    return 0


def held_out(checkpoint: Path) -> list[str]:
    """Return the clips a run did not train on, from the config.json next to its checkpoint."""
    config = checkpoint.with_name('config.json')
    return list(json.loads(config.read_text())['hold_out']) if config.exists() else []


if __name__ == '__main__':
    sys.exit(main())
