r"""Make a smaller network of a trained one: what both have keeps its weights.

    python -m training.keyframe.export.import_from_onnx models/keyframe_default.onnx \
        --config OLD.yaml --out runs/shipped_default.ckpt
    python -m training.keyframe.export.shrink runs/shipped_default.ckpt \
        --config training/keyframe/train/configs/default.yaml --out runs/small_default/last.ckpt

Where the smaller network lacks an input of a layer, that counts as 0. Printed is by how much its
answers differ on the people that the configuration holds out; a network that differs by more than
a few hundredths has to be trained on (`training.keyframe.train --start`).
"""

import argparse
import json
import os
import sys
from pathlib import Path

import torch
from torch import Tensor

from training.keyframe.export.quantise import calibration_crops
from training.keyframe.export.run import load_network
from training.keyframe.networks.fusion import KeyframeNet, grow, normalise
from training.keyframe.train.config import TrainConfig


@torch.no_grad()
def answers(net: KeyframeNet, cache: Path, stems: list[str]) -> Tensor:
    """Return (N, 54) change vectors of neighbouring crops of cached clips."""
    found = []
    for crops in calibration_crops(cache, stems, net.crop_px):
        images = normalise(torch.from_numpy(crops))
        found.append(net(images[1:], images[:-1]).change)
    return torch.cat(found)


def main() -> int:
    """Write a checkpoint for `--start` and for the export; 2 for what does not fit."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--config', type=Path, required=True, help='of the smaller network')
    parser.add_argument('--cache', type=Path, default=Path('data/clips'))
    parser.add_argument('--out', type=Path, required=True)
    arguments = parser.parse_args()
    config = TrainConfig.load(arguments.config)
    large, small = load_network(arguments.checkpoint), KeyframeNet(**config.network).eval()
    grow(small, large.state_dict(), large.joined)
    try:
        own, wanted = (answers(n, arguments.cache, config.hold_out) for n in (small, large))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    saved = torch.load(arguments.checkpoint, map_location='cpu', weights_only=False)
    saved = saved | {
        'state_dict': {f'mean_net.{k}': v for k, v in small.state_dict().items()},
        'network': config.network,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_suffix('.tmp')
    torch.save(saved, temporary)
    os.replace(temporary, arguments.out)
    # The export looks there for who was held out.
    held = {'hold_out': config.hold_out}
    arguments.out.with_name('config.json').write_text(json.dumps(held), encoding='utf-8')
    apart = float((own - wanted).norm() / wanted.norm())
    print(f'{arguments.out}: change vectors differ by {apart:.4f} of their size')
    return 0


if __name__ == '__main__':
    sys.exit(main())
