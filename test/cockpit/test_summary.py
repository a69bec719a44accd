"""What the page says of a run, from what the nodes say of themselves."""

from math import nan

import pytest

from kf_imitation.cockpit.summary import (
    NodeStatus,
    about_tuning,
    finite,
    health,
    jog_refusal,
    reason,
    recording_state,
    stage_times,
)


def status(level, sentence, **values):
    return NodeStatus(level, sentence, values, heard_s=10.0)


def test_the_sentence_says_what_the_head_does_and_whom_it_follows():
    found = health(
        {
            'servo': status(0, 'following', state='running'),
            'keyframe': status(0, 'following a face of 210 px'),
            'camera': status(0, 'sending camera 0'),
        },
        10.5,
    )
    assert found['sentence'] == (
        'Head: following; face: following a face of 210 px; camera: sending camera 0'
    )
    assert (found['level'], found['advice']) == (0, '')


@pytest.mark.parametrize(
    ('sentence', 'advice'),
    [
        ('stopped; waiting for reset', 'Press Reset'),
        ('bus lost, trying again: no reply', 'power and cable'),
        ('jaw is stuck: it pushed 3 times', 'Clear error'),
    ],
)
def test_what_is_wrong_comes_with_what_to_do(sentence, advice):
    found = health({'servo': status(2, sentence)}, 10.5)
    assert found['level'] == 2 and advice in found['advice']


@pytest.mark.parametrize('said', ['following', 'stopped; waiting for reset'])
def test_a_stopped_head_says_so_at_once_and_not_whom_it_would_follow(said):
    statuses = {'servo': status(0, said), 'keyframe': status(0, 'following a face of 210 px')}
    found = health(statuses, 10.5, stopped=True)
    assert found['sentence'] == 'Head: stopped; waiting for reset'
    assert found['level'] == 1 and 'Press Reset' in found['advice']


def test_the_end_of_a_file_is_no_fault():
    statuses = {
        'servo': NodeStatus(0, 'at rest in neutral', {}, 10.0),
        'camera': NodeStatus(0, 'at the end of clip.mp4', {}, 10.0),
        'keyframe': NodeStatus(1, 'no frames arrive', {}, 10.0),
    }
    found = health(statuses, 10.5)
    assert (found['level'], found['advice']) == (0, '')
    assert found['sentence'] == 'Head: at rest in neutral; at the end of clip.mp4'


def test_without_a_servo_node_the_page_says_so():
    never = health({}, 10.0)
    assert 'is not running' in never['sentence'] and 'kf_imitation mimic' in never['advice']
    gone = health({'servo': status(0, 'following')}, 20.0)
    assert (
        'nothing was heard of the servo node for' in gone['sentence'].lower()
        and gone['servo'] == {}
    )


def test_a_recording_is_told_with_its_size_and_length_and_what_became_of_it():
    values = {'size [MB]': '3.2', 'recorded [s]': '12'}
    heard = {'recorder': NodeStatus(0, 'recording to bag', values, heard_s=10.0)}
    for waits_for in ('starting …', 'ending …'):
        assert recording_state({}, 10.5, True, waits_for, '', False)['sentence'] == waits_for
    of_run = recording_state(heard, 10.5, False, '', '', False)
    assert of_run == {'sentence': 'recording to bag, 12 s, 3.2 MB', 'is_ours': False, 'bad': False}
    assert recording_state(heard, 10.5, True, 'starting …', '', False)['is_ours']
    full = 'closed bag early: the disk is full'
    assert recording_state(heard, 10.5, False, '', full, True)['sentence'] == full
    assert recording_state(heard, 99.0, False, '', full, True)['bad']


def test_times_are_read_from_the_words_of_the_diagnostics():
    values = {'score p50 / p99 [ms]': '20.10 / 31.50', 'frames': '7'}
    assert stage_times(values) == [('score', 20.1, 31.5)]


def test_a_keyframe_is_explained_by_what_is_known():
    known = {'score': 0.62, 'prominence': 0.3, 'since_keyframe_s': 1.23, 'head_share': 0.1}
    assert reason({**known, 'flow_share': nan}) == (
        'change 0.62 of 1, 0.30 more than around it, 1.2 s after the last one'
    )
    assert reason({'score': 0.5, 'head_share': 0.8}) == 'change 0.50 of 1, mostly the head turning'
    assert reason({'score': nan}) == ''


def test_json_gets_no_nan():
    assert finite([0.123456, nan, float('inf')]) == [0.1235, None, None]


@pytest.mark.parametrize(
    ('owners', 'words'),
    [
        ({}, ''),  # nobody told
        ({'jaw': 'face /landmarks'}, ''),
        ({'jaw': 'trajectory /cockpit', 'lips': 'neutral'}, ''),
        ({'jaw': 'stop'}, 'press Reset first'),
        ({'jaw': 'nobody', 'lips': 'face'}, 'jaw takes no commands'),
        ({'jaw': 'trajectory /script'}, 'jaw is moved by the trajectory /script'),
        ({'jaw': 'face', 'lips': 'trajectory /script'}, 'lips is moved by'),  # its topic is taken
    ],
)
def test_without_authority_a_jog_is_rejected_with_the_reason(owners, words):
    refusal = jog_refusal(owners, 'jaw', '/cockpit')
    assert words in refusal and bool(words) == bool(refusal)


def test_only_the_source_belongs_to_a_run_and_is_not_saved_with_the_rest():
    own = [one['name'] for table in about_tuning().values() for one in table if one['of_run']]
    assert own == ['source']
