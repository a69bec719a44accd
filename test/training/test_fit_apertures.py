"""How far lids and mouths have gone at a value, found again from people who show it."""

import numpy as np
import pytest

pytest.importorskip('torch', reason='needs the requirements of training/')

from kf_imitation.face_geometry.apertures import APERTURES, way_share
from training.landmarks.fit.apertures import curve, lid_gaps, of_people


def test_the_curve_of_people_is_found_whoever_shows_more_frames():
    rng = np.random.default_rng(1)
    rows = {}
    for person in range(8):
        values = rng.uniform(0, 1, 4000 if person == 0 else 200)
        noise = rng.normal(0, 0.03, len(values)) + (0.5 if person == 0 else 0.0)
        rows[f'person {person}'] = [(values, values**2 + noise)]
    values, shares = of_people(rows)
    found = dict(curve(values, shares, (0.25, 0.5, 0.75)))
    assert found[0.0] == 0.0 and found[1.0] == 1.0
    for value in (0.25, 0.5, 0.75):
        assert found[value] == pytest.approx(value**2, abs=0.05)


def test_what_shut_mouths_are_read_as_opens_nothing_and_curves_always_rise():
    values = np.array([0.1, 0.3, 0.5, 0.9])
    points = curve(values, np.array([0.4, 0.3, 0.9, 0.8]), (0.2, 0.5, 0.8), shut=0.05)
    assert points[1] == (0.05, pytest.approx(0.005))
    assert np.all(np.diff([share for _, share in points]) > 0)


def test_a_gap_of_lids_is_a_share_of_the_eyes_length():
    mesh = np.zeros((1, 478, 3), np.float32)
    mesh[0, [362, 263], 0] = 10, 50
    mesh[0, [386, 385, 387], 1] = 8
    assert lid_gaps(mesh, 'left') == pytest.approx([0.2])


@pytest.mark.parametrize('channel', APERTURES)
def test_the_shipped_curves_go_all_the_way(channel):
    assert way_share(channel, 0.0) == 0.0 and way_share(channel, 1.0) == 1.0
    shares = [way_share(channel, value) for value in np.linspace(0, 1, 50)]
    assert np.all(np.diff(shares) > 0)
