"""Train the confidence head of a trained PFLD; the points stay as they are.

    .venv/bin/python -m training.landmarks.train.confidence runs/landmarks/best.pt

The features of disturbed crops, half of them partly covered, are computed once; the head is then
trained on them, with a tenth kept aside to stop in time. Writes runs/landmarks/final.pt, which
training/landmarks/export/run.py takes.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from training.landmarks.train import losses
from training.landmarks.train.heads import (
    features_of,
    fold_scaling,
    open_trained,
    train_head,
)
from training.landmarks.train.run import Cache
from training.loop import WeightedDraws
from training.seeding import add_seed_option, seed_everything

# Points and what is seen of them in an item of the cache.
LABELS = (1, 4)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--cache', type=Path, nargs='+', default=[Path('data/landmarks')])
    parser.add_argument('--out', type=Path, default=Path('runs/landmarks/final.pt'))
    parser.add_argument('--samples', type=int, default=8000)
    parser.add_argument('--minutes', type=float, default=30, help='most for the features')
    parser.add_argument('--epochs', type=int, default=60)
    parser.add_argument('--batch', type=int, default=64)
    add_seed_option(parser)
    arguments = parser.parse_args()
    seed_everything(arguments.seed)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    saved, model = open_trained(arguments.checkpoint, 'sure')
    data = Cache(arguments.cache)
    data.cover = 0.6
    index = np.flatnonzero(~data.held_out())
    draws = WeightedDraws(index, data.weights()[index], arguments.seed)
    loader = DataLoader(data, arguments.batch, sampler=draws, num_workers=1)
    features, truth, visible = features_of(
        model, loader, LABELS, arguments.samples, arguments.minutes
    )
    with torch.no_grad():
        points = model.points(features).view(-1, 98, 2)
    kept = len(features) // 10
    print(f'{len(features)} crops, {100 * float(1 - visible.mean()):.1f} % of the points covered')
    head = model.sure
    middle, spread = features.mean(0), features.std(0) + 1e-3
    scaled = (features - middle) / spread
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.1)
    aside = torch.arange(kept)

    def loss_of(pick: torch.Tensor, drop: float = 0.3) -> torch.Tensor:
        confidence = head(torch.nn.functional.dropout(scaled[pick], drop))
        return losses.confidence_loss(confidence, points[pick], truth[pick], visible[pick])

    def evaluate() -> tuple[float, str]:
        found = torch.sigmoid(head(scaled[aside]))
        covered = float(found[visible[aside] < 0.5].median())
        free = float(found[visible[aside] > 0.5].median())
        return float(loss_of(aside, 0.0)), f'covered {covered:.2f}, free {free:.2f}'

    rest = torch.arange(kept, len(features))
    train_head(head, optimiser, loss_of, evaluate, rest, 128, arguments.epochs)
    fold_scaling(head[0], middle, spread)
    saved |= {'average': model.state_dict(), 'seed': arguments.seed}
    torch.save(saved, arguments.out)


if __name__ == '__main__':
    main()
