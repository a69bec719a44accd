"""Files that keep calibrations."""

import errno
from pathlib import Path

import numpy as np
import pytest
import yaml

from kf_imitation.data_types import CHANNELS, UNIT_CHANNELS
from kf_imitation.errors import ConfigError
from kf_imitation.expression.calibration import FULL, REST, Calibration
from kf_imitation.expression.calibration_file import load_calibration, save_calibration
from kf_imitation.output_files import OutputError

COUNT = len(CHANNELS)


def index(name):
    return CHANNELS.index(name)


def test_a_calibration_survives_its_file(tmp_path):
    rng = np.random.default_rng(1)
    neutral = REST + rng.normal(0, 0.3, COUNT) * (FULL - REST > 2)
    before = Calibration('Zoë', neutral, neutral + 5)
    path = tmp_path / 'zoe.yaml'
    save_calibration(before, path)
    after = load_calibration(path)
    assert after.person == 'Zoë'
    assert np.allclose(after.neutral, before.neutral, atol=1e-4)
    unit = [index(name) for name in UNIT_CHANNELS]
    assert np.allclose(after.extreme[unit], before.extreme[unit], atol=1e-4)
    raw = rng.normal(-1, 2, COUNT)
    assert np.allclose(after.apply(raw), before.apply(raw), atol=1e-3)


def test_a_bad_file_lists_all_its_faults(tmp_path):
    path = tmp_path / 'bad.yaml'
    save_calibration(Calibration.default(), path)
    document = yaml.safe_load(path.read_text(encoding='utf-8'))
    channels = document['channels']
    del channels['jaw_open']
    channels['mouth_smile_left'] = {'neutral': 'high', 'extreme': 2.0}
    channels['eye_close_left']['extreme'] = channels['eye_close_left']['neutral']
    channels['brow_lower']['neutral'] = float('nan')
    channels['head_yaw'] = {'neutral': 2.0}
    channels['gaze_yaw'] = {'neutral': 0.0, 'extreme': 1.0}
    channels['ear_wiggle'] = {'neutral': 0.0}
    document['colour'] = 'blue'
    document['person'] = 7
    path.write_text(yaml.safe_dump(document), encoding='utf-8')
    with pytest.raises(ConfigError) as caught:
        load_calibration(path)
    message = str(caught.value)
    for part in (
        'jaw_open is missing', "mouth_smile_left.neutral = 'high' must be a number",
        'eye_close_left.extreme', 'brow_lower.neutral = nan', 'head_yaw.neutral = 2',
        'gaze_yaw', 'ear_wiggle is not a channel', 'colour is not a key', 'person = 7',
    ):  # fmt: skip
        assert part in message, part
    assert len(caught.value.faults) == 9


@pytest.mark.parametrize('text', ['', '[1, 2]', 'channels: 3', 'a: [', '\xff'])
def test_a_file_that_is_no_calibration_says_so(tmp_path, text):
    path = tmp_path / 'x.yaml'
    path.write_bytes(text.encode('latin-1'))
    with pytest.raises(ConfigError, match=r'x\.yaml: 1 problem'):
        load_calibration(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ConfigError, match='cannot be read'):
        load_calibration(tmp_path / 'none.yaml')
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match=r'file/mine.yaml: cannot be'):
        save_calibration(Calibration.default(), tmp_path / 'file' / 'mine.yaml')


def test_a_file_that_cannot_be_written_whole_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / 'me.yaml'
    save_calibration(Calibration.default(), path)
    before = path.read_text(encoding='utf-8')

    def full_disk(self, text, **_):
        self.write_bytes(text.encode()[:40])
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Path, 'write_text', full_disk)
    with pytest.raises(OutputError, match='No space left'):
        save_calibration(Calibration('me', REST + 0.5, FULL + 1.0), path)
    assert path.read_text(encoding='utf-8') == before
    assert list(tmp_path.iterdir()) == [path]
