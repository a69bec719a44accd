import copy
import math
from pathlib import Path

import pytest
import yaml

from kf_imitation.errors import ConfigError
from kf_imitation.robot import load_robot, parse_robot, robot_names

ROOT = Path(__file__).resolve().parents[2]
GOOD = yaml.safe_load((ROOT / 'config/robots/sim_face.yaml').read_text(encoding='utf-8'))


def faults_of(change):
    document = copy.deepcopy(GOOD)
    change(document)
    with pytest.raises(ConfigError) as caught:
        parse_robot(document, 'test.yaml')
    return caught.value.faults


@pytest.mark.parametrize('name', robot_names())
def test_every_robot_that_comes_along_is_good(name):
    robot = load_robot(name)
    assert robot.name == name
    assert robot.joints


def test_the_simulated_face_has_thirteen_joints():
    robot = load_robot('sim_face')
    assert (len(robot.joints), robot.port) == (13, 'simulated')


def test_a_robot_can_be_a_file(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump(GOOD), encoding='utf-8')
    assert load_robot(str(path)).source == str(path)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r'known: .*sim_face'):
        load_robot('no_such_head')


def test_a_file_that_is_not_yaml_says_so(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('name: [', encoding='utf-8')
    with pytest.raises(ConfigError, match='is not YAML'):
        load_robot(str(path))


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ConfigError, match='cannot be read'):
        load_robot(str(tmp_path / 'none.yaml'))


def joint(index, **values):
    return lambda d: d['joints'][index].update(values)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda d: d.pop('name'), ['name is missing']),
        (lambda d: d.update(bauds=1), ['bauds is not a key', 'did you mean baud?']),
        (lambda d: d.update(baud=12345), ['baud = 12345', 'must be one of']),
        (lambda d: d.update(exit='drop'), ["exit = 'drop'", 'limp, hold, neutral_limp']),
        (lambda d: d.update(watchdog_s=9), ['watchdog_s = 9', '0, or from 0.1 to 2.54']),
        (lambda d: d.update(joints=[]), ['joints', 'at least one']),
        (lambda d: d.update(joints={}), ['joints', 'must be a list']),
        (joint(0, id=300), ['joints.jaw.id = 300', 'from 0 to 252']),
        (joint(0, id=2), ['id = 2 is used by joints[0], joints[1]; must be unique']),
        (joint(0, name='gaze_yaw'), ["name = 'gaze_yaw' is used by joints[0], joints[7]"]),
        (joint(0, model='XL999'), ["joints.jaw.model = 'XL999'", 'must be one of']),
        (joint(0, limits_rad=[0.5, 0.0]), ['joints.jaw.limits_rad', 'low < high']),
        (joint(0, limits_rad=[0.5]), ['joints.jaw.limits_rad', 'two finite numbers']),
        (joint(0, neutral_rad=0.7), ['joints.jaw.neutral_rad = 0.7', 'inside limits_rad']),
        (joint(0, neutral_rad=math.nan), ['joints.jaw.neutral_rad = nan', 'finite']),
        (joint(0, neutral_rad='0'), ["joints.jaw.neutral_rad = '0'", 'finite number']),
        (joint(0, neutral_rad=True), ['joints.jaw.neutral_rad = True', 'finite number']),
        (joint(0, zero_tick=4090), ['joints.jaw.limits_rad', "inside the servo's one turn"]),
        (joint(0, direction=0), ['joints.jaw.direction = 0', '1 or -1']),
        (joint(0, max_velocity_rad_s=20), ['max_velocity_rad_s = 20', 'no-load speed']),
        (joint(0, max_jerk_rad_s3=0), ['max_jerk_rad_s3 = 0', 'from 0.1']),
        (joint(0, max_current_a=2), ['max_current_a = 2', '1.75 or less']),
        (joint(0, channels={'jaw_opn': 0.1}), ['channels.jaw_opn', 'did you mean jaw_open?']),
        (joint(0, channels={'jaw_open': 0.9}), ['jaw_open = 0.9', 'to 0.9', 'inside limits_rad']),
        (joint(0, channels={'jaw_open': None}), ['channels.jaw_open = None', 'number, up, down']),
        (joint(0, channels={'jaw_open': True}), ['channels.jaw_open = True', 'number, up, down']),
        (joint(0, channels={'jaw_open': math.nan}), ['channels.jaw_open = nan', 'finite number']),
        (
            joint(0, channels={'jaw_open': 0.1, 'jawOpen': 0.2}),
            ['channels.jawOpen = 0.2', 'is jaw_open, which is there already'],
        ),
        (joint(0, colour='red'), ['joints.jaw.colour is not a key']),
        (
            lambda d: d['coupled_limits'][0]['terms'].update(nose=1.0),
            ["coupled limit 'left lid against eyeball': nose is not a joint"],
        ),
        (
            lambda d: d['coupled_limits'][0].update(maximum_rad=-0.1),
            ['left lid against eyeball', 'neutral gives 0.000'],
        ),
        (
            lambda d: d['coupled_limits'][0].update(terms={'jaw': 1.0}),
            ['terms', 'at least two joints'],
        ),
        (
            lambda d: d.update(thermal={'derate_above_c': 65, 'rest_above_c': 60}),
            ['rest_above_c = 60', 'above', 'derate_above_c = 65'],
        ),
        (
            lambda d: d.update(thermal={'rest_above_c': 75}),
            ['rest_above_c = 75', 'below 70', 'shuts itself off'],
        ),
    ],
)
def test_a_fault_names_key_value_and_rule(change, words):
    faults = faults_of(change)
    assert any(all(word in fault for word in words) for fault in faults), faults


def test_all_faults_are_listed_at_once():
    def spoil(document):
        document['exit'] = 'drop'
        document['joints'][0]['id'] = -1
        document['joints'][3]['direction'] = 2
        document['joints'][5]['speed'] = 1

    assert len(faults_of(spoil)) == 4


def test_faults_between_keys_are_listed_beside_those_of_single_keys():
    def spoil(document):
        document['exit'] = 'drop'
        document['joints'][1]['id'] = document['joints'][0]['id']
        document['joints'][2]['neutral_rad'] = 3.0

    faults = faults_of(spoil)
    assert any('is used by joints[0], joints[1]' in fault for fault in faults), faults
    assert any('neutral_rad = 3 must be inside' in fault for fault in faults), faults
    assert any(fault.startswith('exit') for fault in faults), faults


def with_channels(channels, limits=(-0.2, 0.5), neutral=0.1):
    document = copy.deepcopy(GOOD)
    joint = document['joints'][0]
    joint.update(channels=channels, limits_rad=list(limits), neutral_rad=neutral)
    document['coupled_limits'] = []
    return parse_robot(document, 'test.yaml').joints[0].channels


def test_a_channel_with_a_direction_only_uses_the_limits():
    assert with_channels({'jaw_open': 'up'}) == pytest.approx({'jaw_open': 0.4})
    assert with_channels({'jaw_open': 'down'}) == pytest.approx({'jaw_open': -0.3})
    both = with_channels({'mouth_smile_left': 'up', 'mouth_frown_left': 'down'})
    assert both == pytest.approx({'mouth_smile_left': 0.4, 'mouth_frown_left': -0.3})


def test_an_angle_is_shown_one_to_one_where_the_joint_has_room():
    assert with_channels({'head_yaw': 'up'}, (-0.9, 0.9), 0.0) == {'head_yaw': 1.0}
    narrow = with_channels({'gaze_yaw': 'down'}, (-0.25, 0.3), 0.0)
    assert narrow == pytest.approx({'gaze_yaw': -0.5})


def test_a_direction_that_is_none_is_a_fault():
    def change(document):
        document['joints'][0]['channels'] = {'jaw_open': 'left'}

    assert any('must be a number, up, down or points' in fault for fault in faults_of(change))


def test_a_blendshape_that_is_a_channel_by_another_name_counts_as_that_channel():
    assert with_channels({'jawOpen': 0.3, 'mouthStretchLeft': 'up'}) == pytest.approx(
        {'jaw_open': 0.3, 'mouthStretchLeft': 0.4}
    )


@pytest.mark.parametrize(
    ('points', 'words'),
    [
        ([[0, 0]], 'two or more points'),
        ([[0, 0], [1, 'far']], 'two or more points'),
        ([[0, 0], [0.5, 0.2], [1, 0.1]], 'angles that only rise or only fall'),
        ([[0, 0], [1, 0]], 'must move the joint'),
        ([[0, 0], [0.5, 0.1]], 'begin at 0 and end at 1'),
        ([[0, 0.1], [1, 0.2]], 'leave the joint at neutral'),
        ([[0, 0], [1, 3.0]], 'must stay inside limits_rad'),
    ],
)
def test_points_of_a_channel_that_make_no_sense_are_a_fault(points, words):
    def change(document):
        document['joints'][0]['channels'] = {'jaw_open': points}

    assert any(words in fault for fault in faults_of(change)), faults_of(change)


@pytest.mark.parametrize(
    ('points', 'words'),
    [
        ([[0.1, 0], [0.5, 0.4]], 'both sides of 0'),
        ([[-0.5, -0.4], [-0.1, 0]], 'both sides of 0'),
        ([[-0.5, -0.4], [0.5, 0.2]], 'leave the joint at neutral'),
        ([[-0.5, 0.1], [0, 0], [0.5, 0.2]], 'only rise or only fall'),
    ],
)
def test_points_of_an_angle_go_through_0(points, words):
    def change(document):
        document['joints'][7]['channels'] = {'gaze_yaw': points}

    assert any(words in fault for fault in faults_of(change)), faults_of(change)


def test_a_neutral_outside_the_limits_is_one_fault():
    faults = faults_of(joint(0, neutral_rad=0.7))
    assert len([fault for fault in faults if 'joints.jaw' in fault]) == 1, faults


def test_a_rule_between_channels_names_channels_and_says_something():
    def change(document):
        document['combinations'] = [
            {'channel': 'lip_press'},
            {'channel': 'lipPress', 'damp': {'jaw_open': 2}},
        ]

    faults = faults_of(change)
    assert any('combinations[0].add' in fault for fault in faults), faults
    assert any('lipPress is neither' in fault for fault in faults), faults
    assert any('combinations[1].damp.jaw_open = 2' in fault for fault in faults), faults


def test_a_joint_that_waits_for_keyframes_through_a_rule_is_no_reflex_joint():
    rule = {'channel': 'jaw_open', 'damp': {'head_roll': 0.5}}
    assert 'jaw' in parse_robot(GOOD, 'test.yaml').reflex
    assert 'jaw' not in parse_robot({**GOOD, 'combinations': [rule]}, 'test.yaml').reflex


def test_all_joints_but_the_neck_are_reflex_joints_unless_the_file_names_others():
    robot = load_robot('sim_face')
    assert {*robot.names} - {*robot.reflex} == {'neck_yaw', 'neck_pitch', 'neck_roll'}
    fewer = parse_robot({**GOOD, 'reflex': ['jaw']}, 'test.yaml')
    assert fewer.reflex == ('jaw',) and fewer.reflex_joints.tolist() == [0]
    assert parse_robot({**GOOD, 'reflex': []}, 'test.yaml').reflex_joints.tolist() == []


@pytest.mark.parametrize('chosen', [['neck_yaw'], ['jam'], 'jaw', [3]])
def test_a_reflex_joint_that_the_lane_cannot_move_is_a_fault(chosen):
    def change(document):
        document['reflex'] = chosen

    assert any(fault.startswith('reflex = ') for fault in faults_of(change))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (joint(0, max_current_a=0.0001), ['jaw.max_current_a = 0.0001', '0.0735 or more']),
        (joint(9, max_current_a=0.11), ['neck_yaw.max_current_a = 0.11', '0.115 or more']),
        (joint(0, max_velocity_rad_s=1e-9), ['max_velocity_rad_s = 1e-09', 'from 0.02']),
        (joint(0, max_acceleration_rad_s2=5000), ['= 5000', 'from 0.1 to 1000']),
        (joint(0, max_jerk_rad_s3=500_000), ['= 500000', 'from 0.1 to 100000']),
        (joint(0, limits_rad=[0.0, 1e-9]), ['limits_rad = [0.0, 1e-09]', '0.02 or more apart']),
        (joint(0, channels={'jaw_open': 'down'}, limits_rad=[0.0, 0.5]), ['has no room']),
        (lambda d: d.update(watchdog_s=0.02), ['watchdog_s = 0.02', '0, or from 0.1 to 2.54']),
        (lambda d: d.update(watchdog_s=-1), ['watchdog_s = -1', '0, or from 0.1 to 2.54']),
        (lambda d: d.update(baud=9600), ['baud = 9600', '13 servos', 'not 2.5 times']),
        (
            lambda d: d.update(thermal={'derate_above_c': 20, 'rest_above_c': 65}),
            ['thermal.derate_above_c = 20', 'from 40 to 100'],
        ),
        (
            lambda d: d.update(thermal={'derate_above_c': 60, 'rest_above_c': 60.1}),
            ['rest_above_c = 60.1', '2 or more above thermal.derate_above_c = 60'],
        ),
        (
            lambda d: d['coupled_limits'][0].update(maximum_rad=99),
            ['maximum_rad = 99 limits nothing', 'which the joints can reach'],
        ),
        (
            lambda d: d['coupled_limits'][0].update(terms={'jaw': 1e-6, 'neck_yaw': -1.0}),
            ['terms.jaw = 1e-06 must be 0.01 or more'],
        ),
    ],
)
def test_a_value_with_which_a_head_is_useless_or_not_limited_is_a_fault(change, words):
    faults = faults_of(change)
    assert any(all(word in fault for word in words) for fault in faults), faults


@pytest.mark.parametrize(
    'change',
    [
        joint(0, max_current_a=0.074),
        lambda d: d.update(watchdog_s=0),
        lambda d: d.update(watchdog_s=0.1),
        lambda d: d.update(baud=57600),  # of new servos; slow, but a head may run at 14 Hz
    ],
)
def test_values_at_their_bounds_are_good(change):
    document = copy.deepcopy(GOOD)
    change(document)
    parse_robot(document, 'test.yaml')
