"""The table of what turning moves is what the fit writes, and the fit finds what is there."""

from pathlib import Path

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS
from kf_imitation.expression import turn_weights
from kf_imitation.expression.channels import TURNED, turn_features
from training.landmarks.fit.turning import fit, table


def test_the_shipped_table_is_as_the_fit_writes_it():
    assert Path(turn_weights.__file__).read_text(encoding='utf-8') == table(turn_weights.WEIGHTS)


def test_what_turning_adds_is_found_again():
    truth = np.array([0.4, -1.0, -2.0, 5.0])
    angles = [(0.0, 0.0), *((y, 0.0) for y in (-0.6, -0.3, 0.3, 0.6))]
    angles += [(0.0, p) for p in (-0.3, -0.15, 0.15, 0.3)]
    raw = np.zeros((len(angles), len(CHANNELS)))
    for row, (yaw, pitch) in zip(raw, angles, strict=True):
        row[CHANNELS.index('head_yaw')], row[CHANNELS.index('head_pitch')] = yaw, pitch
        for base in TURNED:
            row[CHANNELS.index(f'{base}_left')] = 3 + turn_features(yaw, pitch) @ truth
            row[CHANNELS.index(f'{base}_right')] = turn_features(-yaw, pitch) @ truth
    for weights in fit([raw]).values():
        assert weights == pytest.approx(truth, rel=0.05)
