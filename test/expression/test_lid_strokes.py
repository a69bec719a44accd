"""Blinks and winks, as they are shown for what is read of the lids."""

import numpy as np
import pytest

from kf_imitation.data_types import BLENDSHAPES, CHANNELS, FrameScore
from kf_imitation.expression.lid_strokes import HALF, SHALLOW, SURELY, WHOLE, BlinkStrokes
from kf_imitation.expression.reflex_estimator import ReflexEstimator

LIDS = [CHANNELS.index(f'eye_close_{side}') for side in ('left', 'right')]


def frame(index, rate_hz, left, right):
    reading = np.full(len(BLENDSHAPES), 0.02, np.float32)
    reading[[BLENDSHAPES.index(f'eyeBlink{side}') for side in ('Left', 'Right')]] = left, right
    return FrameScore(index, round(index / rate_hz * 1e9), None, reading=reading)


def shown(*lids, lids_right=None, rate_hz=30):
    """Closure of both lids over readings of eyeBlink at a frame rate, (n, 2)."""
    reader, rows = ReflexEstimator(), []
    for index, (left, right) in enumerate(zip(lids, lids_right or lids, strict=True)):
        found = reader.update(frame(index, rate_hz, left, right))
        rows.append(found.values[LIDS])
    return np.array(rows)


def test_a_blink_that_is_read_half_is_shown_whole_and_is_over_within_a_third_of_a_second():
    lids = shown(*[0.05] * 10, 0.5, 0.5, 0.2, *[0.05] * 10)
    shut = np.flatnonzero((lids >= 0.69).all(axis=1))
    assert shut[0] == 10 and shut.tolist() == list(range(10, shut[-1] + 1))
    assert 0.09 <= len(shut) / 30 <= 0.17
    assert lids[20].max() < 0.2


def test_a_blink_that_is_read_as_less_than_half_stays_under_half_as_long_as_a_whole_one():
    lids = shown(*[0.05] * 10, 0.42, 0.45, 0.2, *[0.05] * 10)
    assert lids[10:13].min() > 0.45 and lids.max() < 0.5
    assert lids[20].max() < 0.2


def test_between_half_and_surely_shut_a_blink_is_as_much_deeper_as_it_is_read():
    depths = []
    for read in np.linspace(HALF - 0.02, SURELY + 0.02, 9):
        strokes = BlinkStrokes()
        strokes.push(0, np.full(2, 0.05))
        depths.append(strokes.push(40_000_000, np.full(2, read))[0])
    assert depths[0] == SHALLOW and depths[-1] == WHOLE
    assert (np.diff(depths) >= 0).all() and np.diff(depths).max() < 0.1
    assert depths[4] == pytest.approx((SHALLOW + WHOLE) / 2)


def test_both_lids_of_a_blink_shut_alike_though_one_is_read_as_less():
    lids = shown(
        *[0.05] * 10, 0.6, 0.6, *[0.05] * 10, lids_right=[*[0.05] * 10, 0.4, 0.4, *[0.05] * 10]
    )
    assert lids[10:12].min() >= 0.69


def test_one_lid_alone_winks_and_the_other_stays_open():
    lids = shown(*[0.05] * 10, 0.45, 0.5, *[0.05] * 10, lids_right=[0.05] * 22)
    assert lids[11, 0] >= 0.69 and lids[:, 1].max() < 0.2


def test_lids_that_sink_slowly_or_a_little_are_shown_as_they_are():
    assert shown(*np.linspace(0.05, 0.5, 60)).max() < 0.65
    assert shown(*[0.05] * 10, 0.2, 0.2, *[0.05] * 10).max() < 0.5


def test_eyes_cast_down_quickly_are_half_closed_again_after_a_moment():
    lids = shown(*[0.05] * 10, *[0.5] * 30)
    assert lids[12].min() >= 0.69 and lids[-1].max() < 0.65


def test_eyes_kept_shut_end_the_stroke_when_they_open():
    lids = shown(*[0.05] * 10, *[0.9] * 8, *[0.05] * 8)
    assert lids[10:18].min() > 0.95 and lids[18].max() < 0.3
