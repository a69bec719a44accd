"""Export PFLD to ONNX, check the file against torch, enter it in models/manifest.yaml.

.venv/bin/python -m training.landmarks.export runs/landmarks/final.pt
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

from training.landmarks.model import CROP_PX, PFLD, PFLDConfig

TOLERANCE = 2e-4  # crop edges, a fiftieth of a pixel
NAME = 'landmarks_pfld'
LOW, HIGH = 0.2, 0.8


class Deployed(nn.Module):
    """PFLD with normalisation before it and the confidence spread over 0..1 after it.

    The head's sigmoid has its middle at 0.33 for covered and at 0.83 for free points; LOW to HIGH
    of it become 0 to 1, so that the default `minimum_confidence` lies between the two.
    """

    def __init__(self, model: PFLD) -> None:
        super().__init__()
        self.model = model

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 112, 112, 3) uint8 BGR to points (1, 98, 2) and confidence (1, 98)."""
        x = crop.permute(0, 3, 1, 2).float() / 127.5 - 1
        points, logits, _ = self.model(x)
        return points, ((torch.sigmoid(logits) - LOW) / (HIGH - LOW)).clamp(0, 1)


def load(checkpoint: Path) -> PFLD:
    """The averaged weights of a training run, ready to run."""
    saved = torch.load(checkpoint, map_location='cpu', weights_only=False)
    model = PFLD(PFLDConfig(**saved['config']))
    model.load_state_dict(saved['average'])
    return model.eval()


def export(model: PFLD, file: Path) -> None:
    """Write an ONNX file and check it.

    Raises:
        AssertionError: onnxruntime and torch disagree by more than the tolerance.
    """
    deployed = Deployed(model).eval()
    example = torch.randint(0, 256, (1, CROP_PX, CROP_PX, 3), dtype=torch.uint8)
    with torch.no_grad():
        torch.onnx.export(
            deployed,
            (example,),
            str(file),
            input_names=['crop'],
            output_names=['points', 'confidence'],
            opset_version=17,
            dynamo=False,
        )
    onnx.checker.check_model(str(file), full_check=True)
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(8):
        crop = rng.integers(0, 256, (1, CROP_PX, CROP_PX, 3), dtype=np.uint8)
        crop = (crop * rng.uniform(0.2, 1)).astype(np.uint8)
        got = session.run(None, {'crop': crop})
        with torch.no_grad():
            wanted = deployed(torch.from_numpy(crop))
        worst = max(
            worst, *(float(np.abs(g - w.numpy()).max()) for g, w in zip(got, wanted, strict=True))
        )
    assert worst <= TOLERANCE, f'onnxruntime and torch differ by {worst:.1e}'
    print(f'onnxruntime and torch agree within {worst:.1e}')


def enter(file: Path, manifest: Path, changes: dict[str, Any]) -> None:
    """Set the entry of this model in the manifest, leaving the others as they are."""
    document = {}
    if manifest.exists():
        document = yaml.safe_load(manifest.read_text(encoding='utf-8')) or {}
    models = document.setdefault('models', {})
    entry = models.setdefault(NAME, {})
    entry.update(
        {
            'file': file.name,
            'sha256': hashlib.sha256(file.read_bytes()).hexdigest(),
            'task': '98 facial landmarks (WFLW order) with confidence of one face region',
            'inputs': {'crop': f'uint8 (1, {CROP_PX}, {CROP_PX}, 3) BGR'},
            'preprocessing': {
                'crop_px': CROP_PX,
                'looks': 2,
                'note': 'normalisation is inside; the second look is on the upright crop',
            },
            'layout': 'wflw98',
            'outputs': {
                'points': 'float32 (1, 98, 2) x and y in crop edges',
                'confidence': 'float32 (1, 98) 0..1',
            },
            **changes,
        }
    )
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=98)
    manifest.write_text(text, encoding='utf-8')


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--out', type=Path, default=Path('models/landmarks_pfld.onnx'))
    arguments = parser.parse_args()
    export(load(arguments.checkpoint), arguments.out)
    enter(
        arguments.out,
        arguments.out.parent / 'manifest.yaml',
        {
            'training_data': 'open-licence face videos and face images with MediaPipe labels '
            '(models/landmarks_pfld.md)',
            'licence': 'Apache-2.0; rights of the people in the training footage are not cleared',
        },
    )


if __name__ == '__main__':
    main()
