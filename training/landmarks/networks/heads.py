"""What the trainings of single heads share: a trained PFLD whose features stay as they are.

The features of disturbed crops are computed once and scaled evenly; the head learns on those, and
its first layer takes the scaling in at the end.
"""

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from training.landmarks.networks.pfld import PFLD, PFLDConfig
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
    model = PFLD(PFLDConfig(**saved['config'])).to(memory_format=torch.channels_last).eval()
    left_out = ('scale', *without)
    weights = {k: v for k, v in saved['average'].items() if k.split('.')[0] not in left_out}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.split('.')[0] in fresh for name in missing)
    return saved, model


@torch.no_grad()
def features_of(
    model: PFLD,
    loader: DataLoader,  # type: ignore[type-arg]
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
