"""Train the expression head of a trained PFLD; points and confidence stay as they are.

    .venv/bin/python -m training.landmarks.train.expression runs/landmarks/final.pt

The features of disturbed crops are computed once; the head (51 blendshapes, three angles) is then
trained on them. How long is chosen on held-out training people, whose undisturbed crops are
measured after every epoch. Writes --out, which training/landmarks/export/run.py takes.
"""

import argparse
import copy
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from training.landmarks.networks.heads import features_of, fold_scaling, open_trained
from training.landmarks.train import losses
from training.landmarks.train.data import BLENDSHAPES
from training.landmarks.train.loop import Draws
from training.landmarks.train.run import Cache

# Blendshapes, angles and state in an item of the cache.
LABELS = (5, 2, 3)
SHOWN = ('jawOpen', 'eyeBlinkLeft', 'mouthSmileLeft', 'mouthPucker', 'browInnerUp')


def fit_of(readings: Tensor, blendshapes: Tensor, angles: Tensor) -> str:
    """Correlation with the labels over all held-out faces, for people to read."""
    seen = readings[:, :-3].sigmoid()
    pairs = [(n, seen[:, BLENDSHAPES.index(n)], blendshapes[:, BLENDSHAPES.index(n)])
             for n in SHOWN]  # fmt: skip
    pairs += [
        (n, readings[:, k - 3], angles[:, k]) for k, n in enumerate(('yaw', 'pitch', 'roll'))
    ]
    return ' '.join(f'{n} {np.corrcoef(a.numpy(), b.numpy())[0, 1]:.3f}' for n, a, b in pairs)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--cache', type=Path, nargs='+', default=[Path('data/landmarks')])
    parser.add_argument('--out', type=Path, default=Path('runs/landmarks/expression.pt'))
    parser.add_argument('--samples', type=int, default=20000)
    parser.add_argument('--minutes', type=float, default=30, help='most for the features')
    parser.add_argument('--epochs', type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    saved, model = open_trained(arguments.checkpoint, 'read', 'sure', without=('read',))
    data = Cache(arguments.cache)
    data.cover = 0.15
    held = data.held_out()
    index = np.flatnonzero(~held)
    loader = DataLoader(data, 64, sampler=Draws(index, data.weights()[index]), num_workers=1)
    features, blendshapes, angles, state = features_of(
        model, loader, LABELS, arguments.samples, arguments.minutes
    )
    data.clean = True
    aside = np.random.default_rng(0).permutation(np.flatnonzero(held))[:800]
    quiet = DataLoader(Subset(data, aside.tolist()), 64)
    kept = features_of(model, quiet, LABELS, len(aside), arguments.minutes)
    print(f'{len(features)} crops, {len(kept[0])} of held-out people', flush=True)
    middle, spread = features.mean(0), features.std(0) + 1e-3
    features, apart = (features - middle) / spread, (kept[0] - middle) / spread
    head = model.read
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.05)
    best, best_state = float('inf'), copy.deepcopy(head.state_dict())
    for epoch in range(arguments.epochs):
        head.train()
        for group in optimiser.param_groups:
            group['lr'] = 1e-3 * 0.5 * (1 + np.cos(np.pi * epoch / arguments.epochs)) + 1e-5
        for pick in torch.randperm(len(features)).split(256):
            loss = losses.reading_loss(
                head(features[pick]), blendshapes[pick], angles[pick], state[pick]
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        head.eval()
        with torch.no_grad():
            readings = head(apart)
            value = float(losses.reading_loss(readings, *kept[1:]))
        print(f'epoch {epoch}: {value:.4f} {fit_of(readings, kept[1], kept[2])}', flush=True)
        if value < best:
            best, best_state = value, copy.deepcopy(head.state_dict())
    head.load_state_dict(best_state)
    fold_scaling(head[1], middle, spread)
    saved['average'] = model.state_dict()
    torch.save(saved, arguments.out)


if __name__ == '__main__':
    main()
