"""What the page may ask for, and in which words it is rejected."""

import json
import re

import pytest

from kf_imitation.cockpit.actions import (
    JOG_RAD_S,
    ActionError,
    Calibrate,
    Jog,
    Record,
    SetParameter,
    Torque,
    Trigger,
    jog_times_s,
    read_action,
    tunable,
)
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')


def read(**fields):
    return read_action(json.dumps(fields), ROBOT)


def test_actions_are_read():
    assert read(action='stop') == Trigger('stop')
    assert read(action='torque', on=False) == Torque(False)
    assert read(action='jog', joint='jaw', position_rad=0) == Jog('jaw', 0.0)
    assert read(action='record', on=True, images=False) == Record(True, False)
    assert read(action='calibrate', on=True) == Calibrate(True)
    found = read(action='set', node='landmarks', name='gain.jaw_open', value=2)
    assert found == SetParameter('landmarks', 'gain.jaw_open', 2.0)
    assert type(found.value) is float


@pytest.mark.parametrize('joint', ROBOT.joints, ids=lambda joint: joint.name)
def test_a_jog_keeps_the_limits_of_every_joint(joint):
    low, high = joint.limits_rad
    for limit in (low, high):
        assert read(action='jog', joint=joint.name, position_rad=limit)
    for beyond in (low - 1e-6, high + 1e-6, 1e308):
        with pytest.raises(ActionError, match=f'{joint.name} = .* its limits'):
            read(action='jog', joint=joint.name, position_rad=beyond)


@pytest.mark.parametrize(
    ('fields', 'words'),
    [
        ({'action': 'jog', 'joint': 'tail', 'position_rad': 0}, "'tail' is not a joint"),
        ({'action': 'jog', 'joint': 'jaw', 'position_rad': True}, 'wrong type'),
        ({'action': 'jog', 'joint': 'jaw'}, 'takes joint, position_rad'),
        ({'action': 'torque', 'on': 1}, 'wrong type'),
        (
            {'action': 'set', 'node': 'servo', 'name': 'port', 'value': '/dev/x'},
            'no live parameter',
        ),
        ({'action': 'set', 'node': 'x', 'name': 'hold_s', 'value': 1}, 'no live parameter'),
        (
            {'action': 'set', 'node': 'servo', 'name': 'hold_s', 'value': 'long'},
            'must be a number',
        ),
        ({'action': 'set', 'node': 'servo', 'name': 'hold_s', 'value': 0}, 'from 0.1 to 3600 s'),
        ({'action': 'set', 'node': 'servo', 'name': 'hold_s', 'value': [1]}, 'wrong type'),
        ({'action': 'record', 'on': True}, 'takes on, images'),
        (
            {'action': 'set', 'node': 'landmarks', 'name': 'calibration', 'value': '/dev/x'},
            'no page may',
        ),
        ({'action': 'x' * 1000}, 'there is no action'),
    ],
)
def test_what_cannot_be_done_is_rejected_with_the_rule(fields, words):
    with pytest.raises(ActionError, match=words) as error:
        read(**fields)
    assert len(str(error.value)) < 250  # a stranger's text does not fill the page


def test_a_page_may_choose_a_camera_but_no_file(monkeypatch):
    monkeypatch.setattr('kf_imitation.cockpit.actions.cameras', lambda: ['/dev/video2'])
    fields = {'action': 'set', 'node': 'camera', 'name': 'source'}
    assert read(**fields, value='/dev/video2') == SetParameter('camera', 'source', '/dev/video2')
    for other in ('/dev/video3', '/etc/passwd', ''):
        with pytest.raises(ActionError, match='names a file'):
            read(**fields, value=other)


def test_a_jog_is_slow_and_holds():
    arrival_s, end_s = jog_times_s(-0.5, 0.5)
    assert arrival_s == pytest.approx(1.0 / JOG_RAD_S) and end_s > arrival_s + 1
    assert jog_times_s(0.2, 0.2)[0] > 0


def test_every_parameter_has_its_place_on_the_page():
    page = share_path('media/cockpit/main.js').read_text(encoding='utf-8')
    boxes = re.search(r'new Parameters\(\s*\{(.*?)\}', page, re.DOTALL)[1]
    panels = {p.panel for table in tunable().values() for p in table.values()}
    assert panels == set(re.findall(r'(\w+): by', boxes))


def test_only_what_may_change_while_a_node_runs_is_tunable():
    names = {name for table in tunable().values() for name in table}
    assert {'detector.mode', 'gain.jaw_open', 'hold_s'} <= names
    assert not {'model', 'port', 'robot', 'rotate'} & names
