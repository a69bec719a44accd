"""Calibrations from what a person showed in a session."""

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS
from kf_imitation.errors import ConfigError
from kf_imitation.expression.calibration import FULL, REST
from kf_imitation.expression.calibration_fit import calibrate

COUNT = len(CHANNELS)


def index(name):
    return CHANNELS.index(name)


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
    said = str(caught.value)
    assert said.count(' times what may be') > 5 and 'jaw_open (' in said
    assert 'a shorter rest (kf_imitation calibrate --rest-s)' in said
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
