"""The paper's two networks as one graph that remembers nothing, for benchmark/keyframe.py."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.keyframe.export.flow_graph import GraphFlow
from training.keyframe.networks.fastflownet import FastFlowNet, pool
from training.keyframe.networks.fusion import normalise
from training.keyframe.networks.resnet50 import ResNet50


class Unstreamed(nn.Module):
    """FastFlowNet on a pair of crops and ResNet-50 on the newer one.

    Args:
        resnet_px: edge of ResNet-50's input.
    """

    def __init__(self, resnet_px: int) -> None:
        super().__init__()
        self.flow, self.places, self.resnet_px = FastFlowNet(), ResNet50(), resnet_px
        self.match = GraphFlow(self.flow).match

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """(2, S, S, 3) uint8, newer crop first, to flow (1, 2, S/4, S/4) and (1, 1000)."""
        images = normalise(crops)
        fine, coarse = self.flow.pyramid(images)
        levels = pool(fine, coarse)
        flows, _ = self.match([level[:1] for level in levels], [level[1:] for level in levels])
        size = (self.resnet_px, self.resnet_px)
        return flows[0], self.places(F.interpolate(images[:1], size, mode='bilinear'))[1]


def write(file: Path, flow_px: int, resnet_px: int) -> None:
    """Write the graph in float32 with random weights.

    Args:
        file: to write.
        flow_px: edge of the crops, a multiple of 64.
        resnet_px: edge of ResNet-50's input.
    """
    crops = torch.zeros(2, flow_px, flow_px, 3, dtype=torch.uint8)
    net = Unstreamed(resnet_px).eval()
    names = {'input_names': ['crops'], 'output_names': ['flow', 'classes']}
    torch.onnx.export(net, (crops,), str(file), opset_version=17, dynamo=False, **names)
