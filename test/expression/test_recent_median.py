"""Medians of what was seen of late, as NumPy finds them."""

import numpy as np

from kf_imitation.expression.recent_median import RecentMedian


def test_it_is_the_median_of_the_last_rows_without_what_is_not_known():
    rng = np.random.default_rng(5)
    rows = rng.choice(np.arange(9.0), (40, 3))  # equal values among them
    rows[rng.random(rows.shape) < 0.3] = np.nan
    rows[:4, 2] = np.nan
    recent = RecentMedian(3, kept=7)
    for end in range(1, len(rows) + 1):
        recent.push(rows[end - 1])
        last = rows[max(0, end - 7) : end]
        known = np.isfinite(last)
        np.testing.assert_array_equal(recent.counts, known.sum(axis=0))
        wanted = [
            np.median(last[known[:, k], k]) if known[:, k].any() else np.nan for k in (0, 1, 2)
        ]
        np.testing.assert_array_equal(recent.medians(), wanted)
        assert len(recent) == len(last)
    recent.clear()
    assert len(recent) == 0 and np.isnan(recent.medians()).all()
