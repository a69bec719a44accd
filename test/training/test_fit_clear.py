"""The networks of clear expressions: what they learn, and from where an answer counts."""

import numpy as np
import pytest

pytest.importorskip('numba', reason='the renderer needs numba (training extra)')

from training.landmarks.fit import clear

FACE = np.zeros((478, 2), np.float32)
FACE[[33, 133, 263, 362]] = [(60, 80), (90, 80), (140, 80), (110, 80)]
FACE[[61, 291]] = [(80, 150), (120, 150)]
FACE[[50, 280]] = [(65, 120), (135, 120)]
FACE[clear._JAW, 0] = np.linspace(40, 160, len(clear._JAW))
FACE[clear._JAW, 1] = 120 + 60 * np.sin(np.linspace(0, np.pi, len(clear._JAW)))
FACE[[6, 197, 195, 5, 4]] = (100, 100)


def people(rng):
    """Six rendered people and six of clips whose first embedding value is the first answer."""
    found = []
    for number in range(12):
        moved = rng.normal(size=(80, 2, clear.EMBEDDING))
        target = np.zeros((80, len(clear.ANSWERS)))
        target[:, 0] = np.clip(moved[:, 0, 0], 0, 1)
        found.append(clear.Frames(str(number), moved, target, number < 6, True, 30.0))
    return found


def test_a_network_finds_what_an_expression_looks_like(monkeypatch):
    monkeypatch.setattr(clear, 'STEPS', 400)
    rng = np.random.default_rng(0)
    network = clear.Network(people(rng), 0, clear.answers_of(0))
    asked = rng.normal(size=(500, clear.EMBEDDING))
    answers = network(asked)
    assert np.corrcoef(answers[:, 0], np.clip(asked[:, 0], 0, 1))[0, 1] > 0.7
    assert answers[:, 1:].std() < 0.15


def test_an_answer_counts_from_where_talk_and_covered_faces_stay_below():
    frames = np.zeros((100, 2, clear.EMBEDDING))
    full = np.zeros((100, len(clear.ANSWERS)))
    full[:, 0] = 1.0
    nothing = np.zeros_like(full)
    asked = [
        clear.Frames('rendered', frames, full, True, True, 0.0),
        clear.Frames('talks', frames, nothing, False, True, 30.0),
        clear.Frames('covered', frames, nothing, False, False, 30.0, covered=True),
    ]
    talk, covered = np.zeros_like(full), np.full_like(full, 0.1)
    talk[40:60, 0] = 0.3
    talk[80, 0] = 0.9  # over within a tenth of a second
    assert clear.bounds(asked, [full * 0.8, talk, covered], 0) == pytest.approx((0.3, 0.8))
    assert clear.bounds(asked, [full * 0.8, talk, covered + 0.4], 0) == pytest.approx((0.5, 0.8))


@pytest.mark.parametrize(
    ('cover', 'free', 'hidden'),
    [(clear.cover_mouth, (75, 40), (100, 150)), (clear.cover_eyes, (100, 150), (75, 80))],
)
def test_what_is_covered_is_the_mouth_or_the_eyes(cover, free, hidden):
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (200, 200, 3)).astype(np.uint8)
    for _ in range(20):
        covered = cover(picture, FACE, rng)
        assert covered.shape == picture.shape and covered.dtype == np.uint8
        assert (covered[free[1], free[0]] == picture[free[1], free[0]]).all()
        around = covered[hidden[1] - 3 : hidden[1] + 4, hidden[0] - 3 : hidden[0] + 4]
        assert around.std(axis=(0, 1)).max() < 30
