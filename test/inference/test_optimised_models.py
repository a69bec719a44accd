"""Optimised models are saved, found again, and rebuilt when damaged."""

import hashlib

import numpy as np
import onnxruntime
import pytest

from kf_imitation import model_files
from kf_imitation.inference import optimised_models
from kf_imitation.inference.optimised_models import cache_folder, open_session


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    onnx = pytest.importorskip('onnx', reason='onnx makes these models')
    helper, tensor = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node('Add', ['a', 'a'], ['b']), helper.make_node('Relu', ['b'], ['c'])],
        'double',
        [helper.make_tensor_value_info('a', tensor.FLOAT, [1, 2])],
        [helper.make_tensor_value_info('c', tensor.FLOAT, [1, 2])],
    )
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    path = tmp_path / 'double.onnx'
    path.write_bytes(whole.SerializeToString())
    return path


def opened(path, digest='d'):
    return open_session('double', digest, path, onnxruntime.SessionOptions)


def result(session):
    return session.run(None, {'a': np.array([[1, -2]], np.float32)})[0].tolist()


def saved():
    return list(cache_folder().glob('*'))


def test_the_second_start_reads_the_saved_model_only(model):
    assert result(opened(model)) == [[2, 0]]
    assert len(saved()) == 1
    model.unlink()
    assert result(opened(model)) == [[2, 0]]


@pytest.mark.parametrize('damage', [b'', b'short', None])
def test_a_damaged_saved_model_is_rebuilt(model, damage):
    opened(model)
    (file,) = saved()
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]) if damage is None else damage)
    assert result(opened(model)) == [[2, 0]]
    assert saved() == [file]
    model.unlink()
    assert result(opened(model)) == [[2, 0]]


def test_another_model_onnxruntime_or_processor_has_its_own_saved_model(model, monkeypatch):
    opened(model)
    opened(model, 'other')
    assert len(saved()) == 2
    monkeypatch.setattr(onnxruntime, '__version__', '99')
    opened(model)
    assert len(saved()) == 3
    monkeypatch.setattr(optimised_models, '_processor', lambda: 'another')
    opened(model)
    assert len(saved()) == 4


def test_few_saved_models_are_kept_of_one_name(model):
    for number in range(20):
        opened(model, str(number))
    assert len(saved()) == 8


def test_a_folder_that_cannot_be_written_stops_nothing(model, tmp_path):
    (tmp_path / 'cache').write_text('a file is in the way')
    assert result(opened(model)) == [[2, 0]]


def test_a_model_without_a_digest_is_not_saved(model):
    assert result(opened(model, '')) == [[2, 0]]
    assert saved() == []


def test_the_manifest_is_parsed_once_until_it_changes(tmp_path, monkeypatch):
    data = b'abc'
    (tmp_path / 'a.bin').write_bytes(data)
    text = f'models: {{a: {{file: a.bin, sha256: {hashlib.sha256(data).hexdigest()}, note: 1}}}}'
    manifest = tmp_path / 'manifest.yaml'
    manifest.write_text(text)
    reads = []
    read = model_files._read
    monkeypatch.setattr(model_files, '_read', lambda path: reads.append(path) or read(path))
    for _ in range(3):
        model_files.find_model_file('models', 'a', manifest)
    assert len(reads) == 1
    manifest.write_text(text.replace('note: 1', 'note: 12'))
    entry, _ = model_files.find_model_file('models', 'a', manifest)
    assert entry['note'] == 12
