"""Flow of an exported model is measured in pixels of the images given."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from training.keyframe.export.run import StreamingStep, trace  # noqa: E402
from training.keyframe.measure.flow import FlowModel  # noqa: E402
from training.keyframe.networks.fusion import MOTION_PX, KeyframeNet  # noqa: E402


def test_images_smaller_than_the_crop_give_the_same_flow_in_their_pixels(tmp_path):
    torch.manual_seed(0)
    net = KeyframeNet('flow', use_places=False, flow_stride=8, parts=True).eval()
    trace(StreamingStep(net, net.crop_px).eval(), tmp_path / 'net.onnx')
    model = FlowModel(tmp_path / 'net.onnx')
    rng = np.random.default_rng(0)
    now, before = rng.integers(0, 255, (2, MOTION_PX, MOTION_PX, 3), np.uint8)
    small = model.flow(now, before)
    large = model.flow(*(image.repeat(2, 0).repeat(2, 1) for image in (now, before)))
    assert small.shape == (2, MOTION_PX, MOTION_PX) and large.shape == (2, 256, 256)
    assert np.abs(small).max() > 0.01
    assert small[:, 32:-32:16, 32:-32:16] == pytest.approx(
        large[:, 64:-64:32, 64:-64:32] / 2, abs=0.05 * np.abs(small).max()
    )
