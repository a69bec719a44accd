"""Maps from raw channels to true size, on made-up people."""

import numpy as np
import pytest
from scipy.special import logit

from training.landmarks.fit.size import (
    UNIT,
    Signal,
    angle_map,
    folds_of,
    held_out,
    measured,
    quantile_map,
    unit_fit,
)

TIME = np.arange(300) / 10


def person(name, seed, shrink=0.4):
    """Someone who smiles; the raw channel sees 40 % of it, on the scale before the sigmoid."""
    rng = np.random.default_rng(seed)
    label = 0.9 * np.clip(np.sin(TIME * (1 + 0.1 * rng.uniform())), 0, 1) ** 2
    seen = 0.02 + shrink * label + 0.01 * rng.uniform(size=len(label))
    return Signal(name, logit(seen), label, 10.0)


PEOPLE = [person(f'p{k}', k) for k in range(10)]


def test_a_shrunken_channel_gets_its_size_back_on_people_left_out():
    before = measured(PEOPLE, lambda raw: 1 / (1 + np.exp(-raw)))
    after = held_out(PEOPLE, unit_fit(UNIT['mouth_smile']))
    assert before['gain'] < 0.5
    assert after['gain'] == pytest.approx(1, abs=0.1)
    assert after['apex'] == pytest.approx(1, abs=0.1)
    assert after['rest'] < 0.02


def test_a_map_never_falls_and_goes_from_nothing_at_rest_to_1():
    at, value = quantile_map(PEOPLE, UNIT['mouth_smile'])
    assert (np.diff(at) > 0).all() and (np.diff(value) >= 0).all()
    assert value[0] == 0 and value[-1] == 1
    rest = np.median(np.concatenate([p.raw[p.label < 0.01] for p in PEOPLE]))
    assert np.interp(rest, at, value) < 0.02


def test_an_angle_is_scaled_about_its_rest():
    label = 0.3 * np.sin(TIME)
    found = angle_map([Signal('a', 0.5 * label - 0.1, label, 10.0)], symmetric=False)
    assert found == pytest.approx((-0.1, 2.0), abs=0.01)
    assert angle_map([Signal('a', 0.5 * label, label, 10.0)], symmetric=True)[0] == 0


def test_two_clips_of_one_person_are_in_the_same_fold():
    folds = folds_of(['a', 'b', 'a', 'c'])
    assert set(folds) == {'a', 'b', 'c'}
