"""Who only held still has shown no expressions, and takes none from a file that knows some."""

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS
from kf_imitation.errors import ConfigError
from kf_imitation.expression.calibration import FULL, REST
from kf_imitation.expression.calibration_file import load_calibration
from kf_imitation.pipeline.learned_person import keep_person, knows_expressions

STILL = np.tile(REST + 0.1, (30, 1))
NOBODY = np.empty((0, len(CHANNELS)))
POSED = np.tile(FULL + 0.5, (30, 1))


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'me.yaml'


@pytest.mark.parametrize(
    ('posed', 'why'),
    [(STILL, 'the face hardly'), (NOBODY, 'hardly a face'), (POSED[:9], 'hardly a face')],
)
def test_a_face_that_only_held_still_gives_its_rest_and_says_so(file, posed, why):
    (sentence,) = keep_person('me', STILL, posed, file)
    assert sentence.startswith(f'no expression was seen: {why}')
    assert 'Only the face at rest was learned' in sentence
    kept = load_calibration(file)
    assert np.allclose(kept.neutral, REST + 0.1, atol=1e-4) and not knows_expressions(kept)


def test_expressions_that_were_shown_are_kept(file):
    assert keep_person('me', STILL, POSED, file) == []
    assert knows_expressions(load_calibration(file))


@pytest.mark.parametrize('posed', [STILL, NOBODY])
def test_a_file_that_knows_expressions_outlives_a_still_face(file, posed):
    keep_person('me', STILL, POSED, file)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match='the file knows expressions and stays'):
        keep_person('me', STILL, posed, file)
    assert file.read_bytes() == before
    keep_person('me', STILL, POSED + 0.2, file)
    assert file.read_bytes() != before


@pytest.mark.parametrize('former', ['', 'person: [', 'person: me'])
def test_what_is_no_calibration_is_replaced(file, former):
    file.write_text(former, encoding='utf-8')
    keep_person('me', STILL, NOBODY, file)
    assert load_calibration(file).person == 'me'
