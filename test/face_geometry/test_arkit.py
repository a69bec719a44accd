"""Channels and blendshapes of one face agree."""

import numpy as np
import pytest
from scipy.special import logit

from kf_imitation.data_types import BLENDSHAPES, CHANNELS, HEAD_CHANNELS
from kf_imitation.face_geometry.arkit import (
    bounded_logits,
    channels_of_blendshapes,
    shapes_of_channels,
)

FACE = len(CHANNELS) - len(HEAD_CHANNELS)


def channels(**values):
    row = np.zeros(len(CHANNELS))
    for name, value in values.items():
        row[CHANNELS.index(name)] = value
    return row


@pytest.mark.parametrize('seed', range(5))
def test_the_blendshapes_of_channels_make_these_channels(seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.0, 0.5, len(CHANNELS))
    values[CHANNELS.index('brow_raise_right')] = values[CHANNELS.index('brow_raise_left')]
    back = channels_of_blendshapes(shapes_of_channels(values))
    assert back[:FACE] == pytest.approx(values[:FACE])


def test_predictions_say_how_a_channel_is_shared_and_what_no_channel_says():
    predicted = np.zeros(len(BLENDSHAPES))
    predicted[BLENDSHAPES.index('mouthPucker')] = 0.1
    predicted[BLENDSHAPES.index('mouthFunnel')] = 0.2
    predicted[BLENDSHAPES.index('noseSneerLeft')] = 0.3
    predicted[BLENDSHAPES.index('jawOpen')] = 0.9
    shapes = shapes_of_channels(channels(mouth_pucker=0.6, jaw_open=0.4), predicted)
    found = dict(zip(BLENDSHAPES, shapes, strict=True))
    assert found['mouthPucker'] == pytest.approx(0.3)
    assert found['mouthFunnel'] == pytest.approx(0.6)
    assert found['noseSneerLeft'] == 0.3
    assert found['jawOpen'] == 0.4


def test_a_brow_raised_on_one_side_does_not_raise_the_other():
    shapes = shapes_of_channels(channels(brow_raise_left=0.8))
    back = channels_of_blendshapes(shapes)
    assert back[CHANNELS.index('brow_raise_left')] == pytest.approx(0.8)
    assert back[CHANNELS.index('brow_raise_right')] == 0.0


def test_nothing_leaves_the_range():
    shapes = shapes_of_channels(np.full(len(CHANNELS), 5.0), np.full(len(BLENDSHAPES), np.nan))
    assert shapes.min() >= 0.0 and shapes.max() <= 1.0


@pytest.mark.parametrize('kind', [np.float32, np.float64])
def test_logits_are_those_of_scipy(kind):
    values = np.concatenate([[0.0, 0.3, 0.5, 0.65, 1.0], np.linspace(0.001, 0.999, 997)])
    values = values.astype(kind)
    found = bounded_logits(values)
    assert found.dtype == kind
    wanted = logit(np.clip(values, 1e-3, 1 - 1e-3))
    np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(kind).eps)
