"""The exported keyframe model is the trained one, small on disk, and checked."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')

import yaml  # noqa: E402

from kf_imitation.onnx_model import OnnxModel  # noqa: E402
from training.keyframe import export as exporting  # noqa: E402
from training.keyframe.fusion import KeyframeNet, normalise  # noqa: E402


@pytest.fixture(scope='module')
def lite(tmp_path_factory):
    torch.manual_seed(0)
    net = KeyframeNet(motion='difference', use_places=False).eval()
    torch.nn.init.normal_(net.change.weight, std=0.005)
    target = tmp_path_factory.mktemp('models') / 'keyframe_lite.onnx'
    difference = exporting.export(net, 128, target)
    entry = exporting.manifest_entry(net, target, 128, {'difference': difference}, '')
    exporting.write_manifest(target.parent / 'manifest.yaml', 'keyframe_lite', entry)
    return net, target, difference


def test_stored_weights_change_results_little(lite):
    assert lite[2] < exporting.STORED_TOLERANCE


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


def test_an_export_that_computes_something_else_is_refused(lite, tmp_path, monkeypatch):
    net, _, _ = lite
    monkeypatch.setattr(exporting, 'compare', lambda *_: 1.0)
    with pytest.raises(ValueError, match='differ'):
        exporting.export(net, 128, tmp_path / 'bad.onnx')
    assert not list(tmp_path.iterdir())


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
