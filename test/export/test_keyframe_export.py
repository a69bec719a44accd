"""The exported keyframe model is the trained one, small on disk, and checked."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')

import onnxruntime  # noqa: E402
import yaml  # noqa: E402

from kf_imitation.inference import OnnxModel  # noqa: E402
from kf_imitation.keyframe.selection.smoother import Smoothing  # noqa: E402
from training.keyframe.export import run as exporting  # noqa: E402
from training.keyframe.export.flow_graph import GraphFlow  # noqa: E402
from training.keyframe.networks.fastflownet import FastFlowNet  # noqa: E402
from training.keyframe.networks.fusion import KeyframeNet, normalise  # noqa: E402


@pytest.fixture(scope='module')
def lite(tmp_path_factory):
    torch.manual_seed(0)
    net = KeyframeNet(motion='difference', use_places=False).eval()
    torch.nn.init.normal_(net.change.weight, std=0.005)
    target = tmp_path_factory.mktemp('models') / 'keyframe_lite.onnx'
    difference = exporting.export(net, 128, target)
    entry = exporting.manifest_entry(net, target, 128, {'difference': difference.change}, '')
    exporting.write_manifest(target.parent / 'manifest.yaml', 'keyframe_lite', entry)
    return net, target, difference


def test_stored_weights_change_results_little(lite):
    assert lite[2].largest < exporting.STORED_TOLERANCE


def test_the_runtime_loads_the_export_and_streams_what_two_frames_give(lite):
    net, target, _ = lite
    model = OnnxModel.load('keyframe_lite', threads=1, manifest=target.parent / 'manifest.yaml')
    crops = exporting.fixed_crops(128, 3)
    states = {
        name: np.zeros(shape, np.float32)
        for name, shape in model.input_shapes.items()
        if name != 'crop'
    }
    for crop in crops:
        outputs = model.run({'crop': crop[None], **states})
        states = {name: outputs[f'next_{name}'] for name in states}
    images = normalise(torch.from_numpy(crops))
    with torch.no_grad():
        expected = net(images[2:], images[1:2])
    assert np.allclose(outputs['change'], expected.change.numpy(), atol=5e-3)
    score = torch.sigmoid(expected.score_logit).numpy()
    assert np.allclose(outputs['score'], score, atol=5e-3)


def test_the_manifest_says_what_the_file_takes_and_gives(lite):
    _, target, _ = lite
    entry = yaml.safe_load((target.parent / 'manifest.yaml').read_text())['models'][
        'keyframe_lite'
    ]
    graph = onnx.load(target).graph
    assert set(entry['inputs']) == {i.name for i in graph.input}
    assert set(entry['outputs']) == {o.name for o in graph.output}


def test_another_entry_of_the_manifest_survives(lite, tmp_path):
    manifest = tmp_path / 'manifest.yaml'
    manifest.write_text('models: {landmarks: {file: a.onnx}}\n')
    exporting.write_manifest(manifest, 'keyframe_lite', {'file': 'b.onnx'})
    models = yaml.safe_load(manifest.read_text())['models']
    assert models == {'landmarks': {'file': 'a.onnx'}, 'keyframe_lite': {'file': 'b.onnx'}}


def test_an_export_that_computes_something_else_is_rejected(lite, tmp_path, monkeypatch):
    net, _, _ = lite
    monkeypatch.setattr(exporting, 'compare', lambda *_: exporting.Difference(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match='differ'):
        exporting.export(net, 128, tmp_path / 'bad.onnx')
    assert not list(tmp_path.iterdir())


def moving_crops(seed, count=4):
    pattern = exporting.fixed_crops(128, 2 * count)
    noise = np.random.default_rng(seed).integers(0, 25, (128, 128, 3))
    return np.clip(pattern[seed % count :][:count].astype(int) + noise, 0, 255).astype(np.uint8)


def test_int8_computes_in_int8_and_nearly_the_same(lite, tmp_path):
    net, _, _ = lite
    calibration = [moving_crops(seed) for seed in range(4)]
    target = tmp_path / 'small.onnx'
    difference = exporting.export(net, 128, target, calibration=calibration)
    assert 0 < difference.change <= exporting.INT8_CHANGE
    session_options = onnxruntime.SessionOptions()
    session_options.optimized_model_filepath = str(tmp_path / 'optimised.onnx')
    onnxruntime.InferenceSession(str(target), session_options)
    kinds = [node.op_type for node in onnx.load(tmp_path / 'optimised.onnx').graph.node]
    assert kinds.count('QLinearConv') >= 5
    assert list(tmp_path.glob('tmp*')) == []


def test_int8_that_is_too_coarse_is_rejected_and_the_old_file_stays(lite, tmp_path, monkeypatch):
    net, _, _ = lite
    monkeypatch.setattr(exporting, 'INT8_CHANGE', 1e-6)
    target = tmp_path / 'old.onnx'
    target.write_bytes(b'old')
    with pytest.raises(ValueError, match='int8 changes the change vectors'):
        exporting.export(net, 128, target, calibration=[moving_crops(0)])
    assert target.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [target]


def test_auto_takes_float_where_int8_is_too_coarse(lite, tmp_path, monkeypatch, capsys):
    net, _, _ = lite
    checkpoint = tmp_path / 'last.ckpt'
    network = {'motion': 'difference', 'use_places': False}
    state = {f'mean_net.{k}': v for k, v in net.state_dict().items()}
    torch.save({'state_dict': state, 'network': network, 'change_gain': 1.3}, checkpoint)
    monkeypatch.setattr(exporting, 'INT8_CHANGE', 1e-6)
    monkeypatch.setattr(exporting, 'calibration_crops', lambda *_: [moving_crops(0)])
    models = tmp_path / 'models'
    options = ['--checkpoint', checkpoint, '--name', 'keyframe_lite', '--models', models]
    assert exporting.main([str(o) for o in (*options, '--precision', 'int8')]) == 2
    assert not list(models.glob('*.onnx'))
    capsys.readouterr()
    assert exporting.main([str(o) for o in (*options, '--precision', 'auto')]) == 0
    assert 'int8 changes the change vectors' in capsys.readouterr().err
    entry = yaml.safe_load((models / 'manifest.yaml').read_text())['models']['keyframe_lite']
    assert entry['measured']['change_gain'] == 1.3
    assert entry['measured']['precision'] == 'float' and 'smoothing' not in entry
    smoothing = ['--precision', 'float', '--smoothing', 'sigma_s=0.055', 'forecast_s=0.01']
    assert exporting.main([str(o) for o in (*options, *smoothing)]) == 0
    entry = yaml.safe_load((models / 'manifest.yaml').read_text())['models']['keyframe_lite']
    assert Smoothing.of_model(entry) == Smoothing(0.055, 0.01)


@pytest.mark.parametrize(
    'text', ['vectors=1', 'sigma_s=2', 'sigma_s=-0.1', 'delay_s=0.01', 'sigma_s', 'sigma_s=x']
)
def test_smoothing_the_runtime_does_not_know_is_rejected(text, capsys):
    with pytest.raises(SystemExit):
        exporting.main(['--checkpoint', 'last.ckpt', '--smoothing', text])
    assert text in capsys.readouterr().err


def test_the_graph_matches_as_fastflownet_does():
    torch.manual_seed(1)
    net = FastFlowNet().eval()
    levels = zip((32, 64, 64, 64, 64), (32, 16, 8, 4, 2), strict=True)
    now = [torch.randn(1, channels, side, side) for channels, side in levels]
    before = [x + 0.3 * torch.randn_like(x) for x in now]
    for decoder in net.decoders:  # flow of some pixels, over the border too
        torch.nn.init.normal_(decoder.flow.bias, std=4.0)
    with torch.no_grad():
        wanted, found = net.match(now, before), GraphFlow(net).match(now, before)
    for a, b in zip(wanted[0] + wanted[1], found[0] + found[1], strict=True):
        assert torch.allclose(a, b, atol=1e-3)


def test_packing_shrinks_large_weights_to_a_quarter_or_half(tmp_path):
    weight = np.random.default_rng(0).normal(size=(256, 256, 1, 1)).astype(np.float32)
    make = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Conv', ['x', 'w'], ['y'])],
        'one',
        [make('x', 1, [1, 256, 4, 4])],
        [make('y', 1, [1, 256, 4, 4])],
        [onnx.numpy_helper.from_array(weight, 'w')],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 17)])
    before = model.ByteSize()
    exporting.pack_weights(model)
    onnx.checker.check_model(model)
    assert model.ByteSize() < 0.3 * before
