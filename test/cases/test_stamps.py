"""Stamps as cameras really give them: one rule, live and in recordings."""

import itertools

import numpy as np
import pytest

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.writer import BagWriter
from kf_imitation.camera.sources import open_source
from kf_imitation.camera.stamps import CameraLag, FrameTimes
from kf_imitation.replay.simulation import VirtualHead
from kf_imitation.robot import load_robot

T0, DT, S = 1_700_000_000 * 10**9, 33_333_333, 10**9
GOOD = [T0 + i * DT for i in range(30)]


def changed(*pairs, start=T0):
    stamps = [start + i * DT for i in range(30)]
    for index, value in pairs:
        stamps[index] = value
    return stamps


@pytest.fixture
def times():
    said = []

    def run(stamps, arrivals=None, live=False):
        rule = FrameTimes('camera', said.append, live)
        arrivals = arrivals or GOOD
        return [rule.time_of(s, a) for s, a in zip(stamps, arrivals, strict=False)], said

    return run


def test_stamps_that_make_sense_are_taken_as_they_are(times):
    for start in (T0, T0 + 5 * S, 50 * S):  # also of a camera ahead, and since boot
        assert times(changed(start=start)) == (changed(start=start), [])


def test_a_zero_stamp_means_the_time_of_arrival_with_one_warning(times):
    assert times([0] * 30)[0] == GOOD
    given, said = times(changed((10, 0), (20, 0), start=50 * S))
    assert given == changed(start=50 * S)
    assert len(said) == 2 and all('stamps are zero' in words for words in said)


def test_a_late_or_doubled_image_is_left_out(times):
    given, said = times(changed((10, GOOD[11]), (11, GOOD[10]), (20, GOOD[19])))
    assert [i for i, time in enumerate(given) if time is None] == [11, 20]
    assert not said


@pytest.mark.parametrize('step_s', [3600, -37, 53 * 365 * 86400])
def test_a_step_of_the_clock_is_named_and_time_goes_on_by_the_arrivals(times, step_s):
    stamps = [s + (step_s * S if i > 15 else 0) for i, s in enumerate(GOOD)]
    given, said = times(stamps)
    assert given == GOOD
    way = 'forward' if step_s > 0 else 'back'
    (words,) = said
    assert f'its clock steps {way} by' in words


def test_live_time_follows_the_clock_when_it_steps(times):
    stamps = [s - (37 * S if i > 15 else 0) for i, s in enumerate(GOOD)]
    assert times(stamps, live=True)[0] == stamps


def test_a_pause_is_named_and_kept(times):
    late = [s + (3600 * S if i > 15 else 0) for i, s in enumerate(GOOD)]
    given, said = times(late, late)
    assert given == late and said == ['camera: a pause of 3600.0 s']


def test_images_that_arrive_in_a_burst_keep_their_stamps(times):
    burst = [a if i < 10 else GOOD[10] + 4 * S + i for i, a in enumerate(GOOD)]
    assert times(GOOD, burst) == (GOOD, [])


def test_a_stamp_that_never_changes_gives_way_to_the_arrivals(times):
    given, said = times([T0] * 30)
    assert sum(time is not None for time in given) >= 20
    assert 'every image has the same stamp' in said[0]


@pytest.mark.parametrize('seed', range(20))
def test_whatever_the_stamps_time_grows(times, seed):
    random = np.random.default_rng(seed)
    stamps = random.choice([0, T0, T0 + S, 50 * S, -5, 2**62], 200).tolist()
    arrivals = (T0 + np.cumsum(random.integers(-S, 2 * S, 200))).tolist()
    given = [time for time in times(stamps, arrivals)[0] if time is not None]
    assert all(a < b for a, b in itertools.pairwise(given))


def bag(folder, stamps):
    with BagWriter(folder, minimum_free_mb=0) as writer:
        out = BagTopics(writer)
        for i, stamp_ns in enumerate(stamps):
            image = np.full((8, 10, 3), 5 * i, np.uint8)
            out.image('camera/image_raw', image, stamp_ns, written_ns=GOOD[i])
    return open_source(str(folder))


def read(source):
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def test_a_bag_with_a_late_image_leaves_it_out_and_counts_it(tmp_path):
    source = bag(tmp_path / 'bag', changed((10, 0), (20, 50 * S + 19 * DT), start=50 * S))
    frames = read(source)
    assert [frame.index for frame in frames] == [i for i in range(30) if i != 20]
    assert source.left_out.count == 1
    assert source.left_out.first == 'frame 20: has the same stamp as the one before it'


def test_the_simulated_head_jumps_over_a_pause_of_53_years():
    head = VirtualHead(load_robot('sim_face'), 100.0, hold_s=1.0)
    head.start(0)
    head.advance(S)
    goal = load_robot('sim_face').neutral_rad.copy()
    goal[0] += 0.1
    assert head.set_goal(goal, S, S) is None and not head.rejected
    years = 53 * 365 * 86400 * S
    head.advance(years)
    head.see_face(years)
    head.set_goal(goal, years + S, years)
    head.advance(years + S + S * 9 // 10)
    trace = head.trace()
    assert len(trace.stamp_ns) < 1500 and (np.diff(trace.stamp_ns) > 0).all()
    before = np.searchsorted(trace.stamp_ns, years) - 1
    neutral = load_robot('sim_face').neutral_rad[0]
    assert abs(trace.present_rad[before, 0] - neutral) < 0.02  # it had relaxed
    assert abs(trace.present_rad[-1, 0] - goal[0]) < 0.02  # and moves again
    assert np.abs(np.diff(trace.commanded_rad[:, 0])).max() < 0.06  # without a jump
    assert not head.rejected


def lags_left(ages_s, bearable_s=0.075):
    """Return how far corrected stamps lie behind [s], image by image, and what was said."""
    said = []
    lag = CameraLag('cam', bearable_s, said.append)
    left = []
    for index, age_s in enumerate(ages_s):
        now_ns = 10**18 + index * 33_333_333
        left.append((now_ns - lag.corrected(now_ns - round(age_s * 1e9), now_ns)) * 1e-9)
    return np.array(left), said


def test_a_constant_lag_is_taken_off_and_said_once():
    left, said = lags_left([2.0] * 300)
    assert (left[:19] == pytest.approx(2.0)) and (left[19:] == pytest.approx(0.0))
    assert len(said) == 1 and '2.00 s' in said[0]


def test_a_few_odd_stamps_do_not_hide_a_lag_and_jitter_is_counted_from_the_freshest():
    jitter = np.random.default_rng(0).uniform(0, 0.06, 600)
    ages = 0.5 + jitter
    ages[::40] = 0.0  # stamps of another kind
    left, said = lags_left(ages)
    usual = np.arange(600) % 40 > 0
    assert left[100:][usual[100:]].max() < 0.075 and len(said) == 1


def test_lateness_that_comes_and_goes_stays_lateness():
    ages = np.where(np.arange(600) % 10 == 0, 0.01, 1.0)
    left, said = lags_left(ages)
    assert left == pytest.approx(ages) and not said


def test_a_clock_that_is_set_right_ends_the_correction():
    left, said = lags_left([3.0] * 200 + [0.01] * 200)
    assert left[250:] == pytest.approx(0.01) and len(said) == 2
    assert 'no longer' in said[1]


def test_small_lags_other_clocks_and_runs_that_take_any_age_are_left_alone():
    for ages, bearable_s in (([0.05] * 99, 0.075), ([50.0] * 99, 0.075), ([3.0] * 99, 0.0)):
        left, said = lags_left(ages, bearable_s)
        assert left == pytest.approx(ages) and not said
