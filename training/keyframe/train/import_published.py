"""Take published weights of FastFlowNet as a start for training.

    python -m training.keyframe.train.import_published fastflownet_ft_sintel.pth --out runs/flow.ckpt
    python -m training.keyframe.train --config training/keyframe/train/configs/paper.yaml \
        --start runs/flow.ckpt:flow_net. --set 'network.flow_options={standardised: false, padding: zeros}'

The weights that the authors publish (github.com/ltkong218/FastFlowNet) go to our layers of the
same meaning. Their flow is in units of 20 pixels, ours in pixels; they see images of 0..1 from
which the mean colour of the pair is taken, ours grey levels around mid-grey. Both are linear and
go into the weights, but for the mean, for which mid-grey stands.
"""  # noqa: E501

import argparse
import os
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.keyframe.networks.fastflownet import STRIDES, FastFlowNet

FLOW_PX = 20.0
# Of the published images to ours: 0..1 to the range of `fusion.scale_levels`.
IMAGE_SCALE = 255 / 64
FLOW_INPUTS = 2  # the coarser flow comes last


def layer_names() -> Iterator[tuple[str, str]]:
    """Yield published and own names of all layers."""
    for stage, count in (1, 2), (2, 3), (3, 3):
        for i in range(count):
            yield f'pconv{stage}_{i + 1}.0', f'pyramid.stride{2**stage}.{i}.0'
    for level in range(len(STRIDES)):
        theirs = level + 2  # they count halvings
        yield f'rconv{theirs}.0', f'reduce.{level}.0'
        if level < len(STRIDES) - 1:
            yield f'up{theirs + 1}', f'up.{level}'
        own = ('enter.0', *(f'grouped.{i}.0' for i in range(3)), 'leave.0.0', 'leave.1.0')
        for i, name in enumerate(own, 1):
            yield f'decoder{theirs}.conv{i}.0', f'decoders.{level}.{name}'
        yield f'decoder{theirs}.conv7', f'decoders.{level}.flow'


def convert(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of FastFlowNet(standardised=False, padding='zeros').

    Args:
        published: weights by the authors' names, `module.` of parallel training or not.

    Raises:
        ValueError: they are of another network.
    """
    given = {name.removeprefix('module.'): weight for name, weight in published.items()}
    found = {}
    for theirs, ours in layer_names():
        for kind in ('weight', 'bias'):
            if f'{theirs}.{kind}' not in given:
                raise ValueError(f'no {theirs}.{kind}: these are no weights of FastFlowNet')
            found[f'{ours}.{kind}'] = given[f'{theirs}.{kind}'].clone().float()
    found['pyramid.stride2.0.0.weight'] /= IMAGE_SCALE
    for name, weight in found.items():
        if name.startswith('decoders') and name.endswith('enter.0.weight'):
            weight[:, -FLOW_INPUTS:] /= FLOW_PX
        if name.startswith('decoders') and '.flow.' in name:
            weight *= FLOW_PX
        if name.startswith('up.') and name.endswith('bias'):
            weight *= FLOW_PX
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the checkpoint; 2 when the file is not one of FastFlowNet."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('file', type=Path, help='published .pth')
    parser.add_argument('--out', type=Path, required=True, help='checkpoint for --start')
    options = parser.parse_args(arguments)
    try:
        saved = torch.load(options.file, map_location='cpu', weights_only=True)
        weights = convert(saved.get('state_dict', saved))
        FastFlowNet().load_state_dict(weights)
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError, AttributeError) as error:
        print(f'{options.file}: {error}', file=sys.stderr)
        return 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = options.out.with_suffix('.tmp')
    torch.save(
        {'state_dict': {f'mean_net.flow_net.{n}': w for n, w in weights.items()}}, temporary
    )
    os.replace(temporary, options.out)
    print(f'{options.out}: --start {options.out}:flow_net.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
