import pytest

from kf_imitation.pipeline.statistics import Ledger


def test_percentiles_and_counts_are_those_of_the_observations():
    ledger = Ledger()
    for value in range(1, 101):
        ledger.observe('score', value / 1000)
    ledger.add('dropped', 2)
    times = ledger.times()['score']
    assert times.count == 100
    assert times.p50_ms == pytest.approx(50.5)
    assert times.worst_ms == pytest.approx(100)
    assert ledger.count('dropped') == 2
    assert ledger.count('never') == 0


def test_a_timed_body_is_observed_once():
    ledger = Ledger()
    with ledger.timed('stage'):
        pass
    assert ledger.times()['stage'].count == 1


def test_the_newest_observations_can_be_looked_at_alone():
    ledger = Ledger()
    for value in (9.0, 9.0, 1.0, 2.0, 3.0):
        ledger.observe('stage', value)
    times = ledger.times(newest=3)['stage']
    assert (times.count, times.p50_ms, times.worst_ms) == (5, 2000, 3000)
