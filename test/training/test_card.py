"""The cards say what `kf_imitation evaluate` measured, and are found out when they do not."""

import json

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')

import yaml

from training.keyframe.export import card

NAMES = np.array(['_neutral', *(f'mouth{i}' for i in range(30)), *(f'brow{i}' for i in range(21))])


def clip(folder, stem, fps):
    rng = np.random.default_rng(0)
    landmarks = rng.integers(0, 16 * 300, (90, 478, 3)).astype(np.int16)
    np.savez(
        folder / f'{stem}.npz',
        blendshapes=rng.random((90, 52), dtype=np.float32),
        names=NAMES,
        head_pose=np.tile(np.eye(4, dtype=np.float32), (90, 1, 1)),
        landmarks_q=landmarks,
        valid=np.ones(90, bool),
        fps=fps,
    )


def metrics(f1, truth=8):
    return {
        'e_n': 2.0, 'e_l': 0.5, 'f1': f1, 'rho': 0.7, 'truth': truth, 'found': 6,
        'delay_worst_s': 0.16,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    clips = tmp_path / 'dev'
    clips.mkdir()
    clip(clips, 'slow', 25.0)
    clip(clips, 'fast', 30.0)
    clip(clips, 'flat', 30.0)
    mean = {'clips': 2, **metrics(0.75)}
    results = {'slow': metrics(0.6), 'fast': metrics(0.9), 'flat': metrics(0.1, truth=1)}
    methods = {m: {'clips': results, 'mean': mean} for m in ('lite', 'dis')}
    (tmp_path / 'dev.json').write_text(json.dumps({'methods': methods}))
    models = tmp_path / 'models'
    models.mkdir()
    (models / 'keyframe_lite.onnx').write_bytes(b'0' * 1000)
    entry = {
        'file': 'keyframe_lite.onnx', 'training_data': 'renders', 'licence': 'Apache-2.0',
        'measured': {'precision': 'int8', 'change_gain': 1.2, 'old': 1},
    }  # fmt: skip
    (models / 'manifest.yaml').write_text(yaml.safe_dump({'models': {'keyframe_lite': entry}}))
    return tmp_path


def run(folder, *more):
    arguments = ['--json', 'dev.json', '--clips', 'dev', '--models', 'models']
    paths = [a if a.startswith('--') else str(folder / a) for a in arguments]
    return card.main([*paths, *more])


def test_a_card_has_means_groups_and_failures_without_clips_of_few_keyframes(folder):
    assert run(folder) == 0
    text = (folder / 'models/keyframe_lite.md').read_text()
    assert '| **lite** | 2 | 2.00 | 0.50 | 0.750 | 0.700 |' in text
    assert '| up to 26 fps | 1 | 2.00 | 0.50 | 0.600 | 0.700 |' in text
    assert '| above 26 fps | 1 | 2.00 | 0.50 | 0.900 | 0.700 |' in text
    assert '- slow: F1@2 0.60, 6 keyframes for 8 true ones' in text
    assert 'flat' not in text
    assert '**Use.**' in text and '**Data.** renders' in text and 'computes in int8' in text


def test_the_manifest_gets_the_figures_and_keeps_what_the_export_said(folder):
    assert run(folder) == 0
    entry = yaml.safe_load((folder / 'models/manifest.yaml').read_text())['models']
    measured = entry['keyframe_lite']['measured']
    assert measured['dev']['f1'] == 0.75
    assert (measured['precision'], measured['change_gain']) == ('int8', 1.2)
    assert 'old' not in measured


def test_check_writes_nothing_and_notices_an_old_card(folder, capsys):
    assert run(folder, '--check') == 1
    assert not (folder / 'models/keyframe_lite.md').exists()
    assert run(folder) == 0
    assert run(folder, '--check') == 0
    (folder / 'models/keyframe_lite.md').write_text('better than it is')
    assert run(folder, '--check') == 1
    assert 'keyframe_lite.md' in capsys.readouterr().err


def test_a_file_that_is_no_result_is_named(folder, capsys):
    (folder / 'dev.json').write_text('[]')
    assert run(folder) == 2
    assert 'dev.json is not a result of kf_imitation evaluate' in capsys.readouterr().err
