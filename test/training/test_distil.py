"""A smaller network learns to answer as a larger one, and is exported like any other."""

import argparse

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from test_keyframe_training import CONFIGS, fake_clip  # noqa: E402
from test_parts import stream as part_stream  # noqa: E402

from training.data.augment import OFF  # noqa: E402
from training.data.windows import SampleSettings, SampleStream  # noqa: E402
from training.keyframe.export import shrink  # noqa: E402
from training.keyframe.networks.fusion import KeyframeNet, grow  # noqa: E402
from training.keyframe.train import distil, distil_parts  # noqa: E402
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


def test_narrower_networks_of_eyes_and_mouth_begin_near_and_come_nearer():
    torch.manual_seed(0)
    lite = TrainConfig.load(CONFIGS / 'lite.yaml').network
    wide = TrainConfig.load(CONFIGS / 'lite_wide.yaml').network
    teacher, pupil = KeyframeNet(**wide).eval(), KeyframeNet(**lite)
    grow(pupil, teacher.state_dict(), teacher.joined)
    assert not distil.read_alike(teacher, pupil)
    lessons = distil_parts.lessons(teacher, part_stream(), count=16)
    assert len(lessons[0]) == 2 * len(lessons[1])  # two eyes
    nets = [pupil.parts.eye, pupil.parts.mouth]
    for net, given, lesson in zip(
        nets, (teacher.parts.eye, teacher.parts.mouth), lessons, strict=True
    ):
        distil_parts.narrow(net, given, lesson)
    before = [distil_parts.apart(*pair) for pair in zip(nets, lessons, strict=True)]
    schedule = Schedule(argparse.Namespace(steps=40, minutes=0))
    distil_parts.teach(nets, list(lessons), list(lessons), schedule)
    after = [distil_parts.apart(*pair) for pair in zip(nets, lessons, strict=True)]
    assert all(a < 0.7 * b for a, b in zip(after, before, strict=True))


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
