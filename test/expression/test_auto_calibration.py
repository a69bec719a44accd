"""The calibration that learns itself."""

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS
from kf_imitation.expression.calibration import FULL, REST, AutoCalibration

COUNT = len(CHANNELS)
ALL = np.ones(COUNT, bool)


def index(name):
    return CHANNELS.index(name)


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
