"""Expressions of rendered people: what is asked for, what is read off the robot, the table."""

import itertools

import numpy as np
import pytest

pytest.importorskip('numba', reason='face_renderer needs numba (training/requirements.txt)')

from benchmark import rendered_expressions as module
from face_renderer import face_model
from face_renderer.appearance import Atlas
from kf_imitation.data_types import CHANNELS

STEP_S = 0.01
LEFT, RIGHT = (CHANNELS.index(f'eye_close_{side}') for side in ('left', 'right'))


def made_up(played, **reached):
    """Stamps and channels of a robot that shows values in the middle of an expression."""
    time_s = np.arange(0, played.end_s + 1, STEP_S)
    channels = np.full((len(time_s), len(CHANNELS)), 0.1)
    inside = (time_s > played.start_s) & (time_s < played.end_s)
    for name, value in reached.items():
        channels[inside, CHANNELS.index(name)] += value
    return np.round(time_s * 1e9).astype(np.int64), channels


def test_each_expression_comes_at_each_size_after_a_rest():
    played = module.schedule(module.ACTS[:2], (0.5, 1.0))
    assert [one.size for one in played] == [0.5, 1.0, 0.5, 1.0]
    gaps = [later.start_s - one.end_s for one, later in itertools.pairwise(played)]
    assert gaps == pytest.approx([module.REST_S] * 3)


def test_what_is_reached_counts_from_the_rest_before_it():
    played = module.schedule([next(a for a in module.ACTS if a.name == 'frown')], (1.0,))[0]
    sides = {'mouth_frown_left': 0.6, 'mouth_frown_right': 0.4}
    found = module.shown(played, *made_up(played, **sides, jaw_open=0.2))
    assert found.reached == pytest.approx(0.5)
    assert found.other == (pytest.approx(0.2), 'jaw_open')
    assert np.isnan(found.apart)


def test_a_wink_that_shuts_both_eyes_is_not_kept_apart():
    wink = next(act for act in module.ACTS if act.is_wink)
    played = module.schedule([wink], (1.0,))[0]
    alone = module.shown(played, *made_up(played, eye_close_left=0.8, eye_close_right=0.1))
    both = module.shown(played, *made_up(played, eye_close_left=0.8, eye_close_right=0.7))
    assert module.winks_apart([alone, both]) == (1, 2)
    assert module.table([alone, both]).splitlines()[2].startswith('| quick wink left | eye_close')


@pytest.mark.skipif(not face_model.default_path().exists(), reason='no face model')
def test_a_rendered_blink_and_smile_are_shown_by_the_simulated_servos():
    model = face_model.FaceModel.load()
    acts = [act for act in module.ACTS if act.name in ('blink', 'smile')]
    played = module.schedule(acts, (1.0,))
    source = module.Rendering(model, Atlas(model), 4, module.weights_of(model, played))
    stamps_ns, channels = module.imitate(source, 'sim_face')
    found = [module.shown(one, stamps_ns, channels) for one in played]
    assert min(one.reached for one in found) > 0.5
    assert source.read() is None
