"""Take published weights of PFLD as a start for training, or to export as they are.

    python -m training.landmarks.train.import_published checkpoint.pth.tar --out runs/published.pt
    python -m training.landmarks.export runs/published.pt --out models/landmarks_paper.onnx
    python -m training.landmarks.train --paper --start runs/published.pt --out runs/paper

Takes the file of the public PyTorch version (github.com/polarisZhao/PFLD-pytorch).
"""

import argparse
import os
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.landmarks.networks.published_pfld import PublishedPFLD, PublishedPoseBranch

BACKBONES = ('pfld_backbone', 'plfd_backbone')  # the older files misspell it
BRANCH = 'auxiliarynet'
# Of a convolution and the norm after it in an inverted residual, theirs and ours.
RESIDUAL = ((0, '0.0'), (1, '0.1'), (3, '1.0'), (4, '1.1'), (6, '2'), (7, '3'))
UNUSED = 'bn8.'
# Of the manifest, in place of what is said of our own trainings.
ENTRY = {
    'training_data': 'WFLW, by the publisher of the weights',
    'licence': 'that of the publisher of the weights',
}


def backbone_names() -> Iterator[tuple[str, str]]:
    """Yield published and own names of the layers of the network."""
    for i in (1, 2):
        yield f'conv{i}', f'stem.{i - 1}.0'
        yield f'bn{i}', f'stem.{i - 1}.1'
    blocks = {'conv3_1': 'early.0', 'conv4_1': 'late.0', 'conv5_1': 'late.1', 'conv6_1': 'slim'}
    blocks |= {f'block3_{i}': f'early.{i - 1}' for i in range(2, 6)}
    blocks |= {f'block5_{i}': f'late.{i}' for i in range(2, 7)}
    for theirs, ours in blocks.items():
        yield from ((f'{theirs}.conv.{a}', f'{ours}.body.{b}') for a, b in RESIDUAL)
    yield from ((f'conv7.{i}', f'pyramid.{i}') for i in (0, 1))
    yield from (('conv8', 'top.0'), ('fc', 'points'))


def branch_names() -> Iterator[tuple[str, str]]:
    """Yield published and own names of the layers of the auxiliary network."""
    for layer in range(4):
        yield from ((f'conv{layer + 1}.{i}', f'body.{layer}.{i}') for i in (0, 1))
    yield from (('fc1', 'body.6'), ('fc2', 'body.7'))


def renamed(
    published: Mapping[str, Tensor], names: Iterator[tuple[str, str]]
) -> dict[str, Tensor]:
    """Return weights by our names.

    Args:
        published: by the public version's names, `module.` of parallel training or not.
        names: published and own names of layers.

    Raises:
        ValueError: they are of another network.
    """
    own = dict(names)
    found = {}
    for name, weight in published.items():
        layer, _, kind = name.removeprefix('module.').rpartition('.')
        if not name.removeprefix('module.').startswith(UNUSED):
            if layer not in own:
                raise ValueError(f'{name}: these are no weights of PFLD')
            found[f'{own[layer]}.{kind}'] = weight
    return found


def convert(published: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint as training.landmarks.train writes it.

    Args:
        published: weights of the network and of the auxiliary network, by name.

    Raises:
        ValueError: they are of other networks.
    """
    backbone = next((published[name] for name in BACKBONES if name in published), None)
    if backbone is None or BRANCH not in published:
        raise ValueError(f'no {BACKBONES[0]} and {BRANCH}: these are no weights of PFLD')
    weights = renamed(backbone, backbone_names())
    second = weights.get('stem.1.0.weight')
    network = PublishedPFLD(depthwise=second is not None and second.shape[1] == 1)
    branch = PublishedPoseBranch()
    try:
        network.load_state_dict(weights)
        branch.load_state_dict(renamed(published[BRANCH], branch_names()))
    except RuntimeError as error:
        raise ValueError(f'these are no weights of PFLD: {error}') from None
    return {
        'average': network.state_dict(),
        'branch': branch.state_dict(),
        'config': network.as_dict(),
        'entry': ENTRY,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the checkpoint; 2 when the file is not one of PFLD."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', type=Path, help='published .pth or .pth.tar')
    parser.add_argument('--out', type=Path, required=True, help='checkpoint for --start')
    options = parser.parse_args(arguments)
    try:
        saved = convert(torch.load(options.file, map_location='cpu', weights_only=True))
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError, AttributeError) as error:
        print(f'{options.file}: {error}', file=sys.stderr)
        return 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = options.out.with_suffix('.tmp')
    torch.save(saved, temporary)
    os.replace(temporary, options.out)
    print(f'{options.out}: --start {options.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
