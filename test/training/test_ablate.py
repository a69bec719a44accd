"""The bookkeeping of the ablation with a stub trainer, and one tiny training in earnest."""

import json

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from fake_faces import write_clip  # noqa: E402

from kf_imitation.errors import ModelError, SourceError  # noqa: E402
from training.keyframe.networks.fusion import KeyframeNet  # noqa: E402
from training.keyframe.train import ablate  # noqa: E402
from training.keyframe.train.config import TrainConfig  # noqa: E402

SETTINGS = {'minutes': 2.0, 'steps': 0, 'seed': 1, 'start': None, 'limit': 60, 'set': ['ema=0.9']}


class Stub:
    """Trains nothing; remembers what it was asked for."""

    def __init__(self, folder, fails=()):
        self.folder, self.fails, self.trained, self.measured = folder, fails, [], []

    def train(self, row):
        if row in self.fails:
            raise ModelError(row)
        self.trained.append(row)
        file = self.folder / f'{ablate.folder_of(row)}.ckpt'
        torch.save({'global_step': 7}, file)
        return file

    def held(self, checkpoint):
        return {'error': 0.5, 'rho': 0.7, 'f1': 0.6}

    def dev(self, checkpoint):
        self.measured.append(checkpoint.stem)
        return {'f1': 0.65}


def run(stub, rows, settings=SETTINGS):
    file = stub.folder / 'results.json'
    return ablate.run_rows(rows, file, settings, stub.train, stub.held, stub.dev)


def test_a_stopped_ablation_goes_on_with_the_next_row_and_measures_dev_once_at_the_end(tmp_path):
    rows = ['default', 'without flow', 'without noise']
    stub = Stub(tmp_path, fails=['without noise'])
    with pytest.raises(ModelError):
        run(stub, rows)
    assert stub.trained == rows[:2] and not stub.measured
    assert list(json.loads((tmp_path / 'results.json').read_text())['rows']) == rows[:2]
    again = Stub(tmp_path)
    results = run(again, rows)
    assert again.trained == rows[2:] and len(again.measured) == 3
    last = Stub(tmp_path)
    assert run(last, rows) == results and not last.trained and not last.measured


def test_rows_of_other_settings_are_not_mixed(tmp_path):
    run(Stub(tmp_path), ['default'])
    with pytest.raises(SourceError, match=r'seed 1, not 2.*--out'):
        run(Stub(tmp_path), ['without flow'], {**SETTINGS, 'seed': 2})


def test_the_table_stands_between_the_markers_with_the_command_of_the_rows(tmp_path):
    results = run(Stub(tmp_path), ['without flow', 'default'])
    file = tmp_path / 'doc.md'
    file.write_text(f'before\n{ablate.BEGIN}\nold\n{ablate.END}\nafter\n')
    for _ in range(2):
        ablate.write_table(file, ablate.table(results))
    text = file.read_text()
    assert text.startswith('before\n') and text.endswith(f'{ablate.END}\nafter\n')
    assert 'old' not in text and '| default | 7 | 0.500 | 0.700 | 0.600 | 0.650 |' in text
    row = "--minutes 2 --start none --limit 60 --seed 1 --rows 'ROW' --set ema=0.9"
    assert row in text
    assert text.index('| default') < text.index('| without flow')
    file.write_text('no markers')
    with pytest.raises(SourceError, match='once each'):
        ablate.write_table(file, 'x')


def test_every_row_changes_the_default_and_makes_a_network():
    plain = TrainConfig.load(ablate.CONFIG)
    for row, overrides in ablate.ROWS.items():
        config = TrainConfig.load(ablate.CONFIG, list(overrides))
        samples = config.samples()
        same = (config.network, config.loss, samples) == (
            plain.network,
            plain.loss,
            plain.samples(),
        )
        assert same == (row == 'default')
        with torch.device('meta'):
            KeyframeNet(**config.network)


def test_bad_arguments_are_all_named(capsys):
    with pytest.raises(SystemExit, match='2'):
        ablate.main(['--rows', 'without sense', '--start', 'nowhere.ckpt'])
    error = capsys.readouterr().err
    assert 'without sense' in error and 'nowhere.ckpt' in error and '--minutes or --steps' in error


@pytest.mark.timeout(600)  # two processes start torch, on a busy machine
def test_a_row_is_trained_measured_and_written_in_earnest(tmp_path):
    for seed, name in enumerate(('lp_d10', 'other')):
        array = write_clip(tmp_path, name, 12, seed)
        video = str(tmp_path / f'{name}.mp4')
        writer = cv2.VideoWriter(video, cv2.VideoWriter_fourcc(*'mp4v'), 30, (192, 192))
        for frame in np.load(array):
            writer.write(frame)
        writer.release()
        array.unlink()
    doc = tmp_path / 'doc.md'
    doc.write_text(f'{ablate.BEGIN}\n{ablate.END}\n')
    options = {'clips': tmp_path, 'cache': tmp_path / 'cache', 'out': tmp_path / 'out'}
    options |= {k: tmp_path / 'none' for k in ('faces', 'renders', 'animated', 'dev')}
    options |= {'start': 'none', 'steps': 2, 'limit': 6, 'table': doc}
    words = [f'--{k}={v}' for k, v in options.items()]
    small = [
        '--set',
        'frozen=[]',
        'hold_out=[lp_d10]',
        'data.windows=1',
        'data.frames=3',
        'data.stills=0',
        'half=false',
    ]
    assert ablate.main([*words, '--rows', 'without places', *small]) == 0
    row = json.loads((tmp_path / 'out/results.json').read_text())['rows']['without places']
    assert row['steps'] == 2 and row['held_out']['error'] > 0
    assert '| without places | 2 |' in doc.read_text()
