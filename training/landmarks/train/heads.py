"""What the trainings of single heads share: a trained PFLD whose features stay as they are.

The features of disturbed crops are computed once and scaled evenly; the head learns on those, and
its first layer takes the scaling in at the end.
"""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from training.landmarks.networks.pfld import PFLD, PFLDConfig
from training.landmarks.networks.published_pfld import is_published
from training.landmarks.train.run import normalise


def open_trained(
    checkpoint: Path, *fresh: str, without: tuple[str, ...] = ()
) -> tuple[dict[str, Any], PFLD]:
    """Open a checkpoint of training/landmarks/train/run.py.

    Args:
        checkpoint: to read.
        fresh: heads that it may lack.
        without: heads whose weights are not taken.

    Returns:
        What was saved, and the averaged network in eval mode.
    """
    saved = torch.load(checkpoint, map_location='cpu', weights_only=False)
    if is_published(saved['config']):
        raise SystemExit(f'{checkpoint}: the published PFLD has points alone, no other head')
    model = PFLD(PFLDConfig(**saved['config'])).to(memory_format=torch.channels_last).eval()
    left_out = ('scale', *without)
    weights = {k: v for k, v in saved['average'].items() if k.split('.')[0] not in left_out}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.split('.')[0] in fresh for name in missing)
    return saved, model


@torch.no_grad()
def features_of(
    model: PFLD,
    loader: DataLoader[Any],
    wanted: tuple[int, ...],
    most: int,
    minutes: float,
) -> list[Tensor]:
    """Features of crops until there are enough.

    Args:
        model: whose features.
        loader: batches of training/landmarks/train/run.py's Cache.
        wanted: places in an item of what else to return.
        most: crops.
        minutes: most time.
    """
    rows: list[tuple[Tensor, ...]] = []
    begun, count = time.monotonic(), 0
    for batch in loader:
        features = model.features(model.early(model.stem(normalise(batch[0]))))
        rows.append((features, *(batch[place] for place in wanted)))
        count += len(features)
        if count >= most or time.monotonic() - begun > 60 * minutes:
            break
    return [torch.cat(part) for part in zip(*rows, strict=True)]


@torch.no_grad()
def fold_scaling(first: nn.Linear, middle: Tensor, spread: Tensor) -> None:
    """Let a layer trained on (x - middle) / spread take x."""
    first.bias -= first.weight @ (middle / spread)
    first.weight /= spread


def train_head(
    head: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of: Callable[[Tensor], Tensor],
    evaluate: Callable[[], tuple[float, str]],
    samples: Tensor,
    batch: int,
    epochs: int,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
) -> None:
    """Train a head and leave it with the weights of its best epoch.

    Args:
        head: to train.
        optimiser: of its weights.
        loss_of: loss of some of the samples.
        evaluate: error on what is kept aside, and the figures to print with it.
        samples: (n,) indices to train on.
        batch: samples in a step.
        epochs: passes over the samples.
        schedule: of the learning rate, by epochs.
    """
    best, best_state = float('inf'), copy.deepcopy(head.state_dict())
    for epoch in range(epochs):
        head.train()
        for pick in samples[torch.randperm(len(samples))].split(batch):
            loss = loss_of(pick)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        if schedule is not None:
            schedule.step()
        head.eval()
        with torch.no_grad():
            value, figures = evaluate()
        print(f'epoch {epoch}: {value:.4f} {figures}', flush=True)
        if value < best:
            best, best_state = value, copy.deepcopy(head.state_dict())
    head.load_state_dict(best_state)
