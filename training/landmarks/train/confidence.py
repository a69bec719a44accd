"""Train the confidence head of a trained PFLD; the points stay as they are.

    .venv/bin/python -m training.landmarks.train.confidence runs/landmarks/best.pt

The features of disturbed crops, half of them partly covered, are computed once; the head is then
trained on them, with a tenth kept aside to stop in time. Writes runs/landmarks/final.pt, which
training/landmarks/export/run.py takes.
"""

import argparse
import copy
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from training.landmarks.networks.heads import features_of, fold_scaling, open_trained
from training.landmarks.train import losses
from training.landmarks.train.loop import Draws
from training.landmarks.train.run import Cache

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
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    saved, model = open_trained(arguments.checkpoint, 'sure')
    data = Cache(arguments.cache)
    data.cover = 0.6
    index = np.flatnonzero(~data.held_out())
    loader = DataLoader(
        data, arguments.batch, sampler=Draws(index, data.weights()[index]), num_workers=1
    )
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
    best, best_state = float('inf'), copy.deepcopy(head.state_dict())
    for epoch in range(arguments.epochs):
        order = torch.randperm(len(features) - kept) + kept
        for pick in order.split(128):
            noisy = torch.nn.functional.dropout(scaled[pick], 0.3)
            loss = losses.confidence_loss(head(noisy), points[pick], truth[pick], visible[pick])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            aside = slice(0, kept)
            value = float(
                losses.confidence_loss(
                    head(scaled[aside]), points[aside], truth[aside], visible[aside]
                )
            )
            seen = torch.sigmoid(head(scaled[aside]))
            covered = float(seen[visible[aside] < 0.5].median())
            free = float(seen[visible[aside] > 0.5].median())
        print(f'epoch {epoch}: {value:.4f}, covered {covered:.2f}, free {free:.2f}', flush=True)
        if value < best:
            best, best_state = value, copy.deepcopy(head.state_dict())
    head.load_state_dict(best_state)
    fold_scaling(head[0], middle, spread)
    saved['average'] = model.state_dict()
    torch.save(saved, arguments.out)


if __name__ == '__main__':
    main()
