"""What the training loops of this folder share: draws by weight and averaged weights."""

import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Sampler


class Draws(Sampler[int]):
    """Endless draws by weight."""

    def __init__(self, indices: NDArray[np.int64], weight: NDArray[np.float64]) -> None:
        self.indices, self.share = indices, weight / weight.sum()

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng(time.time_ns())
        while True:
            yield from self.indices[rng.choice(len(self.indices), 4096, p=self.share)].tolist()


@torch.no_grad()
def average_into(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move averaged weights towards the newest, faster in the first steps."""
    keep = min(0.998, step / (step + 20))
    pairs = zip(average.state_dict().values(), model.state_dict().values(), strict=True)
    for mine, theirs in pairs:
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1 - keep)
        else:
            mine.copy_(theirs)
