"""What tells mouths and eyes that are surely seen from covered ones."""

import numpy as np
import pytest

pytest.importorskip('numba', reason='the renderer needs numba (training extra)')

from training.landmarks.fit import hidden_parts


def test_regressions_tell_covered_parts_and_the_bounds_let_few_of_them_through():
    rng = np.random.default_rng(0)
    clips = []
    for number in range(10):
        free, covered = rng.normal(size=(2, 60, 2, hidden_parts.EMBEDDING))
        free[..., 0] -= 2
        covered[..., 0] += 2
        clips.append(hidden_parts.Clip(str(number), free, covered))
    for part in range(2):
        asked = hidden_parts.left_out([clip.of(part) for clip in clips])
        strict, lax = (hidden_parts.bound(asked, often) for often in (0.01, 0.05))
        assert strict < lax
        assert np.mean([(hidden < strict).mean() for _, hidden in asked]) < 0.02
        assert np.mean([(free < strict).mean() for free, _ in asked]) > 0.75
    text = hidden_parts.fitted(clips)
    assert text.startswith('# Whether mouth and eyes') and text.count('own: ') == 2
    assert text.count(f'seen: {round(strict, 3)}') == 1
