"""What moved from one keyframe to the next, in words that need no manual."""

import pytest

from kf_imitation.cockpit.movement import movement
from kf_imitation.data_types import CHANNELS


def face(**values):
    return [values.get(name, 0.0) for name in CHANNELS]


@pytest.mark.parametrize(
    ('before', 'after', 'words'),
    [
        ({}, {'jaw_open': 0.4}, 'jaw opened by 40 %'),
        ({'jaw_open': 0.4}, {}, 'jaw closed by 40 %'),
        (
            {'eye_close_left': 0.9, 'eye_close_right': 1.0},
            {'mouth_smile_left': 0.5, 'mouth_smile_right': 0.3},
            'eyes opened by 95 %, corners of the mouth up by 40 %',
        ),
        ({}, {'eye_close_left': 0.8, 'eye_close_right': 0.05}, 'left eye closed by 80 %'),
        (
            {},
            {'head_yaw': -0.35, 'brow_lower': 0.2},
            'head turned right by 20°, brows drawn down by 20 %',
        ),
        ({}, {'gaze_pitch': -0.35}, 'eyes turned down by 20°'),
        ({'gaze_yaw': -0.35}, {}, 'eyes turned left by 20°'),
        ({}, {'head_pitch': 0.35}, 'head turned down by 20°'),
        ({}, {'head_roll': -0.35}, 'head tilted left by 20°'),
        ({}, {'jaw_open': 0.05}, ''),
        ({}, {'jaw_open': None, 'lip_press': 0.3}, 'lips pressed by 30 %'),
    ],
)
def test_what_moved_is_said_plainly(before, after, words):
    assert movement(face(**before), face(**after)) == words


def test_only_the_strongest_are_named():
    many = {name: 0.5 for name in CHANNELS if not name.startswith(('gaze', 'head'))}
    assert movement(face(), face(**many)).count(',') == 2


def test_there_is_a_first_face():
    assert movement(None, face()) == 'the first face'
