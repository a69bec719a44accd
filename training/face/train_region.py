"""Train the network that centres the face region, and write models/face_region.onnx.

    python -m training.face.train_region --data ../shared/data --steps 6000

About 8 minutes on one core. Trained on the train clips and train face images; the error on dev is
printed beside it. The entry of models/manifest.yaml is replaced.
"""

import argparse
import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from kf_imitation.face.region_network import CROP_PX, CROP_REGIONS, MODEL
from training.face.region_data import draw, load_tiles
from training.seeding import add_seed_option, seed_everything


class RegionNet(nn.Module):
    """Four small convolutions and two linear layers; 110 k parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(24, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 40, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(40 * 25, 96),
            nn.ReLU(),
        )
        self.offset = nn.Linear(96, 3)
        self.face = nn.Linear(96, 1)

    def forward(self, crop: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 1, 40, 40) uint8 to offset (n, 3) and face logit (n, 1)."""
        x = crop.to(torch.float32)
        x = x - x.mean(dim=(1, 2, 3), keepdim=True)
        x = x / (x.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() + 8.0)
        x = self.body(x)
        return 0.1 * self.offset(x), self.face(x)


class Exported(nn.Module):
    """With the logit as 0..1."""

    def __init__(self, net: RegionNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, crop: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As RegionNet, confidence (n, 1) 0..1."""
        offset, face = self.net(crop)
        return offset, torch.sigmoid(face)


def train(data: Path, steps: int, batch: int, seed: int) -> tuple[RegionNet, str]:
    """Adam with one cosine from 2e-3 to 0; Huber loss on near crops, cross entropy on all."""
    seed_everything(seed)
    rng = np.random.default_rng(seed)
    groups = load_tiles(data, 'train', 60)
    checks = draw(load_tiles(data, 'dev', 30), np.random.default_rng(1), 3000, plain=True)
    print(f'{sum(map(len, groups))} faces in {len(groups)} groups')
    net = RegionNet()
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    start = time.monotonic()
    measured = ''
    for step in range(1, steps + 1):
        crops, targets, faces = (torch.from_numpy(a) for a in draw(groups, rng, batch))
        offset, logit = net(crops)
        near = faces == 1
        loss = 20 * nn.functional.huber_loss(offset[near], targets[near], delta=0.05)
        sure = faces != 0.5
        loss = loss + 0.02 * nn.functional.binary_cross_entropy_with_logits(
            logit[sure, 0], faces[sure]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 500 == 0 or step == steps:
            with torch.no_grad():
                found = net(torch.from_numpy(checks[0]))[0].numpy()
            error = np.abs(found - checks[1]).mean(axis=0)
            measured = (
                f'mean error of one pass: x {error[0]:.4f}, y {error[1]:.4f} sizes, '
                f'log size {error[2]:.4f}'
            )
            seconds = time.monotonic() - start
            print(f'step {step}  loss {loss.item():.4f}  {measured}  {seconds:.0f} s', flush=True)
    return net, measured


def export(net: RegionNet, path: Path) -> None:
    """Write the ONNX file and compare it with the network on fixed noise."""
    import onnx
    import onnxruntime

    model = Exported(net).eval()
    example = torch.randint(0, 255, (1, 1, CROP_PX, CROP_PX), dtype=torch.uint8)
    torch.onnx.export(
        model,
        (example,),
        str(path),
        input_names=['crop'],
        output_names=['offset', 'confidence'],
        dynamo=False,
        opset_version=17,
    )
    onnx.checker.check_model(onnx.load(str(path)))
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    for _ in range(20):
        crop = np.random.default_rng(0).integers(0, 256, (1, 1, CROP_PX, CROP_PX), np.uint8)
        with torch.no_grad():
            wanted = [t.numpy() for t in model(torch.from_numpy(crop))]
        for a, b in zip(wanted, session.run(None, {'crop': crop}), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def manifest_entry(path: Path, measured: str) -> dict[str, Any]:
    """Return the section of models/manifest.yaml."""
    return {
        'file': path.name,
        'sha256': hashlib.sha256(path.read_bytes()).hexdigest(),
        'task': 'centre and size of the face region in a crop around it, and whether it is a face',
        'inputs': {'crop': f'uint8 (1, 1, {CROP_PX}, {CROP_PX}) grey'},
        'preprocessing': {
            'crop_px': CROP_PX,
            'crop_regions': CROP_REGIONS,
            'note': 'linear to twice the size, then mean; normalisation is inside',
        },
        'outputs': {
            'offset': 'float32 (1, 3): centre of the canonical region minus that of the crop, in'
            ' supposed sizes, and the log of true over supposed size',
            'confidence': 'float32 (1, 1) 0..1',
        },
        'training_data': 'open-licence face videos and face images with MediaPipe labels (train)',
        'licence': 'Apache-2.0; rights of the people in the training footage are not cleared',
        'measured': {
            'dev': measured,
            'command': 'python -m training.face.train_region; python benchmark/face.py'
            ' ../shared/data/clips/dev',
        },
    }


def enter(path: Path, manifest: Path, measured: str) -> None:
    """Set the entry of the manifest; the others stay as they are."""
    document = yaml.safe_load(manifest.read_text(encoding='utf-8')) if manifest.exists() else None
    document = document or {'models': {}}
    document['models'][MODEL] = manifest_entry(path, measured)
    text = yaml.safe_dump(document, sort_keys=False, width=99, allow_unicode=True)
    manifest.write_text(text, encoding='utf-8')


def main() -> None:
    """Train and export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, default=Path('../shared/data'))
    parser.add_argument('--steps', type=int, default=6000)
    parser.add_argument('--batch', type=int, default=96)
    add_seed_option(parser)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--out', type=Path, default=Path('models/face_region.onnx'))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    net, measured = train(arguments.data, arguments.steps, arguments.batch, arguments.seed)
    export(net, arguments.out)
    enter(arguments.out, arguments.out.parent / 'manifest.yaml', measured)


if __name__ == '__main__':
    main()
