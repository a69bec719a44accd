from dataclasses import replace

import numpy as np
import pytest

from kf_imitation.evaluation.intervals import (
    interval,
    intervals_table,
    of_difference,
    of_method,
)
from kf_imitation.evaluation.metrics import ClipMetrics

CLIP = ClipMetrics(1.0, 0.5, 0.8, 0.9, None, None, truth=9, found=8, paired=7, frames=99)


def test_people_who_are_all_alike_leave_no_doubt():
    found = interval([0.25] * 6, ['a', 'a', 'b', 'c', 'd', 'd'])
    assert (found.mean, found.low, found.high, found.people) == (0.25, 0.25, 0.25, 4)


def test_the_interval_is_that_of_the_mean_of_as_many_independent_people():
    """Against the normal distribution: mean plus and minus 1.96 standard errors."""
    values = np.random.default_rng(1).normal(3.0, 1.0, 400)
    found = interval(values.tolist(), [str(i) for i in range(400)])
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.01)
    assert found.high == pytest.approx(values.mean() + half, abs=0.01)


def test_clips_of_one_person_do_not_count_as_so_many_people():
    values = [0.0] * 20 + [1.0] * 20
    few = interval(values, ['a'] * 20 + ['b'] * 20)
    many = interval(values, [str(i) for i in range(40)])
    assert (few.low, few.high) == (0.0, 1.0)  # of two people, both draws may be the same one
    assert 0.3 < many.low < many.high < 0.7


def test_the_mean_is_over_clips_as_everywhere():
    assert interval([0.0, 0.0, 0.0, 1.0], ['a', 'a', 'a', 'b']).mean == 0.25


def test_what_is_hard_for_both_drops_out_of_a_difference():
    rng = np.random.default_rng(0)
    first = {str(i): replace(CLIP, f1=float(f), e_l=None) for i, f in enumerate(rng.random(30))}
    other = {name: replace(clip, f1=clip.f1 - 0.02) for name, clip in first.items()}
    people = {name: name for name in first}
    alone, paired = of_method(first, people)['f1'], of_difference(first, other, people)['f1']
    assert alone.high - alone.low > 0.1
    assert paired.low == pytest.approx(0.02) and paired.high == pytest.approx(0.02)
    assert 'e_l' not in of_difference(first, other, people)


def test_clips_with_too_few_keyframes_are_left_out_as_in_the_means():
    clips = {'one': CLIP, 'two': replace(CLIP, truth=2, f1=0.0)}
    found = of_method(clips, {'one': 'a', 'two': 'b'})['f1']
    assert (found.mean, found.people) == (0.8, 1)


def test_the_table_compares_every_method_with_the_first():
    clips = {'one': CLIP, 'two': CLIP}
    people = {'one': 'a', 'two': 'b'}
    table = intervals_table({'default': clips, 'lite': clips, 'dis': clips}, people)
    names = list(table.columns[0].cells)
    assert names == ['default', 'lite', 'dis', 'default minus lite', 'default minus dis']
    assert list(table.columns[3].cells)[-1] == '+0.000\n[+0.000, +0.000]'
    assert table.title == '95 % intervals over 2 people'
