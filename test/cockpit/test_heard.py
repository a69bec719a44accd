"""Two programs with nodes of one name in one domain: the page keeps to one, and says so."""

from kf_imitation.cockpit.heard import Heard
from kf_imitation.cockpit.summary import NodeStatus, health

ELDER, YOUNGER = 'host:10', 'host:20'


def said(heard, name, process, sentence, at_s, **values):
    heard.take(name, NodeStatus(1, sentence, {'process': process, **values}, at_s))


def two_heads():
    heard = Heard()
    for at_s in (1.0, 2.0):
        said(heard, 'servo', YOUNGER, 'at rest', at_s, **{'active since': '200.5'})
        said(heard, 'keyframe', YOUNGER, 'no face', at_s)
        said(heard, 'servo', ELDER, 'stopped; waiting for reset', at_s, **{'active since': '99.5'})
        said(heard, 'keyframe', ELDER, 'following a face', at_s)
        said(heard, 'servo', YOUNGER, 'at rest', at_s, **{'active since': '200.5'})
    return heard


def test_of_two_heads_the_one_that_takes_commands_is_shown_whoever_speaks_last():
    """A stopped head was shown as one that rests, every other half second."""
    shown = two_heads().shown(2.5)
    assert shown['servo'].sentence == 'stopped; waiting for reset'
    assert shown['keyframe'].sentence == 'following a face'


def test_the_page_says_that_there_is_a_second_head_and_what_to_do():
    heard = two_heads()
    rivals = heard.rivals(2.5)
    found = health(heard.shown(2.5), 2.5, rivals=rivals)
    assert rivals == [YOUNGER]
    assert found['level'] == 2
    assert found['sentence'] == (
        'Head: stopped; waiting for reset (process host:10; not shown: a second head, host:20)'
    )
    assert 'a ROS domain of its own. Press Reset' in found['advice']


def test_the_other_head_is_shown_once_the_first_is_silent():
    heard = two_heads()
    said(heard, 'servo', YOUNGER, 'following', 6.0, **{'active since': '200.5'})
    assert heard.shown(6.0)['servo'].sentence == 'following'
    assert heard.rivals(6.0) == []


def test_a_head_that_was_started_again_is_no_second_one():
    heard = Heard()
    said(heard, 'servo', ELDER, 'following', 1.0, **{'active since': '99.5'})
    said(heard, 'servo', YOUNGER, 'at rest', 2.0, **{'active since': '200.5'})
    assert heard.rivals(2.1) == []
    assert heard.shown(4.0)['servo'].sentence == 'at rest'


def test_a_head_that_alone_fell_silent_is_still_known():
    heard = Heard()
    said(heard, 'servo', ELDER, 'following', 1.0)
    assert heard.shown(60.0)['servo'].heard_s == 1.0
    assert heard.rivals(60.0) == []


def test_of_nodes_without_a_head_the_first_counts():
    heard = Heard()
    for process in (YOUNGER, ELDER):
        said(heard, 'camera', process, f'camera of {process}', 1.0)
    assert heard.shown(1.0)['camera'].sentence == f'camera of {YOUNGER}'
