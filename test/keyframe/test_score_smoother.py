from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from scipy.special import erfcx

from kf_imitation.data_types import FrameScore
from kf_imitation.keyframe.scoring.pair_scorer import (
    raw_of_score,
    score_at_rate,
    score_of_change,
    score_of_raw,
)
from kf_imitation.keyframe.selection.smoother import ScoreSmoother, Smoothing, future, smoothed


def frames(scores, fps=30.0, changes=None):
    result = []
    for i, score in enumerate(scores):
        change = None if changes is None else np.asarray(changes[i], np.float32)
        stamp = round(i / fps * 1e9)
        dt_s = 1 / fps
        if score is None:
            result.append(FrameScore(i, stamp, None))
        else:
            result.append(FrameScore(i, stamp, score, dt_s=dt_s, change=change))
    return result


def smooth(smoother, raw):
    estimates = [e for r in raw for e in smoother.push(r)] + smoother.flush()
    return [e.score for e in estimates]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1), st.floats(0, 1)), max_size=60),
    st.sampled_from([0.0, 0.05, 0.1]),
)
def test_every_frame_comes_out_once_in_order_and_gaps_stay_gaps(scores, look_ahead_s):
    raw = frames(scores)
    out = smooth(ScoreSmoother(look_ahead_s), raw)
    assert [s.index for s in out] == [s.index for s in raw]
    assert [s.score is None for s in out] == [s.score is None for s in raw]


@pytest.mark.parametrize('fps', [15, 23.976, 25, 29.97, 30, 60])
@pytest.mark.parametrize('look_ahead_s', [0.0, 0.07, 0.1, 0.17])
def test_a_result_comes_exactly_when_its_look_ahead_is_complete(fps, look_ahead_s):
    smoother = ScoreSmoother(look_ahead_s)
    count = max(1, int((look_ahead_s + 5e-4) * fps))
    for i, raw in enumerate(frames([0.5] * 30, fps)):
        estimates = smoother.push(raw)
        assert [e.score.index for e in estimates] == ([i - count] * (i >= count))
        for estimate in estimates:
            assert [s.index for s in estimate.ahead] == list(range(i - count + 1, i + 1))


def test_a_causal_mean_comes_with_its_own_frame():
    smoother = ScoreSmoother(0.0, Smoothing(forecast_s=inf), wait_for_next=False)
    for i, raw in enumerate(frames([0.5] * 30)):
        (estimate,) = smoother.push(raw)
        assert (estimate.score.index, estimate.ahead) == (i, ())
        assert estimate.score.score == pytest.approx(0.5)


def test_vectors_that_point_anywhere_cancel_and_movement_stays():
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.02, (300, 54))
    movement = np.zeros(54)
    movement[10] = 0.1
    still = smooth(ScoreSmoother(0.17), frames([0.5] * 300, changes=noise))
    raw_noise = np.mean([score_of_change(n.astype(np.float32)) for n in noise])
    assert np.mean([s.score for s in still]) < 0.65 * raw_noise
    steady = score_of_change(movement.astype(np.float32))
    clean = smooth(ScoreSmoother(0.17), frames([0.5] * 300, changes=[movement] * 300))
    assert clean[150].score == pytest.approx(steady, abs=2e-3)


def random_walk(fps, count=240):
    rng = np.random.default_rng(0)
    steps = gaussian_filter1d(rng.normal(0, 0.03, (count, 54)), 0.02 * fps, axis=0)
    steps[:, 3:] = 0  # few directions: a length that changes a lot
    return np.cumsum(steps, axis=0)


@pytest.mark.parametrize('fps', [25, 30, 60])
def test_with_all_the_look_ahead_the_score_is_the_target_of_the_labels(fps):
    path = random_walk(fps)
    steps = np.diff(path, axis=0, prepend=path[:1]) * fps / 30
    out = smooth(ScoreSmoother(0.2), frames([0.5] * len(path), fps, steps))
    target = gaussian_filter1d(path, 0.05 * fps, axis=0, mode='nearest')
    d = np.diff(target, axis=0, prepend=target[:1]) * fps / 30
    raw = np.linalg.norm(d[:, :51], axis=1) + 2 * np.linalg.norm(d[:, 51:], axis=1)
    expected = 1 - np.exp(-raw / 0.2)
    error = np.abs(np.array([s.score for s in out]) - expected)[12:-12]
    assert error.mean() < 0.02
    assert np.corrcoef([s.score for s in out], expected)[0, 1] > 0.99


def test_an_estimate_grows_better_with_what_is_known():
    path = random_walk(30)
    raw = frames([0.5] * 240, changes=np.diff(path, axis=0, prepend=path[:1]))
    errors = []
    for known in range(6):
        final = [smoothed(raw[: i + 12], i, Smoothing()).score for i in range(60, 180)]
        early = [smoothed(raw[: i + 1 + known], i, Smoothing()).score for i in range(60, 180)]
        errors.append(np.abs(np.subtract(early, final)).mean())
    assert errors == sorted(errors, reverse=True)


def test_a_dropped_frame_hardly_moves_the_result():
    t = np.arange(60) / 30
    vectors = np.outer(np.exp(-0.5 * ((t - 1) / 0.1) ** 2), np.full(54, 0.03))
    full = smooth(ScoreSmoother(0.17), frames([0.5] * 60, changes=vectors))
    raw = frames([0.5] * 60, changes=vectors)
    merged = FrameScore(
        31, raw[31].stamp_ns, 0.5, dt_s=2 / 30, change=(raw[30].change + raw[31].change) / 2
    )
    dropped = smooth(ScoreSmoother(0.17), [*raw[:30], merged, *raw[32:]])
    by_index = {s.index: s.score for s in dropped}
    for s in full:
        if s.index in by_index and s.index != 31:
            assert by_index[s.index] == pytest.approx(s.score, abs=0.02)


@given(st.floats(0, 0.99), st.sampled_from([15, 25, 30, 60]))
def test_the_score_is_a_rate(score, fps):
    raw = raw_of_score(score)
    assert score_of_raw(raw) == pytest.approx(score, abs=1e-9)
    # A pair of half the duration shows half the change.
    pair = score_of_raw(raw * 30 / fps)
    assert score_at_rate(pair, 1 / fps) == pytest.approx(score, abs=1e-5)


def test_who_waits_for_nothing_takes_a_movement_to_go_on():
    assert Smoothing(0.04, 0.01).at_once() == Smoothing(0.04, inf)


@pytest.mark.parametrize('begin', [-3.0, 0.0, 0.5, 4.0])
@pytest.mark.parametrize('decay', [0.0, 0.1, 11.0, 34.0, 40.0, 500.0])
def test_the_future_is_the_integral_of_a_normal_density_that_dies_away(begin, decay):
    wanted = 0.5 * np.exp(-0.5 * begin**2) * erfcx((begin + decay) / np.sqrt(2))
    assert future(begin, decay) == pytest.approx(wanted, rel=1e-9)
