"""Train the confidence head of a trained PFLD; the points stay as they are.

    .venv/bin/python -m training.landmarks.train_confidence runs/landmarks/best.pt --minutes 8

Writes runs/landmarks/final.pt, which training/landmarks/export.py takes.
"""

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from training.landmarks import losses
from training.landmarks.model import PFLD, PFLDConfig
from training.landmarks.train import Cache, Draws, normalise


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--cache', type=Path, nargs='+', default=[Path('data/landmarks')])
    parser.add_argument('--out', type=Path, default=Path('runs/landmarks/final.pt'))
    parser.add_argument('--minutes', type=float, default=8)
    parser.add_argument('--batch', type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    saved = torch.load(arguments.checkpoint, map_location='cpu', weights_only=False)
    model = PFLD(PFLDConfig(**saved['config'])).to(memory_format=torch.channels_last).eval()
    weights = {k: v for k, v in saved['average'].items() if not k.startswith('scale.')}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.startswith('sure.') for name in missing)
    data = Cache(arguments.cache)
    index = np.flatnonzero(~data.held_out())
    loader = DataLoader(
        data, arguments.batch, sampler=Draws(index, data.weights()[index]), num_workers=1
    )
    optimiser = torch.optim.AdamW(model.sure.parameters(), lr=1e-3, weight_decay=1e-3)
    begun, total = time.monotonic(), 0.0
    for step, (crops, truth, _, _, visible) in enumerate(loader, 1):
        done = (time.monotonic() - begun) / (60 * arguments.minutes)
        for group in optimiser.param_groups:
            group['lr'] = 1e-3 * max(0.02, 0.5 * (1 + np.cos(np.pi * min(1.0, done))))
        with torch.no_grad():
            # The features come without gradient; only the head below is trained.
            early = model.early(model.stem(normalise(crops)))
            features = model.features(early)
            points = model.points(features).view(-1, 98, 2)
        loss = losses.confidence_loss(model.sure(features), points, truth, visible)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += float(loss.detach())
        if step % 50 == 0 or done >= 1:
            print(
                f'{step} {60 * arguments.minutes * done:.0f} s loss {total / 50:.4f}', flush=True
            )
            total = 0.0
            saved['average'] = model.state_dict()
            torch.save(saved, arguments.out.with_suffix('.tmp'))
            os.replace(arguments.out.with_suffix('.tmp'), arguments.out)
        if done >= 1:
            break


if __name__ == '__main__':
    main()
