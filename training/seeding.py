"""One seed for everything that a training draws."""

import argparse
import random

import numpy as np
import torch

DEFAULT_SEED = 1


def add_seed_option(parser: argparse.ArgumentParser) -> None:
    """Declare --seed."""
    parser.add_argument(
        '--seed', type=int, default=DEFAULT_SEED, help='of weights and samples, saved with them'
    )


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, and print the seed.

    Workers of a DataLoader made afterwards seed all three from torch's generator, each its own.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    print(f'seed {seed}', flush=True)
