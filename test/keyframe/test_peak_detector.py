import itertools
from dataclasses import replace
from itertools import takewhile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offline_search import find_keyframes
from scipy.signal import find_peaks

from kf_imitation.data_types import FrameScore
from kf_imitation.keyframe.scoring.pair_scorer import score_of_change, score_of_raw
from kf_imitation.keyframe.selection.selector import (
    CAUSAL,
    KeyframeDetector,
    KeyframeSelector,
)
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.parameters.settings import MODES, DetectorSettings


def recording(values, fps=30.0, stamps_ns=None):
    """Frame scores of a recording; None is a frame without a score."""
    result = []
    before = None
    for index, value in enumerate(values):
        stamp = round(index / fps * 1e9) if stamps_ns is None else stamps_ns[index]
        dt_s = 1 / fps if before is None else (stamp - before) * 1e-9
        dt_s = 0.0 if value is None else dt_s
        score = None if value is None else float(value)
        result.append(FrameScore(index, stamp, score, dt_s=dt_s))
        before = stamp
    return result


def select(scores, detector_settings, smoothing=None):
    """Everything through smoothing and detection, one frame at a time."""
    selector = KeyframeSelector(detector_settings, smoothing)
    steps = [*(selector.push(score) for score in scores), selector.flush()]
    return [k for step in steps for k in step.keyframes]


def judge(values, detector_settings, ahead=5, fps=30.0):
    """The detector alone, on scores that are final at once."""
    scores = recording(values, fps)
    detector = KeyframeDetector(detector_settings)
    judged = []
    for i, score in enumerate(scores):
        later = list(takewhile(lambda s: s.score is not None, scores[i + 1 : i + 1 + ahead]))
        judged.append(detector.push(score, later))
    return [k for k in judged if k is not None]


def bumps(times_s, duration_s, fps, height=0.6, width_s=0.08, floor=0.02):
    """A score with one bump at each time, as a camera of this rate would see it."""
    t = np.arange(round(duration_s * fps)) / fps
    raw = sum(np.exp(-0.5 * ((t - time) / width_s) ** 2) for time in times_s)
    return floor + (height - floor) * np.clip(raw, 0, 1)


@st.composite
def recordings(draw):
    """Plateaus, gaps, jitter and dropped frames included."""
    value = st.one_of(
        st.floats(0, 1, allow_nan=False),
        st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.6, 1.0]),
    )
    values = draw(
        st.lists(st.one_of(value, value, value, value, st.none()), min_size=0, max_size=80)
    )
    frame_ns = round(1e9 / draw(st.sampled_from([15, 24, 25, 29.97, 30, 60])))
    steps = draw(
        st.lists(
            st.sampled_from([1.0, 1.0, 1.0, 0.8, 1.2, 2.0]),
            min_size=len(values),
            max_size=len(values),
        )
    )
    stamps = np.cumsum([0, *(round(s * frame_ns) for s in steps)])[: len(values)]
    return recording(values, stamps_ns=[int(s) for s in stamps])


any_settings = st.builds(
    DetectorSettings,
    mode=st.sampled_from(MODES),
    prominence=st.sampled_from([0.0, 0.05, 0.1, 0.3]),
    threshold=st.sampled_from([0.0, 0.0, 0.3]),
    spacing_s=st.sampled_from([0.0, 0.1, 0.2, 0.5]),
    commit_delay_s=st.sampled_from([0.0, 0.07, 0.1, 0.17, 0.5, 2.0]),
    travel_threshold=st.sampled_from([0.05, 0.3, 1.0]),
)


@settings(max_examples=200, deadline=None)
@given(recordings(), any_settings)
def test_online_and_offline_search_agree(scores, detector_settings):
    assert select(scores, detector_settings) == find_keyframes(scores, detector_settings)


@settings(max_examples=100, deadline=None)
@given(recordings(), any_settings, st.integers(0, 2**31))
def test_online_and_offline_search_agree_on_change_vectors(scores, detector_settings, seed):
    rng = np.random.default_rng(seed)
    path = rng.normal(0, 0.05, (len(scores) + 4, 54)).astype(np.float32)
    moving = [
        s if s.score is None else replace(s, change=path[i : i + 4].sum(axis=0))
        for i, s in enumerate(scores)
    ]
    smoothing = Smoothing(0.04, 0.05)
    assert select(moving, detector_settings, smoothing) == find_keyframes(
        moving, detector_settings, smoothing
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=60, unique=True),
    st.sampled_from([0.05, 0.1, 0.3]),
)
def test_without_a_limit_on_delay_and_spacing_every_keyframe_is_a_scipy_peak(values, prominence):
    wanted = DetectorSettings(mode='peak', prominence=prominence, spacing_s=0)
    found = {k.index for k in judge(values, wanted, ahead=len(values))}
    expected, _ = find_peaks(values, prominence=prominence)
    assert set(expected) <= found
    # A peak that the recording's end cuts off needs less on its right side.
    assert all(np.max(values[k + 1 :]) < values[k] for k in found - set(expected))


@pytest.mark.parametrize('mode', MODES)
@settings(max_examples=100, deadline=None)
@given(scores=recordings())
def test_keyframes_come_in_order_and_keep_their_spacing(mode, scores):
    wanted = DetectorSettings(mode=mode, travel_threshold=0.2)
    found = select(scores, wanted)
    stamps = [k.stamp_ns for k in found]
    assert stamps == sorted(stamps)
    longest = max(np.diff([s.stamp_ns for s in scores]), default=0)
    assert all(b - a >= 0.2e9 - longest / 2 - 1e3 for a, b in itertools.pairwise(stamps))


@pytest.mark.parametrize('fps', [15, 23.976, 25, 30, 60])
@pytest.mark.parametrize('delay_s', [0.1, 0.17, 0.3])
@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.floats(0, 1), max_size=100))
def test_a_steady_stream_never_waits_longer_than_the_commit_delay(fps, delay_s, values):
    for mode in MODES:
        wanted = DetectorSettings(mode=mode, commit_delay_s=delay_s, travel_threshold=0.3)
        for keyframe in select(recording(values, fps), wanted):
            assert -1e-9 <= keyframe.commit_delay_s <= delay_s + 1e-6


def test_a_peak_needs_half_the_prominence_on_its_right_side():
    for step, expected in ((0.009, []), (0.011, [2])):
        values = [0, 0.1, 0.5, *(0.5 - step * n for n in range(1, 30))]
        assert [k.index for k in judge(values, DetectorSettings(mode='peak'))] == expected


def test_a_higher_frame_ahead_takes_over():
    values = [0, 0.1, 0.5, 0.46, 0.55, 0.4, 0.2, 0.1, 0]
    (keyframe,) = judge(values, DetectorSettings(mode='peak'))
    assert keyframe.index == 4
    assert keyframe.prominence == pytest.approx(0.55)
    assert keyframe.commit_delay_s == pytest.approx(4 / 30, abs=1e-6)


def test_a_higher_peak_after_the_spacing_is_another_one():
    values = [0, 0.1, 0.5, 0.4, 0.3, 0.2, 0.2, 0.2, 0.6, 0.8, 0.3, 0.2, 0.1]
    found = judge(values, DetectorSettings(mode='peak'), ahead=10)
    assert [k.index for k in found] == [2, 9]
    found = judge(values, DetectorSettings(mode='peak', spacing_s=0.3), ahead=10)
    assert [k.index for k in found] == [9]


def test_a_gap_ends_the_segment_and_decides_what_was_waiting():
    selector = KeyframeSelector(DetectorSettings(mode='peak'))
    values = [*bumps([0.5], 0.65, 30), None, 0.1, 0.1]
    scores = recording(values)
    steps = [selector.push(score) for score in scores]
    gap = values.index(None)
    assert [len(step.keyframes) for step in steps] == [int(i == gap) for i in range(len(steps))]
    (keyframe,) = steps[gap].keyframes
    assert (keyframe.index, keyframe.committed_stamp_ns) == (15, scores[gap].stamp_ns)
    assert [s.index for step in steps[: gap + 1] for s in step.scores] == list(range(gap + 1))


def test_the_edge_of_a_segment_is_no_peak():
    values = [0.9, 0.1, 0.05, None, 0.8, 0.2, 0.1, 0.1, 0.3, 0.9]
    assert judge(values, DetectorSettings(mode='peak')) == []


def test_settings_change_while_running():
    selector = KeyframeSelector(DetectorSettings(mode='peak', prominence=0.9))
    scores = recording(bumps([0.5, 1.5, 2.5], 3, 30))
    early = [k for s in scores[:30] for k in selector.push(s).keyframes]
    selector.configure(DetectorSettings(mode='peak', prominence=0.1))
    late = [k for s in scores[30:60] for k in selector.push(s).keyframes]
    assert (len(early), [k.index for k in late]) == (0, [45])
    rest = selector.configure(DetectorSettings(mode='settle'))
    assert [s.index for s in rest.scores] == [55, 56, 57, 58, 59]
    last = [k for s in scores[60:] for k in selector.push(s).keyframes]
    assert [k.mode for k in [*last, *selector.flush().keyframes]] == ['settle']


def test_settle_finds_the_end_of_each_movement():
    values = bumps([0.5, 1.5, 2.0], 3.0, 30)
    found = judge(values, DetectorSettings(mode='settle'))
    low = int(np.argmin(values[45:60])) + 45
    assert len(found) == 3
    assert 15 < found[0].index < 25
    assert abs(found[1].index - low) <= 2
    assert 60 < found[2].index < 70


def test_settle_finds_nothing_in_a_still_face():
    noise = np.random.default_rng(1).uniform(0.01, 0.06, 900)
    assert judge(noise, DetectorSettings(mode='settle')) == []


def test_travel_is_uniform_along_the_way_and_has_no_delay():
    raw = 0.106  # per frame, so ten frames make a quantum, though the first fade a little
    found = select(
        recording([score_of_raw(raw)] * 55),
        DetectorSettings(mode='travel', travel_threshold=1.0),
    )
    assert [k.index for k in found] == [0, 10, 20, 30, 40, 50]
    assert all(k.commit_delay_s == 0 for k in found)


@pytest.mark.parametrize('mode', MODES)
def test_camera_noise_on_a_still_face_gives_no_keyframes(mode):
    rng = np.random.default_rng(7)
    values = np.abs(rng.normal(0.02, 0.012, 3000))
    assert select(recording(values), DetectorSettings(mode=mode)) == []
    if mode in CAUSAL:  # the first movement shows the face that came into view
        values[1000] = 0.7
        smoothed = select(recording(values), DetectorSettings(mode=mode))
        assert [k.index for k in smoothed] == [1000]


def expressions(faces, fps=30.0):
    """Frame scores with change vectors of a face that is (N, 54) blendshapes and head angles."""
    changes = np.diff(faces, axis=0, prepend=faces[:1]).astype(np.float32) * fps / 30
    return [
        replace(score, change=change)
        for score, change in zip(
            recording([score_of_change(change) for change in changes], fps), changes, strict=True
        )
    ]


@pytest.mark.parametrize('mode', CAUSAL)
@pytest.mark.parametrize('fps', [15, 30, 60])
def test_noise_that_goes_to_and_fro_gives_no_keyframes_however_strong(mode, fps):
    """A network's answer to camera noise in a dim picture scored above the share that is still."""
    faces = np.random.default_rng(2).normal(0, 0.0015, (20 * fps, 54))
    scores = expressions(faces, fps)
    assert np.median([s.score for s in scores]) > 0.05
    wanted = DetectorSettings(mode=mode, travel_threshold=0.6)
    assert select(scores, wanted) == []
    without_direction = [replace(s, change=None) for s in scores]
    assert len(select(without_direction, wanted)) > 3
    # A movement is still seen, and at once.
    faces[10 * fps :, 20] += np.clip(np.arange(10 * fps) / fps, 0, 0.5)
    first = select(expressions(faces, fps), wanted)[0]
    assert 10.1 < first.stamp_ns * 1e-9 < 10.6


@pytest.mark.parametrize('mode', CAUSAL)
def test_a_face_that_came_back_to_the_one_shown_last_needs_no_pose(mode):
    opening = np.clip(np.concatenate([np.arange(9), np.arange(7)[::-1], np.zeros(60)]), 0, 8) / 10
    faces = np.zeros((len(opening), 54))
    faces[:, 17] = opening
    wanted = DetectorSettings(mode=mode, travel_threshold=1.2)
    found = select(expressions(faces), wanted)
    # The way there and back is a quantum; what counts is that the face is where it was.
    assert [k.index for k in found] == [2]


def movement(times_s, duration_s, fps, height):
    """The scores of one movement as cameras of different rates see it: each pair's own mean."""
    fine = bumps(times_s, duration_s + 1, 3000, height)
    total = np.cumsum(fine) / 3000
    count = round(duration_s * fps)
    edges = np.interp(np.arange(count + 1) / fps, np.arange(len(fine)) / 3000, total)
    return np.diff(edges, prepend=edges[0])[:count] * fps


@pytest.mark.parametrize('mode', ['peak', 'settle'])
@settings(max_examples=10, deadline=None)
@given(
    starts=st.lists(st.floats(0.55, 1.2), min_size=1, max_size=6),
    height=st.floats(0.4, 0.9),
)
def test_the_same_movement_at_any_frame_rate_gives_the_same_keyframes(mode, starts, height):
    times = np.cumsum(starts)
    wanted = DetectorSettings(mode=mode)
    by_rate = {}
    for fps in (15, 25, 30, 60):
        found = select(recording(movement(times, times[-1] + 1, fps, height), fps), wanted)
        by_rate[fps] = np.array([k.stamp_ns * 1e-9 for k in found])
        assert all(k.commit_delay_s <= wanted.commit_delay_s + 1e-6 for k in found)
    for fps in (15, 25, 60):
        assert len(by_rate[fps]) == len(by_rate[30]) == len(times)
        assert np.allclose(by_rate[fps], by_rate[30], atol=2.01 / 30)


def test_travel_is_the_same_at_any_frame_rate():
    times = np.arange(1, 9) * 0.9
    by_rate = {}
    for fps in (15, 25, 30, 60):
        scores = recording(movement(times, 9, fps, 0.7), fps)
        by_rate[fps] = [k.stamp_ns * 1e-9 for k in select(scores, DetectorSettings(mode='travel'))]
    for fps in (15, 25, 60):
        assert len(by_rate[fps]) == pytest.approx(len(by_rate[30]), abs=1)
        assert by_rate[fps][0] == pytest.approx(by_rate[30][0], abs=2.01 / 30)


def test_combined_adds_the_end_of_a_movement_that_is_short_of_the_quantum():
    moving = [score_of_raw(0.1)] * 5  # half a quantum in all
    values = [*moving, *[0.0] * 20]
    quantum = DetectorSettings(mode='travel', travel_threshold=1.0)
    assert [k.index for k in select(recording(values), quantum)] == [0]
    found = select(recording(values), DetectorSettings(mode='combined', travel_threshold=1.0))
    assert len(found) == 2
    assert found[1].mode == 'combined'
    assert found[1].commit_delay_s == 0.0
    assert found[1].index >= len(moving)
