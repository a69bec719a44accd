"""Calibration files, sessions and the automatic calibration."""

import numpy as np
import pytest
import yaml

from kf_imitation.data_types import ANGLE_CHANNELS, CHANNELS, UNIT_CHANNELS
from kf_imitation.errors import ConfigError
from kf_imitation.expression.calibration import calibrate, load_calibration, save_calibration
from kf_imitation.expression.estimator import FULL, REST, AutoCalibration, Calibration

COUNT = len(CHANNELS)
ALL = np.ones(COUNT, bool)


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


def test_neutral_is_zero_extreme_is_one_and_more_is_cut_off():
    calibration = Calibration('Zoë', REST, FULL)
    unit = [index(name) for name in UNIT_CHANNELS]
    assert np.allclose(calibration.apply(REST)[unit], 0)
    assert np.allclose(calibration.apply(FULL)[unit], 1)
    assert np.allclose(calibration.apply(FULL + 9)[unit], 1)
    assert np.allclose(calibration.apply(REST - 9)[unit], 0)
    angles = [index(name) for name in ANGLE_CHANNELS]
    assert np.allclose(calibration.apply(REST)[angles], 0)
    turned = calibration.apply(REST + 0.2)[angles]
    assert (turned >= 0.19).all() and (turned <= 0.4).all()
    assert np.allclose(calibration.apply(REST - 0.2)[angles], -turned)


def test_lids_of_someone_unknown_rest_where_those_of_most_people_do():
    seen = Calibration.default().apply(REST)
    lids = [index('eye_close_left'), index('eye_close_right')]
    assert np.allclose(seen[lids], 0.08, atol=0.01)
    others = [index(name) for name in UNIT_CHANNELS if not name.startswith('eye_close')]
    assert np.allclose(seen[others], 0, atol=0.01)


def test_channels_grow_with_the_raw_value():
    calibration = Calibration.default()
    steps = np.linspace(-6, 4, 50)
    values = np.array([calibration.apply(np.full(COUNT, s)) for s in steps])
    assert (np.diff(values, axis=0) >= 0).all()


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
    with pytest.raises(ConfigError, match='cannot be written'):
        save_calibration(Calibration.default(), tmp_path / 'no' / 'folder.yaml')


def session(noise=0.2, missing=()):
    rng = np.random.default_rng(0)
    rest = REST + 0.5 + rng.normal(0, noise, (40, COUNT))
    posed = REST + rng.uniform(0, 1, (120, 1)) * (FULL - REST) * 1.2 + 0.5
    for name in missing:
        posed[:, index(name)] = REST[index(name)]
    return rest, posed


def test_a_session_gives_neutral_and_extreme():
    calibration, missing = calibrate('Ada', *session(missing=['eye_wide_left']))
    assert missing == []
    jaw, wide = index('jaw_open'), index('eye_wide_left')
    assert calibration.neutral[jaw] == pytest.approx(REST[jaw] + 0.5, abs=0.1)
    assert calibration.extreme[jaw] > FULL[jaw]
    # What the person did not show keeps the range of most faces.
    assert calibration.extreme[wide] - calibration.neutral[wide] == pytest.approx(
        FULL[wide] - REST[wide]
    )


def test_a_bad_session_is_rejected_with_every_reason():
    with pytest.raises(ConfigError) as caught:
        calibrate('Ada', *session(noise=4.0))
    assert str(caught.value).count('wavered') > 5
    rest, posed = session()
    with pytest.raises(ConfigError, match='3 faces at rest'):
        calibrate('Ada', rest[:3], posed)


def test_a_short_session_says_what_is_missing_and_keeps_what_it_has():
    rest, posed = session(missing=['jaw_open'])
    jaw = index('jaw_open')
    calibration, missing = calibrate('Ada', rest, posed)
    assert missing == ['jaw_open hardly moved and keeps the range of most faces']
    calibration, missing = calibrate('Ada', rest, posed[:3])
    assert missing == ['only neutral was learned: 3 expressions were seen after the rest']
    assert calibration.neutral[jaw] == pytest.approx(REST[jaw] + 0.5, abs=0.1)
    assert np.allclose(calibration.extreme - calibration.neutral, FULL - REST)


def test_the_automatic_calibration_starts_as_most_faces_and_stays_near():
    auto = AutoCalibration()
    raw = REST.copy()
    first = auto.push(raw, ALL)
    assert np.abs(first.neutral - REST).max() < 1.0
    raw[index('mouth_smile_left')] = 3.0  # a person who smiles all the time keeps smiling
    for _ in range(100):
        last = auto.push(raw, ALL)
    assert last.apply(raw)[index('mouth_smile_left')] > 0.7


def test_a_large_expression_does_not_shrink_the_small_ones():
    auto = AutoCalibration()
    jaw = index('jaw_open')
    small = (REST + FULL) / 2
    before = auto.push(small, ALL).apply(small)[jaw]
    large = REST.copy()
    large[jaw] = FULL[jaw] + 2
    assert auto.push(large, ALL).apply(large)[jaw] == 1
    assert auto.push(small, ALL).apply(small)[jaw] == pytest.approx(before, abs=0.02)


def test_every_channel_can_be_shown_fully_and_noise_at_rest_stays_small():
    default = Calibration.default()
    unit = [index(name) for name in UNIT_CHANNELS]
    assert np.allclose(default.apply(FULL)[unit], 1)
    rng = np.random.default_rng(0)
    width = FULL - REST
    noisy = np.array(
        [default.apply(REST + 0.05 * width * rng.normal(size=COUNT)) for _ in range(200)]
    )
    assert (noisy[:, unit].std(axis=0) < 0.05).all()


def test_unsure_channels_teach_nothing():
    auto = AutoCalibration()
    before = auto.push(REST, ALL)
    wild = np.full(COUNT, 50.0)
    with np.errstate(all='raise'):
        after = auto.push(wild, np.zeros(COUNT, bool))
    assert np.allclose(after.neutral, before.neutral) and np.allclose(
        after.extreme, before.extreme
    )


def test_brows_that_are_high_come_to_rest_within_six_faces():
    auto, brow = AutoCalibration(), index('brow_raise_left')
    raw = REST.copy()
    raw[brow] += 1.0
    few = [auto.push(raw, ALL).neutral[brow] for _ in range(6)][-1] - REST[brow]
    many = [auto.push(raw, ALL).neutral[brow] for _ in range(300)][-1] - REST[brow]
    assert 0.7 * many < few < many


def test_what_was_learned_is_kept_where_learning_stops_and_forgotten_with_the_person():
    auto = AutoCalibration()
    assert auto.belief == 0.0 and np.array_equal(auto.calibration.neutral, REST)
    raw = REST.copy()
    raw[index('brow_raise_left')] += 1.0
    for _ in range(100):
        auto.push(raw, ALL)
    assert auto.belief > 0.9
    assert auto.calibration.neutral[index('brow_raise_left')] > REST[index('brow_raise_left')]
    auto.reset()
    assert auto.belief == 0.0 and np.array_equal(auto.calibration.neutral, REST)
