"""Labels that are late are found to be, and made up for."""

import numpy as np
import pytest

pytest.importorskip('torch')

from training.data.clip_cache import CachedClip
from training.data.labels import Labels, smooth
from training.keyframe.measure.lag import LAGS_S, PARTS, agreement
from training.keyframe.measure.run import smoothed_score

FPS, LAG_S = 30.0, 0.02


def wave(stamps):
    """51 blendshapes and 3 angles that go to and fro, each at its own pace."""
    return np.sin(stamps[:, None] * np.linspace(4, 9, 54)) / 10


def clip():
    stamps = np.arange(120) / FPS
    late = wave(stamps - LAG_S).astype(np.float32)
    labels = Labels(
        late[:, :51], (), late[:, 51:], np.zeros((120, 478, 2)), np.ones(120, bool), FPS, LAG_S
    )
    return CachedClip('late', np.empty(0), labels, np.empty(0))


def test_changes_agree_best_with_labels_of_the_right_time():
    changes = np.diff(wave(np.arange(120) / FPS), axis=0, prepend=0)
    found = agreement([(changes, clip())], LAGS_S)
    assert set(found) == set(PARTS)
    for row in found.values():
        # Between frames labels are interpolated, which blurs them a little.
        assert LAGS_S[int(np.argmax(row))] == pytest.approx(LAG_S, abs=0.006)
        assert max(row) > row[0] + 0.005


def test_smoothing_makes_up_for_what_is_late():
    stamps = np.arange(120) / FPS
    late = wave(stamps - LAG_S)
    inner = slice(8, -8)
    assert np.abs(smooth(late, 0.0, FPS, LAG_S) - wave(stamps))[inner].max() < 2e-3
    assert np.abs(late - wave(stamps))[inner].max() > 1e-2
    assert smooth(late.reshape(120, 27, 2), 0.03, FPS, LAG_S).shape == (120, 27, 2)


def test_a_delayed_score_is_later():
    stamps = np.arange(60) / FPS
    change = np.zeros((60, 54))
    change[:, 3] = 0.1 * np.exp(-0.5 * ((stamps - 1) / 0.1) ** 2)
    plain, late = (smoothed_score(change, FPS, delay_s=d) for d in (0.0, 1 / FPS))
    assert np.allclose(plain[5:-5], late[6:-4], atol=0.02)
