"""What tells eyes that are surely seen from covered ones."""

import numpy as np
import pytest

pytest.importorskip('numba', reason='the renderer needs numba (training extra)')

from training.landmarks.fit import hidden_eyes


def test_the_regression_tells_covered_eyes_and_the_bound_lets_few_of_them_through():
    rng = np.random.default_rng(0)
    clips = []
    for number in range(10):
        free, covered = rng.normal(size=(2, 60, hidden_eyes.EMBEDDING))
        free[:, 0] -= 2
        covered[:, 0] += 2
        clips.append(hidden_eyes.Clip(str(number), free, covered))
    asked = hidden_eyes.left_out(clips)
    least = hidden_eyes.bound(asked)
    assert np.mean([(hidden < least).mean() for _, hidden in asked]) < 0.02
    assert np.mean([(free < least).mean() for free, _ in asked]) > 0.75
    text = hidden_eyes.fitted(clips, asked)
    assert text.startswith('# Whether eyes') and f'seen: {round(least, 3)}' in text
