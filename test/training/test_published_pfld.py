"""PFLD as it is published: its table, its weights, its training, its export."""

import sys

import numpy as np
import pytest
import yaml

torch = pytest.importorskip('torch')
pytest.importorskip('onnxruntime')

from torch.nn import functional  # noqa: E402

from kf_imitation.data_types import FaceRegion  # noqa: E402
from kf_imitation.face_geometry.head_pose import template  # noqa: E402
from kf_imitation.inference import OnnxModel  # noqa: E402
from kf_imitation.landmarks.landmark_model import LandmarkModel  # noqa: E402
from training.landmarks.export import run as export_run  # noqa: E402
from training.landmarks.networks.published_pfld import (  # noqa: E402
    PublishedPFLD,
    PublishedPoseBranch,
)
from training.landmarks.train import heads, import_published  # noqa: E402
from training.landmarks.train import run as training  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def count(network):
    return sum(weight.numel() for weight in network.parameters())


def test_layers_and_parameters_are_those_of_the_published_table():
    shapes = {}
    network = PublishedPFLD().eval()
    for name, module in network.named_children():
        module.register_forward_hook(
            lambda _, __, out, name=name: shapes.update({name: out.shape})
        )
    points, early = network(torch.zeros(1, 3, 112, 112))
    assert {name: tuple(shape[1:]) for name, shape in shapes.items()} == {
        'stem': (64, 56, 56),
        'early': (64, 28, 28),
        'late': (128, 14, 14),
        'slim': (16, 14, 14),
        'pyramid': (32, 7, 7),
        'top': (128, 1, 1),
        'points': (196,),
    }
    assert points.shape == (1, 98, 2)
    assert PublishedPoseBranch()(torch.cat([early, early])).shape == (2, 3)
    # 1,264,804 in the public version, less the 256 of a norm that it never uses.
    assert count(PublishedPFLD(depthwise=False)) == 1_264_804 - 256
    assert count(PublishedPFLD()) == 1_264_804 - 256 - 64 * 63 * 9
    assert count(PublishedPoseBranch()) == 463_811


def published_weights(seed=0):
    """Weights by the names of the public version."""
    torch.manual_seed(seed)
    found = {}
    for network, names in (
        (PublishedPFLD(depthwise=False), import_published.backbone_names()),
        (PublishedPoseBranch(), import_published.branch_names()),
    ):
        theirs = {own: name for name, own in names}
        weights = {}
        for name, weight in network.state_dict().items():
            layer, _, kind = name.rpartition('.')
            if weight.ndim == 1:  # norms that do something
                weight = weight + 0.1 * torch.rand_like(weight)
            weights[f'{theirs[layer]}.{kind}'] = weight
        found[len(found)] = weights
    norm = {f'bn8.{k}': torch.ones(128) for k in ('weight', 'bias', 'running_mean', 'running_var')}
    return {'epoch': 3, 'plfd_backbone': found[0] | norm, 'auxiliarynet': found[1]}


class Reference:
    """The public network layer by layer, by its names of weights; nothing is shared with ours."""

    def __init__(self, weights):
        self.weights = weights

    def layer(self, x, conv, norm, stride=1, padding=0, groups=1, relu=True):
        w = self.weights
        x = functional.conv2d(x, w[f'{conv}.weight'], None, stride, padding, 1, groups)
        keys = ('running_mean', 'running_var', 'weight', 'bias')
        x = functional.batch_norm(x, *(w[f'{norm}.{k}'] for k in keys))
        return x.relu() if relu else x

    def residual(self, x, name, stride=1, shortcut=True):
        y = self.layer(x, f'{name}.conv.0', f'{name}.conv.1')
        y = self.layer(y, f'{name}.conv.3', f'{name}.conv.4', stride, 1, y.shape[1])
        y = self.layer(y, f'{name}.conv.6', f'{name}.conv.7', relu=False)
        return x + y if shortcut else y

    def points(self, image):
        x = self.layer(self.layer(image, 'conv1', 'bn1', 2, 1), 'conv2', 'bn2', 1, 1)
        x = self.residual(x, 'conv3_1', 2, False)
        for i in (2, 3, 4, 5):
            x = self.residual(x, f'block3_{i}')
        early = x
        x = self.residual(self.residual(x, 'conv4_1', 2, False), 'conv5_1', 1, False)
        for i in (2, 3, 4, 5, 6):
            x = self.residual(x, f'block5_{i}')
        first = self.residual(x, 'conv6_1', 1, False)
        second = self.layer(first, 'conv7.0', 'conv7.1', 2, 1)
        w = self.weights
        third = functional.conv2d(second, w['conv8.weight'], w['conv8.bias']).relu()
        scales = [functional.avg_pool2d(first, 14), functional.avg_pool2d(second, 7), third]
        return functional.linear(
            torch.cat(scales, 1).flatten(1), w['fc.weight'], w['fc.bias']
        ), early

    def angles(self, early):
        x = self.layer(early, 'conv1.0', 'conv1.1', 2, 1)
        x = self.layer(x, 'conv2.0', 'conv2.1', 1, 1)
        x = self.layer(x, 'conv3.0', 'conv3.1', 2, 1)
        x = self.layer(x, 'conv4.0', 'conv4.1', 1, 1)
        x, w = functional.max_pool2d(x, 3).flatten(1), self.weights
        x = functional.linear(x, w['fc1.weight'], w['fc1.bias'])
        return functional.linear(x, w['fc2.weight'], w['fc2.bias'])


@torch.no_grad()
def test_published_weights_find_the_published_points(tmp_path, capsys):
    published = published_weights()
    file, out = tmp_path / 'checkpoint.pth.tar', tmp_path / 'start.pt'
    torch.save(published, file)
    assert import_published.main([str(file), '--out', str(out)]) == 0
    assert f'--start {out}' in capsys.readouterr().out
    crop = torch.randint(0, 256, (1, 112, 112, 3), dtype=torch.uint8)
    network, branch = export_run.load(out), PublishedPoseBranch().eval()
    branch.load_state_dict(torch.load(out)['branch'])
    points, early = network(training.normalise(crop))
    wanted, features = Reference(published['plfd_backbone']).points(
        crop.permute(0, 3, 1, 2).float() / 255
    )
    torch.testing.assert_close(points.flatten(1), wanted, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(early, features, rtol=1e-3, atol=1e-3)
    angles = Reference(published['auxiliarynet']).angles(features)
    torch.testing.assert_close(branch(features), angles, rtol=1e-3, atol=1e-3)
    assert float(wanted.std()) > 1e-3 and float(angles.std()) > 1e-4


@pytest.mark.parametrize(
    'saved', [{'weight': torch.zeros(1)}, {'pfld_backbone': {'a.weight': 0}, 'auxiliarynet': {}}]
)
def test_another_file_is_rejected_by_name(tmp_path, capsys, saved):
    file = tmp_path / 'other.pth'
    torch.save(saved, file)
    assert import_published.main([str(file), '--out', str(tmp_path / 'out.pt')]) == 2
    assert 'no weights of PFLD' in capsys.readouterr().err
    assert not (tmp_path / 'out.pt').exists()


def run(monkeypatch, main, *options):
    monkeypatch.setattr(sys, 'argv', ['program', *map(str, options)])
    main()


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp('cache')
    np.save(folder / 'crops.npy', rng.integers(0, 255, (22, 160, 160, 3), np.uint8))
    points = (template() - 0.5) * 70 + 80 + rng.normal(0, 2, (22, 98, 2))
    np.savez(
        folder / 'labels.npz',
        points=points.astype(np.float32),
        angles=rng.normal(0, 0.3, (22, 3)).astype(np.float32),
        state=rng.uniform(0, 1, (22, 4)).astype(np.float32),
        blendshapes=np.zeros((22, 51), np.float32),
        rotation=np.tile(np.eye(3, dtype=np.float32), (22, 1, 1)),
        group=np.array([f'face:{i // 2:02d}' for i in range(22)]),
    )
    return folder


@pytest.mark.timeout(300)
def test_one_flag_trains_the_published_network_by_its_loss_and_the_runtime_reads_it(
    tmp_path, monkeypatch, cache, capsys
):
    torch.save(published_weights(), tmp_path / 'published.pth')
    start, out = tmp_path / 'start.pt', tmp_path / 'run'
    import_published.main([str(tmp_path / 'published.pth'), '--out', str(start)])
    options = ['--paper', '--cache', cache, '--out', out, '--batch', 2, '--workers', 0]
    run(monkeypatch, training.main, *options, '--start', start, '--steps', 1)
    run(monkeypatch, training.main, *options, '--resume', '--steps', 2)
    begun, saved = (torch.load(f, weights_only=False) for f in (start, out / 'last.pt'))
    assert saved['step'] == 2 and saved['loss'] == 'paper'
    for part in ('average', 'branch'):
        for name, weight in saved[part].items():
            if weight.is_floating_point():
                assert not torch.equal(weight, begun[part][name]), name
    onnx = tmp_path / 'landmarks_paper.onnx'
    run(monkeypatch, export_run.main, out / 'last.pt', '--out', onnx)
    entry = yaml.safe_load((tmp_path / 'manifest.yaml').read_text())['models']['landmarks_paper']
    assert list(entry['outputs']) == ['points'] and entry['layout'] == 'wflw98'
    model = LandmarkModel(OnnxModel.load('landmarks_paper', 1, tmp_path / 'manifest.yaml'))
    image = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    found = model.predict(image, FaceRegion(20, 20, 160), 0)
    assert found.points_px.shape == (98, 2) and np.isfinite(found.points_px).all()
    with pytest.raises(SystemExit, match='points alone'):
        heads.open_trained(out / 'last.pt', 'sure')
    with pytest.raises(SystemExit):
        run(monkeypatch, training.main, '--cache', cache, '--out', tmp_path, '--start', start)
    assert 'goes with --paper' in capsys.readouterr().err


def test_the_papers_loss_falls(cache):
    torch.manual_seed(0)
    data = training.Cache([cache])
    data.clean = True
    items = [data[i] for i in range(4)]
    batch = [torch.from_numpy(np.stack(part)) for part in zip(*items, strict=True)]
    network, branch = PublishedPFLD(), PublishedPoseBranch()
    optimiser = torch.optim.Adam([*network.parameters(), *branch.parameters()], lr=1e-3)
    values = []
    for _ in range(4):
        loss = training.paper_loss(network, branch, batch)
        values.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert values[-1] < 0.5 * max(values)
