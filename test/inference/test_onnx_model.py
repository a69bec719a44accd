import hashlib

import numpy as np
import pytest
import yaml

from kf_imitation.errors import ModelError
from kf_imitation.inference import OnnxModel


@pytest.fixture
def manifest(tmp_path):
    onnx = pytest.importorskip('onnx', reason='onnx makes these models')
    helper, tensor = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node('Add', ['a', 'a'], ['twice'])],
        'double',
        [helper.make_tensor_value_info('a', tensor.FLOAT, [1, 2])],
        [helper.make_tensor_value_info('twice', tensor.FLOAT, [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    (tmp_path / 'double.onnx').write_bytes(model.SerializeToString())
    digest = hashlib.sha256((tmp_path / 'double.onnx').read_bytes()).hexdigest()
    path = tmp_path / 'manifest.yaml'
    path.write_text(
        yaml.safe_dump({'models': {'double': {'file': 'double.onnx', 'sha256': digest}}})
    )
    return path


def test_a_model_runs_by_name(manifest):
    model = OnnxModel.load('double', threads=1, manifest=manifest)
    result = model.run({'a': np.array([[1, 2]], np.float32)})
    assert result['twice'].tolist() == [[2, 4]]
    assert model.input_shapes == {'a': (1, 2)}


def test_an_altered_model_is_rejected_with_both_hashes(manifest):
    with (manifest.parent / 'double.onnx').open('ab') as file:
        file.write(b'x')
    with pytest.raises(ModelError, match='altered: sha256'):
        OnnxModel.load('double', manifest=manifest)


def test_an_unknown_name_and_a_missing_file_are_named(manifest):
    with pytest.raises(ModelError, match=r'model triple is not in .*\(there: double\)'):
        OnnxModel.load('triple', manifest=manifest)
    (manifest.parent / 'double.onnx').unlink()
    with pytest.raises(ModelError, match=r'double\.onnx is missing'):
        OnnxModel.load('double', manifest=manifest)


def test_a_file_that_is_no_model_is_rejected(manifest):
    bad = b'not a model'
    (manifest.parent / 'double.onnx').write_bytes(bad)
    entry = {'file': 'double.onnx', 'sha256': hashlib.sha256(bad).hexdigest()}
    manifest.write_text(yaml.safe_dump({'models': {'double': entry}}))
    with pytest.raises(ModelError, match='cannot be loaded'):
        OnnxModel.load('double', manifest=manifest)
