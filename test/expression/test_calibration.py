"""What a calibration makes of raw channels."""

import numpy as np

from kf_imitation.data_types import ANGLE_CHANNELS, CHANNELS, UNIT_CHANNELS
from kf_imitation.expression.calibration import FULL, REST, Calibration

COUNT = len(CHANNELS)


def index(name):
    return CHANNELS.index(name)


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
