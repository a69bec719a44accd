"""How weights of predictions are chosen; no data, no model."""

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS
from kf_imitation.expression.channels import PREDICTION_WEIGHT
from kf_imitation.landmarks.landmark_model import PART_WEIGHT
from training.landmarks.fit.blend_weights import PART_OF, WEIGHTS, Score, best, columns, score

NOTHING = float('nan')


class Labels:
    def __init__(self, channels):
        self.channels = channels


def test_every_weight_of_the_package_is_among_those_tried():
    assert set(PART_OF) == set(PREDICTION_WEIGHT)
    assert {*PART_OF.values(), 'cheek'} == set(PART_WEIGHT)
    assert {*PREDICTION_WEIGHT.values(), *PART_WEIGHT.values()} <= set(WEIGHTS)


def test_both_sides_of_a_channel_count():
    assert [CHANNELS[k] for k in columns('eye_close')] == ['eye_close_left', 'eye_close_right']
    assert [CHANNELS[k] for k in columns('jaw_open')] == ['jaw_open']
    truth = np.zeros((40, len(CHANNELS)))
    truth[:, columns('eye_close')[0]] = np.linspace(0, 1, 40)
    found = truth + 0.1
    assert score('eye_close', [Labels(truth)], [found]) == (pytest.approx(1.0), pytest.approx(0.1))
    assert np.isnan(score('jaw_open', [Labels(truth)], [found]).r)  # moves in no clip


def test_a_weight_changes_for_more_than_chance_only():
    assert best({0.3: Score(0.9, 0.1), 0.5: Score(0.901, 0.1)}, 0.3) == 0.3
    assert best({0.3: Score(0.9, 0.1), 0.5: Score(0.91, 0.2)}, 0.3) == 0.5
    assert best({0.3: Score(0.9, 0.1), 0.5: Score(0.901, 0.05)}, 0.3) == 0.5
    assert best({0.3: Score(0.9, 0.1), 0.5: Score(0.89, 0.05)}, 0.3) == 0.3
    assert best({0.3: Score(NOTHING, 0.1), 0.5: Score(NOTHING, 0.05)}, 0.3) == 0.5
