"""What the training loops share: their length, draws by weight and averaged weights."""

import argparse
import math
import time
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Sampler

from training.interrupt import Interrupt


def add_length_options(parser: argparse.ArgumentParser, minutes: float) -> None:
    """Declare --minutes and --steps."""
    parser.add_argument('--minutes', type=float, default=minutes, help='length of the training')
    parser.add_argument(
        '--steps', type=int, help='length instead of --minutes; such a run can be repeated exactly'
    )


class Schedule:
    """How far a training is, by the clock or by its steps, and its learning rate.

    Args:
        options: of add_length_options.
        step: steps that were done before.
        spent_s: time that they took [s].

    Ctrl-C ends it early.
    """

    def __init__(self, options: argparse.Namespace, step: int = 0, spent_s: float = 0.0) -> None:
        self._interrupt = Interrupt()
        self._steps, self._budget_s = options.steps, 60 * options.minutes
        self._begun_s = time.monotonic() - spent_s
        self.step = step

    @property
    def spent_s(self) -> float:
        """Time of the training so far, without pauses [s]."""
        return time.monotonic() - self._begun_s

    def pause(self, seconds: float) -> None:
        """Leave time out that was spent on something else, such as a validation."""
        self._begun_s += seconds

    @property
    def done(self) -> float:
        """Part of the training that is over, 0..1."""
        if self._interrupt.pressed:
            return 1.0
        if self._steps:
            return min(1.0, self.step / self._steps)
        return min(1.0, self.spent_s / self._budget_s) if self._budget_s else 1.0

    def set_rate(
        self, optimiser: torch.optim.Optimizer, peak: float, warm_steps: int, least: float
    ) -> float:
        """Let the learning rate rise for some steps, then fall as a cosine.

        Args:
            optimiser: whose rate is set.
            peak: highest rate.
            warm_steps: that it takes to rise.
            least: what is left at the end, as a fraction of the peak.

        Returns:
            The rate.
        """
        warm = min(1.0, (self.step + 1) / warm_steps)
        fall = 0.5 * (1 + math.cos(math.pi * self.done))
        rate = peak * warm * (least + (1 - least) * fall)
        for group in optimiser.param_groups:
            group['lr'] = rate
        return rate


class WeightedDraws(Sampler[int]):
    """Endless draws by weight.

    Args:
        indices: (n,) what is drawn.
        weight: (n,) how often, in any unit.
        seed: of the draws.
    """

    def __init__(self, indices: NDArray[np.int64], weight: NDArray[np.float64], seed: int) -> None:
        self._indices, self._chance = indices, weight / weight.sum()
        self._rng = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[int]:
        while True:
            drawn = self._rng.choice(len(self._indices), 4096, p=self._chance)
            yield from self._indices[drawn].tolist()


def held_out_people(group: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Choose every tenth person, by name, for the choice of weights and settings.

    Args:
        group: (n,) of each sample, `<kind>:<person>`; renders and animated photographs are never
            held out.

    Returns:
        (n,) true for the samples of those people.
    """
    names = sorted({g for g in group.tolist() if not g.startswith(('render:', 'animated:'))})
    return np.isin(group, names[3::10])


def balanced_weights(
    group: NDArray[np.str_], rarity: NDArray[np.float64], fractions: Mapping[str, float]
) -> NDArray[np.float64]:
    """Weigh samples so that people even out and rare states come up.

    Args:
        group: (n,) of each sample, `<kind>:<person>`.
        rarity: (n,) weight of a sample within its group.
        fractions: of the draws, by kind.

    Returns:
        (n,) weights.
    """
    weight = np.zeros(len(group))
    for name in set(group.tolist()):
        mine = group == name
        weight[mine] = rarity[mine] * mine.sum() ** -0.5
    kinds = np.array([g.split(':')[0] for g in group.tolist()])
    for kind, fraction in fractions.items():
        mine = kinds == kind
        if mine.any():
            weight[mine] *= fraction / weight[mine].sum()
    return weight


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
