"""A smaller network learns to answer as a larger one, and is exported like any other."""

import argparse

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from test_keyframe_training import CONFIGS, fake_clip  # noqa: E402

from training.data.augment import OFF  # noqa: E402
from training.data.windows import SampleSettings, SampleStream  # noqa: E402
from training.keyframe.export import shrink  # noqa: E402
from training.keyframe.networks.fusion import KeyframeNet, grow  # noqa: E402
from training.keyframe.train import distil  # noqa: E402
from training.keyframe.train.config import TrainConfig  # noqa: E402
from training.loop import Schedule  # noqa: E402


def stream():
    settings = SampleSettings(crop_px=256, windows=2, frames=3, augment=OFF)
    return SampleStream([fake_clip()], None, settings, 1)


def test_a_pupil_comes_nearer_to_its_teacher():
    torch.manual_seed(0)
    lite = TrainConfig.load(CONFIGS / 'lite.yaml').network
    teacher = KeyframeNet(**lite | {'fused': (48, 64, 96, 128, 192), 'contrast_shrink': 1}).eval()
    torch.nn.init.normal_(teacher.change.weight, std=2.0)
    with torch.no_grad():
        teacher.hidden.weight *= 4  # what compares frames speaks as loud as eyes and mouth
    pupil = KeyframeNet(**lite)
    grow(pupil, teacher.state_dict(), teacher.joined)
    pairs = distil.watch(teacher, pupil, stream(), seed=2, count=8)
    assert len(pairs) >= 8 and pairs.now.image.shape[-1] == 32
    before, _ = distil.apart(pupil, pairs)
    distil.teach(pupil, pairs, pairs, Schedule(argparse.Namespace(steps=80, minutes=0)))
    after, _ = distil.apart(pupil, pairs)
    assert after < 0.6 * before


def test_a_shrunk_network_is_written_with_who_was_held_out(tmp_path, monkeypatch, capsys):
    config = TrainConfig.load(CONFIGS / 'lite.yaml')
    large = {k: v for k, v in config.network.items() if k not in ('fused', 'contrast_shrink')}
    net = KeyframeNet(**large)
    saved = {
        'state_dict': {f'mean_net.{k}': v for k, v in net.state_dict().items()},
        'network': large,
        'change_gain': 1.5,
    }
    torch.save(saved, tmp_path / 'large.ckpt')
    crops = np.stack([cv2.resize(f, (256, 256)) for f in fake_clip().frames[:2]])
    monkeypatch.setattr(shrink, 'calibration_crops', lambda *_: [crops])
    out = tmp_path / 'small' / 'last.ckpt'
    command = ['shrink', str(tmp_path / 'large.ckpt'), '--out', str(out)]
    monkeypatch.setattr('sys.argv', [*command, '--config', str(CONFIGS / 'lite.yaml')])
    assert shrink.main() == 0
    assert 'change vectors differ by' in capsys.readouterr().out
    small = torch.load(out, weights_only=False)
    assert small['change_gain'] == 1.5 and small['network'] == config.network
    assert shrink.load_network(out).contrast_shrink == 4
    assert config.hold_out[0] in out.with_name('config.json').read_text()
