"""Train the expression head of a trained PFLD; points and confidence stay as they are.

    .venv/bin/python -m training.landmarks.train.expression runs/landmarks/final.pt

The features of disturbed crops are computed once; the head (51 blendshapes, three angles) is then
trained on them. How long is chosen on held-out training people, whose undisturbed crops are
measured after every epoch. Writes --out, which training/landmarks/export/run.py takes.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from training.landmarks.train import losses
from training.landmarks.train.data import BLENDSHAPES
from training.landmarks.train.heads import (
    features_of,
    fold_scaling,
    open_trained,
    train_head,
)
from training.landmarks.train.run import Cache
from training.loop import WeightedDraws
from training.seeding import add_seed_option, seed_everything

# Blendshapes, angles and state in an item of the cache.
LABELS = (5, 2, 3)
SHOWN = ('jawOpen', 'eyeBlinkLeft', 'mouthSmileLeft', 'mouthPucker', 'browInnerUp')


def fit_of(predictions: Tensor, blendshapes: Tensor, angles: Tensor) -> str:
    """Correlation with the labels over all held-out faces, for people to read."""
    seen = predictions[:, :-3].sigmoid()
    pairs = [(n, seen[:, BLENDSHAPES.index(n)], blendshapes[:, BLENDSHAPES.index(n)])
             for n in SHOWN]  # fmt: skip
    pairs += [
        (n, predictions[:, k - 3], angles[:, k]) for k, n in enumerate(('yaw', 'pitch', 'roll'))
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
    add_seed_option(parser)
    arguments = parser.parse_args()
    seed_everything(arguments.seed)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    saved, model = open_trained(arguments.checkpoint, 'read', 'sure', without=('read',))
    data = Cache(arguments.cache)
    data.cover = 0.15
    held = data.held_out()
    index = np.flatnonzero(~held)
    draws = WeightedDraws(index, data.weights()[index], arguments.seed)
    loader = DataLoader(data, 64, sampler=draws, num_workers=1)
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
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, arguments.epochs, 1e-5)

    def loss_of(pick: Tensor) -> Tensor:
        return losses.prediction_loss(
            head(features[pick]), blendshapes[pick], angles[pick], state[pick]
        )

    def evaluate() -> tuple[float, str]:
        found = head(apart)
        return float(losses.prediction_loss(found, *kept[1:])), fit_of(found, kept[1], kept[2])

    every = torch.arange(len(features))
    train_head(head, optimiser, loss_of, evaluate, every, 256, arguments.epochs, schedule)
    fold_scaling(head[1], middle, spread)
    saved |= {'average': model.state_dict(), 'seed': arguments.seed}
    torch.save(saved, arguments.out)


if __name__ == '__main__':
    main()
