"""Export PFLD, the eye or the part model to ONNX, check it, enter it in models/manifest.yaml.

.venv/bin/python -m training.landmarks.export runs/landmarks/expression.pt
.venv/bin/python -m training.landmarks.export runs/eyes/last.pt --eyes
.venv/bin/python -m training.landmarks.export runs/parts/last.ckpt --parts
.venv/bin/python -m training.landmarks.export runs/paper/last.pt --out models/landmarks_paper.onnx
"""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
import yaml
from torch import Tensor, nn

from kf_imitation.keyframe.scoring.pair_scorer import BLENDSHAPES, CHANGE_NAMES
from kf_imitation.landmarks.patches import EYE_BLENDSHAPES, PATCH_PX
from training.keyframe.export.pack import pack_weights
from training.keyframe.networks.eye_mouth_networks import (
    EYE,
    MOUTH,
    Parts,
    prediction_order,
)
from training.keyframe.networks.fusion import scale_levels, weights_under
from training.landmarks.networks.eye_model import Deployed as DeployedEyes
from training.landmarks.networks.eye_model import EyeNet
from training.landmarks.networks.pfld import CROP_PX, PFLD, PFLDConfig
from training.landmarks.networks.published_pfld import PublishedPFLD, is_published

TOLERANCE = 2e-4  # crop edges, a fiftieth of a pixel
NAME, EYES, PARTS = 'landmarks_pfld', 'landmarks_eyes', 'landmarks_parts'
LOW, HIGH = 0.2, 0.8


class Deployed(nn.Module):
    """PFLD with normalisation before it and the confidence spread over 0..1 after it.

    The head's sigmoid has its middle at 0.33 for covered and at 0.83 for free points; LOW to HIGH
    of it become 0 to 1, so that the default `minimum_confidence` lies between the two.
    """

    def __init__(self, model: PFLD) -> None:
        super().__init__()
        self.model = model

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(1, 112, 112, 3) uint8 BGR to points, confidence (1, 98) and predictions (1, 54)."""
        x = crop.permute(0, 3, 1, 2).float() / 127.5 - 1
        points, logits, _, predictions = self.model(x)
        return points, ((torch.sigmoid(logits) - LOW) / (HIGH - LOW)).clamp(0, 1), predictions


class DeployedPublished(nn.Module):
    """The published PFLD, with normalisation before it; it has points alone."""

    def __init__(self, model: PublishedPFLD) -> None:
        super().__init__()
        self.model = model

    def forward(self, crop: Tensor) -> tuple[Tensor]:
        """(1, 112, 112, 3) uint8 BGR to points."""
        points, _ = self.model(crop.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return (points,)


def load(checkpoint: Path) -> PFLD | PublishedPFLD:
    """The averaged weights of a training run, ready to run."""
    saved = torch.load(checkpoint, map_location='cpu', weights_only=False)
    config = saved['config']
    model: PFLD | PublishedPFLD
    model = PublishedPFLD(**config) if is_published(config) else PFLD(PFLDConfig(**config))
    model.load_state_dict(saved['average'])
    return model.eval()


def load_eyes(checkpoint: Path) -> EyeNet:
    """The averaged weights of the eye model, ready to run."""
    saved = torch.load(checkpoint, map_location='cpu', weights_only=False)
    model = EyeNet()
    model.load_state_dict(saved['average'])
    return model.eval()


class DeployedParts(nn.Module):
    """The networks of eyes and mouth, without what finds them."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.eye, self.mouth = parts.eye, parts.mouth

    def forward(self, eyes: Tensor, mouth: Tensor) -> tuple[Tensor, Tensor]:
        """(2, 56, 64) and (1, 56, 80) uint8 to logits (2, 10) and (1, M)."""
        found = []
        for net, patch in ((self.eye, eyes), (self.mouth, mouth)):
            _, embeddings = net(scale_levels(patch[:, None].float()))
            found.append(net.read(embeddings))
        return found[0], found[1]


def load_parts(checkpoint: Path) -> Parts:
    """The averaged weights of training.keyframe.train.train_parts, ready to run."""
    saved = torch.load(checkpoint, map_location='cpu', weights_only=False)
    parts = Parts(prediction_order(CHANGE_NAMES[:BLENDSHAPES]))
    parts.load_state_dict(weights_under(saved['state_dict'], 'mean_net.parts.'))
    return parts.eval()


def export(
    deployed: nn.Module, file: Path, inputs: dict[str, tuple[int, ...]], outputs: list[str]
) -> None:
    """Write an ONNX file and check it.

    Args:
        deployed: takes uint8 pictures.
        file: to write.
        inputs: shape by name.
        outputs: names, in their order.

    Raises:
        AssertionError: onnxruntime and torch disagree by more than the tolerance.
    """
    deployed.eval()
    example = tuple(torch.randint(0, 256, s, dtype=torch.uint8) for s in inputs.values())
    with torch.no_grad():
        torch.onnx.export(
            deployed,
            example,
            str(file),
            input_names=list(inputs),
            output_names=outputs,
            opset_version=17,
            dynamo=False,
        )
    onnx.checker.check_model(str(file), full_check=True)
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(8):
        light = rng.uniform(0.2, 1)
        given = {n: (rng.integers(0, 256, s) * light).astype(np.uint8) for n, s in inputs.items()}
        got = session.run(None, given)
        with torch.no_grad():
            wanted = deployed(*map(torch.from_numpy, given.values()))
        for g, w in zip(got, wanted, strict=True):
            difference = np.abs(g - w.numpy()).max() / max(1.0, float(w.abs().max()))
            worst = max(worst, float(difference))
    assert worst <= TOLERANCE, f'onnxruntime and torch differ by {worst:.1e}'
    print(f'onnxruntime and torch agree within {worst:.1e}')


def enter(file: Path, manifest: Path, name: str, changes: dict[str, Any]) -> None:
    """Set the entry of a model in the manifest, leaving the others as they are."""
    document: dict[str, Any] = {}
    if manifest.exists():
        document = yaml.safe_load(manifest.read_text(encoding='utf-8')) or {}
    models = document.setdefault('models', {})
    entry = models.setdefault(name, {})
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    entry.update({'file': file.name, 'sha256': digest, **changes})
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=98)
    manifest.write_text(text, encoding='utf-8')


COMMON: dict[str, Any] = {
    'training_data': 'open-licence face videos and face images with MediaPipe labels, animated '
    'photographs and renders (models/landmarks_pfld.md)',
    'licence': 'Apache-2.0; rights of the people in the training footage are not cleared',
}
PFLD_ENTRY: dict[str, Any] = {
    'task': '98 facial landmarks (WFLW order) with confidence, and the expression, of one face',
    'inputs': {'crop': f'uint8 (1, {CROP_PX}, {CROP_PX}, 3) BGR'},
    'preprocessing': {
        'crop_px': CROP_PX,
        'passes': 2,
        'first_weight': 0.3,
        'note': 'normalisation is inside; the second pass is on the upright crop',
    },
    'layout': 'wflw98',
    'outputs': {
        'points': 'float32 (1, 98, 2) x and y in crop edges',
        'confidence': 'float32 (1, 98) 0..1',
        'readings': 'float32 (1, 54) logits of 51 blendshapes, then yaw, pitch and roll [rad] of '
        'the head as the crop shows it',
    },
}
EYES_ENTRY: dict[str, Any] = {
    'task': 'lids, pupils and gaze of both eyes, larger than the landmark model sees them',
    'inputs': {'patches': f'uint8 (2, {PATCH_PX[1]}, {PATCH_PX[0]}, 3) BGR: right, mirrored left'},
    'preprocessing': {'note': 'patches are cut by kf_imitation/landmarks/patches.py'},
    'outputs': {
        'points': 'float32 (2, 9, 2) [patch px] eight lid points in WFLW order and the pupil',
        'readings': 'float32 (2, 7) logits of blink, wide, squint, look up, down, in and out',
    },
}
PARTS_ENTRY: dict[str, Any] = {
    'task': 'blendshapes of eyes, brows and mouth, read from patches',
    'inputs': {
        'eyes': f'uint8 (2, {EYE.size_px[1]}, {EYE.size_px[0]}) grey: right, mirrored left',
        'mouth': f'uint8 (1, {MOUTH.size_px[1]}, {MOUTH.size_px[0]}) grey',
    },
    'preprocessing': {'note': 'patches are cut by kf_imitation/landmarks/patches.py'},
    'outputs': {
        'eye_readings': f'float32 (2, {len(EYE_BLENDSHAPES)}) logits of '
        f'{", ".join(EYE_BLENDSHAPES)}',
        'mouth_readings': 'float32 (1, 30) logits of the blendshapes below',
    },
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--eyes', action='store_true', help='it is the eye model')
    parser.add_argument('--parts', action='store_true', help='it is the part model')
    parser.add_argument('--out', type=Path, help='default: models/NAME.onnx')
    arguments = parser.parse_args()
    name = EYES if arguments.eyes else PARTS if arguments.parts else NAME
    out = arguments.out or Path(f'models/{name}.onnx')
    of_publisher: dict[str, str] = {}
    if arguments.eyes:
        eyes, shape = DeployedEyes(load_eyes(arguments.checkpoint)), (2, *PATCH_PX[::-1], 3)
        export(eyes, out, {'patches': shape}, ['points', 'readings'])
    elif arguments.parts:
        parts = load_parts(arguments.checkpoint)
        shapes = {'eyes': (2, *EYE.size_px[::-1]), 'mouth': (1, *MOUTH.size_px[::-1])}
        export(DeployedParts(parts), out, shapes, ['eye_readings', 'mouth_readings'])
        small = onnx.load(out)
        pack_weights(small)
        onnx.save(small, out)
        order = parts.order[2 * len(EYE_BLENDSHAPES) :]
        PARTS_ENTRY['mouth'] = [CHANGE_NAMES[i] for i in order]
    else:
        model = load(arguments.checkpoint)
        outputs = PFLD_ENTRY['outputs']
        if isinstance(model, PFLD):
            deployed: nn.Module = Deployed(model)
        else:
            deployed, name = DeployedPublished(model), out.stem
            saved = torch.load(arguments.checkpoint, map_location='cpu', weights_only=False)
            of_publisher = saved.get('entry', {})
            outputs = {'points': outputs['points']}
            PFLD_ENTRY.update(task='98 facial landmarks (WFLW order) of one face', outputs=outputs)
        export(deployed, out, {'crop': (1, CROP_PX, CROP_PX, 3)}, list(outputs))
    entry = {EYES: EYES_ENTRY, PARTS: PARTS_ENTRY}.get(name, PFLD_ENTRY)
    enter(out, out.parent / 'manifest.yaml', name, entry | COMMON | of_publisher)


if __name__ == '__main__':
    main()
