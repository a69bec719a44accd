"""What lies in models/ is small, listed, unaltered and described."""

import hashlib

import yaml

from kf_imitation.paths import share_path

FOLDER = share_path('models/manifest.yaml').parent
MANIFEST = yaml.safe_load((FOLDER / 'manifest.yaml').read_text(encoding='utf-8'))
MODELS, TABLES = MANIFEST['models'], MANIFEST['tables']


def test_all_files_together_are_under_80_mb():
    assert sum(f.stat().st_size for f in FOLDER.rglob('*') if f.is_file()) < 80e6


def test_every_model_is_listed_and_unaltered():
    assert {f.name for f in FOLDER.glob('*.onnx')} == {e['file'] for e in MODELS.values()}
    assert {f.name for f in FOLDER.glob('*.yaml')} - {'manifest.yaml'} == {
        entry['file'] for entry in TABLES.values()
    }
    for entry in [*MODELS.values(), *TABLES.values()]:
        data = (FOLDER / entry['file']).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry['sha256'], entry['file']


def test_every_model_says_where_it_comes_from():
    for name, entry in MODELS.items():
        for key in ('task', 'inputs', 'outputs', 'preprocessing', 'training_data', 'licence'):
            assert entry.get(key), f'{name}: {key}'
    for name, entry in TABLES.items():
        for key in ('task', 'training_data', 'licence', 'command'):
            assert entry.get(key), f'{name}: {key}'


def test_every_keyframe_model_has_a_card():
    for name in MODELS:
        if name.startswith('keyframe_'):
            text = (FOLDER / f'{name}.md').read_text(encoding='utf-8')
            assert text.startswith(f'# {name}')
            for part in ('**Use.**', '**Figures.**', '**Where it fails.**'):
                assert part in text, f'{name}: {part}'
